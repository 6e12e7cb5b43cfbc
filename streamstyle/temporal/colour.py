"""Colour arithmetic on small pictures and on shifts of the mean colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

CHROMA_TO_RGB = np.array([[1.403, 0.0], [-0.714, -0.344], [0.0, 1.773]], np.float32)
"""How much a unit of (Cr, Cb) adds to (R, G, B): the inverse of OpenCV's full-range YCrCb."""


def small_lab(picture: Picture, width: int = 32, height: int = 18) -> NDArray[np.float32]:
    """Analysis picture (h, w, 3) YCrCb to CIE Lab (height * width, 3), float32, L 0..100."""
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_YCrCb2RGB), np.float32)
    return _lab(rgb / np.float32(255)).reshape(-1, 3)


def mean_rgb(picture: Picture) -> NDArray[np.float64]:
    """Mean colour of an analysis picture (YCrCb) as RGB (3,), 0..255."""
    mean = np.array(cv2.mean(picture)[:3], np.float64)
    return np.asarray(mean[0] + CHROMA_TO_RGB @ (mean[1:] - 128), np.float64)


def chroma_of_shift(mean_rgb: NDArray[np.float64], shift: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (Cr, Cb) offset, in levels of 0..255, that moves a colour by `shift` (a, b) Lab units.

    mean_rgb: (3,), 0..255. Exact at that colour at constant L, near enough around it: the Lab cube root and
    the display curve almost cancel.
    """
    start = (np.asarray(mean_rgb, np.float32) / np.float32(255)).reshape(1, 1, 3)
    lab = _lab(start)
    step = np.array([0, shift[0], shift[1]], np.float32)
    moved = np.asarray(cv2.cvtColor(lab + step, cv2.COLOR_Lab2RGB), np.float32)
    pair = np.concatenate([start, moved], axis=1)
    chroma = np.asarray(cv2.cvtColor(pair, cv2.COLOR_RGB2YCrCb), np.float32)[0, :, 1:]
    return np.asarray((chroma[1] - chroma[0]) * np.float32(255), np.float32)


def shift_of_chroma(mean_rgb: NDArray[np.float64], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `chroma_of_shift` for small offsets: (Cr, Cb) levels to (a, b) Lab units."""
    units = [chroma_of_shift(mean_rgb, np.asarray(unit, np.float32)) for unit in np.eye(2)]
    return np.asarray(np.linalg.solve(np.stack(units, axis=1).astype(np.float64), chroma), np.float32)


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), np.float32)
