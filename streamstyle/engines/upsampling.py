"""Upsampling of smaller paintings to the frame's size, with the frame's edges.

The painting is enlarged bilinearly: every stroke stays, softer. Then the detail that the input lost when it
was reduced is added, as strongly as the painting follows the input there:

    out = up(painted) + up(a) * (luma - up(small luma)),     a = cov(small luma, painted luma) / (var + eps)

`a` is the slope of the guided filter (He et al. 2013, eq. 5) at the small size, averaged over the same window
(He and Sun 2015, "Fast Guided Filter"). Their guided filter, a * luma + b with an averaged b, keeps only what
the input explains, and removes the strokes (docs/sizes.md compares both, and joint bilateral upsampling).
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

Luma: TypeAlias = NDArray[np.uint8]

WINDOW = (9, 9)
"""Pixels of the small size."""
EPSILON = 25.0
"""Squared levels: where the input varies by less than five, its detail stays away."""
MAX_SLOPE = 1.5
"""No slope is larger, up or down: where a style turns a faint edge into a black line, the input's noise is
not to become one too."""


def reduced(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) or mask (H, W) at a smaller size: halved as often as goes, then interpolated, an
    eighth of the cost of OpenCV's means over fractions of pixels. The same array where nothing is to do."""
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    if picture.shape[:2] != (height, width):
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return picture


class Slopes:
    """Strength with which a painting follows its input. Keeps scratch space: for one thread at a time."""

    def __init__(self, height: int, width: int) -> None:
        self._scratch = [np.empty((height, width), np.float32) for _ in range(5)]

    def __call__(self, small: Luma, painted: Luma) -> NDArray[np.float32]:
        """Lumas (h, w) to the slope `a`, float32 (h, w), which the next call overwrites."""
        mean_x, mean_y, xx, xy, square = self._scratch
        _mean(small, mean_x)
        _mean(painted, mean_y)
        cv2.sqrBoxFilter(small, cv2.CV_32F, WINDOW, dst=xx, borderType=cv2.BORDER_REPLICATE)
        cv2.multiply(small, painted, dst=square, dtype=cv2.CV_32F)
        _mean(square, xy)
        variance = np.asarray(cv2.subtract(xx, cv2.multiply(mean_x, mean_x, dst=square), dst=xx), np.float32)
        covariance = cv2.subtract(xy, cv2.multiply(mean_x, mean_y, dst=square), dst=xy)
        np.add(variance, EPSILON, out=xx)
        slope = cv2.divide(covariance, variance, dst=square)
        np.clip(slope, -MAX_SLOPE, MAX_SLOPE, out=slope)
        return _mean(square, mean_x)


def window_mean(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean of a picture (h, w, 3) or luma (h, w) over the window of the slopes."""
    return np.asarray(cv2.blur(x, WINDOW, borderType=cv2.BORDER_REPLICATE), np.uint8)


def _mean(x: Luma | NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
    cv2.boxFilter(x, cv2.CV_32F, WINDOW, dst=out, borderType=cv2.BORDER_REPLICATE)
    return out


class DetailSum:
    """Adds the difference between a full-size and an enlarged luma to an enlarged picture, times a local
    slope. Reuses memory, so it is not thread-safe."""

    def __init__(self, height: int, width: int) -> None:
        self._size = (width, height)
        self._luma = np.empty((height, width), np.uint8)
        self._coarse = np.empty((height, width), np.uint8)
        self._detail = np.empty((height, width), np.float32)
        self._slope = np.empty((height, width), np.float32)
        self._step = np.empty((height, width), np.uint8)
        self._steps = np.empty((height, width, 3), np.uint8)

    def __call__(
        self, small: Picture, small_luma: Luma, slope: NDArray[np.float32], picture: Picture
    ) -> Picture:
        """up(small) + up(slope) * (luma of `picture` - up(small_luma)): small (h, w, 3), small_luma and slope
        (h, w), picture (H, W, 3); an array (H, W, 3) that the caller owns."""
        up = np.asarray(cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR), np.uint8)
        cv2.resize(slope, self._size, dst=self._slope, interpolation=cv2.INTER_LINEAR)
        cv2.resize(small_luma, self._size, dst=self._coarse, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY, dst=self._luma)
        cv2.subtract(self._luma, self._coarse, dst=self._detail, dtype=cv2.CV_32F)
        # Upwards, then downwards, each in saturating bytes: half the cost of signed values in three channels.
        for sign, apply in ((1, cv2.add), (-1, cv2.subtract)):
            cv2.multiply(self._detail, self._slope, dst=self._step, scale=sign, dtype=cv2.CV_8U)
            cv2.cvtColor(self._step, cv2.COLOR_GRAY2RGB, dst=self._steps)
            apply(up, self._steps, dst=up)
        return up


class GuidedUpsampling:
    """Brings paintings up to (height, width). Keeps scratch space: for one thread at a time."""

    def __init__(self, height: int, width: int, working: tuple[int, int]) -> None:
        """working: (h, w) of the paintings."""
        self._sum = DetailSum(height, width)
        self._slopes = Slopes(*working)
        self._small_luma = np.empty(working, np.uint8)
        self._painted_luma = np.empty(working, np.uint8)

    def __call__(self, painted: Picture, small: Picture, picture: Picture) -> Picture:
        """The painting (h, w, 3) of `small` (h, w, 3), a reduced `picture` (H, W, 3), at the size of the
        latter; an array that the caller owns."""
        cv2.cvtColor(small, cv2.COLOR_RGB2GRAY, dst=self._small_luma)
        cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY, dst=self._painted_luma)
        slope = self._slopes(self._small_luma, self._painted_luma)
        return self._sum(painted, self._small_luma, slope, picture)
