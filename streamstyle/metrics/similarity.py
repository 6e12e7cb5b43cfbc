"""Similarity of two pictures: structure, values, edges, sharpness, contrast.

Pictures are RGB uint8 (H, W, 3), the two of a pair of one size, 11 pixels or more a side.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

_WINDOW = 11
_SIGMA = 1.5
_LOCAL = 16
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# The constant of gradient magnitude similarity: 0.0026 for values of 0..1 (Xue et al. 2014).
_EDGE_C = 170.0


def ssim(a: Picture, b: Picture) -> float:
    """Structural similarity of the lumas, in [-1, 1], 1 for equal ones (Wang et al. 2004, eq. 13).

    Gaussian window of 11 x 11, sigma 1.5; mean over the windows that lie inside the picture.
    """
    x, y = _luma(a), _luma(b)
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x, var_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return float((luminance * (2 * covariance + _C2) / (var_x + var_y + _C2)).mean())


def psnr(a: Picture, b: Picture) -> float:
    """Peak signal-to-noise ratio over all channels, in dB; inf for equal pictures."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def edge_similarity(a: Picture, b: Picture) -> float:
    """Mean of (2 g h + c) / (g^2 + h^2 + c) of the gradient magnitudes g, h of the lumas, in (0, 1].

    Mean gradient magnitude similarity (Xue et al. 2014): Prewitt gradients, c = 170; at full size.
    """
    g, h = _gradient(_luma(a)), _gradient(_luma(b))
    return float(((2 * g * h + _EDGE_C) / (g**2 + h**2 + _EDGE_C)).mean())


def sharpness_ratio(picture: Picture, reference: Picture) -> float:
    """Mean |Laplacian of luma| over the reference's; below 1 is blurred. See `_ratio` for flat pictures."""
    detail = (float(np.abs(cv2.Laplacian(_luma(p), cv2.CV_64F)).mean()) for p in (picture, reference))
    return _ratio(*detail)


def contrast_ratio(picture: Picture, reference: Picture) -> float:
    """Standard deviation of luma over the reference's; below 1 is flattened."""
    return _ratio(float(_luma(picture).std()), float(_luma(reference).std()))


def local_contrast(picture: Picture, reference: Picture) -> float:
    """Mean deviation of luma inside windows of 16 x 16 pixels over the reference's. See `_ratio`."""
    return _ratio(*(_local_deviation(_luma(p)) for p in (picture, reference)))


def mean_luma(picture: Picture) -> float:
    """Mean of the luma, in 0..255."""
    return float(_luma(picture).mean())


def _ratio(value: float, reference: float) -> float:
    """1 for two flat pictures, inf if only the reference is flat."""
    if reference:
        return value / reference
    return math.inf if value else 1.0


def _local_deviation(luma: NDArray[np.float64]) -> float:
    mean, square = (cv2.blur(x, (_LOCAL, _LOCAL)) for x in (luma, luma * luma))
    return float(np.sqrt(np.maximum(square - mean * mean, 0)).mean())


def _luma(picture: Picture) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float64)


def _windowed(x: NDArray[np.float64]) -> NDArray[np.float64]:
    border = _WINDOW // 2
    blurred = cv2.GaussianBlur(x, (_WINDOW, _WINDOW), _SIGMA)
    return np.asarray(blurred[border:-border, border:-border], np.float64)


def _gradient(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = np.outer(np.ones(3), [1.0, 0.0, -1.0]) / 3
    dx, dy = (cv2.filter2D(luma, -1, k, borderType=cv2.BORDER_REPLICATE) for k in (kernel, kernel.T))
    return np.asarray(np.hypot(dx, dy), np.float64)
