"""Colour arithmetic on small pictures, and on shifts of the mean colour."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

CHROMA_TO_RGB = np.array([[1.403, 0.0], [-0.714, -0.344], [0.0, 1.773]], np.float32)
"""Contribution of one unit of (Cr, Cb) to (R, G, B): the inverse of OpenCV's full-range YCrCb."""


def _light(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """sRGB values to linear light, both 0..1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


LINEAR = _light(np.arange(256) / 255)
"""Linear light, 0..1, of the 256 values of sRGB."""

_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
    np.float32,
)
_TO_WHITE = _TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)
"""Light (R, G, B) to (X, Y, Z) over those of white, D65 (ITU-R BT.709)."""

_FROM_WHITE = np.linalg.inv(_TO_WHITE).astype(np.float32)


def small_lab(picture: Picture, width: int = 32, height: int = 18) -> NDArray[np.float32]:
    """Analysis picture (h, w, 3) YCrCb to CIE Lab (height * width, 3), float32, L 0..100."""
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_YCrCb2RGB), np.uint8)
    return _lab(LINEAR[rgb.reshape(-1, 3)])


def mean_rgb(picture: Picture) -> NDArray[np.float64]:
    """Mean colour of an analysis picture (YCrCb) as RGB (3,), 0..255."""
    mean = np.array(cv2.mean(picture)[:3], np.float64)
    return np.asarray(mean[0] + CHROMA_TO_RGB @ (mean[1:] - 128), np.float64)


def chroma_of_shift(mean_rgb: NDArray[np.float64], shift: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (Cr, Cb) offset, in levels of 0..255, that moves a colour by `shift` (a, b) Lab units.

    mean_rgb: (3,), 0..255. Exact at that colour and constant L, and close around it: the Lab cube root and
    the display curve almost cancel.
    """
    return np.asarray(_chroma_of_shifts(mean_rgb, shift[None])[0], np.float32)


def shift_of_chroma(mean_rgb: NDArray[np.float64], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `chroma_of_shift` for small offsets: (Cr, Cb) levels to (a, b) Lab units."""
    units = _chroma_of_shifts(mean_rgb, np.eye(2, dtype=np.float32)).T
    return np.asarray(np.linalg.solve(units, chroma), np.float32)


def _chroma_of_shifts(mean_rgb: NDArray[np.float64], shifts: NDArray[np.float32]) -> NDArray[np.float32]:
    """`chroma_of_shift` of (n, 2), each by itself."""
    start = (np.asarray(mean_rgb, np.float32) / np.float32(255))[None]
    labs = np.repeat(_lab(_light(start)), len(shifts), axis=0)
    labs[:, 1:] += shifts
    both = np.concatenate([start, _rgb(labs)])[None]
    chroma = np.asarray(cv2.cvtColor(both, cv2.COLOR_RGB2YCrCb), np.float32)[0, :, 1:]
    return np.asarray((chroma[1:] - chroma[0]) * np.float32(255), np.float32)


def _lab(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear RGB (n, 3), 0..1, to CIE Lab (CIE 15:2018, eq. 8.3 to 8.8).

    OpenCV's conversion spends a sixth of a second on tables at its first call, which would stop a live stream
    for as long.
    """
    xyz = light @ _TO_WHITE.T
    x, y, z = np.where(xyz > 0.008856, cv2.pow(xyz, 1 / 3), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1, dtype=np.float32)


def _rgb(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIE Lab (n, 3) to sRGB (n, 3), 0..1; the inverse of `_lab`, clipped to the gamut of sRGB."""
    y = (lab[:, 0] + 16) / 116
    roots = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], axis=1)
    xyz = np.where(roots > 6 / 29, roots**3, (roots - 16 / 116) / 7.787)
    light = np.clip(xyz @ _FROM_WHITE.T, 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(encoded, np.float32)
