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
    return np.asarray(_chroma_of_shifts(mean_rgb, shift[None])[0], np.float32)


def shift_of_chroma(mean_rgb: NDArray[np.float64], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `chroma_of_shift` for small offsets: (Cr, Cb) levels to (a, b) Lab units."""
    units = _chroma_of_shifts(mean_rgb, np.eye(2, dtype=np.float32)).T
    return np.asarray(np.linalg.solve(units, chroma), np.float32)


def _chroma_of_shifts(mean_rgb: NDArray[np.float64], shifts: NDArray[np.float32]) -> NDArray[np.float32]:
    """`chroma_of_shift` of (n, 2), each by itself."""
    start = (np.asarray(mean_rgb, np.float32) / np.float32(255)).reshape(1, 1, 3)
    labs = np.repeat(_lab(start), len(shifts), axis=1)
    labs[..., 1:] += shifts
    moved = np.asarray(cv2.cvtColor(labs, cv2.COLOR_Lab2RGB), np.float32)
    both = np.concatenate([start, moved], axis=1)
    chroma = np.asarray(cv2.cvtColor(both, cv2.COLOR_RGB2YCrCb), np.float32)[0, :, 1:]
    return np.asarray((chroma[1:] - chroma[0]) * np.float32(255), np.float32)


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), np.float32)
