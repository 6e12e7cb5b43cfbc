"""Analysis pictures, backward flow on the input, warping, and where the warp can be trusted.

All temporal judgements use small *analysis pictures*: uint8 YCrCb (h, w, 3), full range, about 160x90
whatever the size of the video.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.tiles import TileGrid, Tiles
from streamstyle.types import Picture

LONG_SIDE = 160
FINE_SIDE = 640
MIN_ANALYSIS_SIZE = (36, 64)  # height, width


def analysis_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) of the analysis picture: aspect kept, long side at most 160, at least 36x64."""
    scale = min(1.0, LONG_SIDE / max(height, width))
    return max(MIN_ANALYSIS_SIZE[0], round(height * scale)), max(MIN_ANALYSIS_SIZE[1], round(width * scale))


def analysis_picture(picture: Picture, size: tuple[int, int]) -> Picture:
    """RGB (H, W, 3) to YCrCb (h, w, 3), size = (h, w).

    Halved, then interpolated: half the cost of OpenCV's means over fractions of pixels.
    """
    picture = halved(picture, size)
    if picture.shape[:2] != size:
        picture = np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), np.uint8)


def halved(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W) or (H, W, 3), halved as often as possible without becoming smaller than size (h,
    w)."""
    while picture.shape[0] >= 2 * size[0] and picture.shape[1] >= 2 * size[1]:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def halvings(height: int, width: int) -> int:
    """Number of halvings by `halved` to `analysis_size` while both sides are even. Means of 2x2 pixels,
    rounded up from a half, then give the same result bit for bit."""
    size, count = analysis_size(height, width), 0
    while not (height % 2 or width % 2) and height >= 2 * size[0] and width >= 2 * size[1]:
        height, width, count = height // 2, width // 2, count + 1
    return count


def fine_luma(picture: Picture) -> NDArray[np.uint8]:
    """RGB (H, W, 3) to its luma with a long side of at most 640 pixels. Smoothing mixes in past pixels all
    the time, so halving the flow's error is worth its cost."""
    height, width = picture.shape[:2]
    scale = min(1.0, FINE_SIDE / max(height, width))
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return np.asarray(luma, np.uint8)


def luma_of(picture: Picture) -> NDArray[np.uint8]:
    """Analysis picture (h, w, 3) to its luma (h, w)."""
    return np.asarray(cv2.extractChannel(picture, 0), np.uint8)


class Analysis:
    """An analysis picture, uint8 YCrCb (h, w, 3), with cached derived values."""

    def __init__(self, pixels: Picture) -> None:
        self.pixels = pixels
        self._edges: Tiles | None = None

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """Luma (h, w)."""
        return luma_of(self.pixels)

    def warped(self, positions: NDArray[np.float32]) -> Analysis:
        """The picture sampled at `BackwardFlow.positions`."""
        return Analysis(warp(self.pixels, positions))

    @cached_property
    def gradient(self) -> NDArray[np.uint8]:
        """|dx| + |dy| of luma (h, w), a quarter of Sobel's: whole numbers, so that two runs agree to the last
        bit."""
        dx, dy = cv2.spatialGradient(self.luma)
        across, down = cv2.convertScaleAbs(dx, alpha=0.25), cv2.convertScaleAbs(dy, alpha=0.25)
        return np.asarray(cv2.add(across, down), np.uint8)

    def edges(self, grid: TileGrid) -> Tiles:
        """Mean square of `gradient` over each tile, float32 (9, 12); counted once."""
        if self._edges is None:
            self._edges = grid.mean_square(self.gradient)
        return self._edges

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """Mean of each channel, (3,), 0..1."""
        return np.array(cv2.mean(self.pixels)[:3], np.float32) / np.float32(255)


class BackwardFlow:
    """Previous position of each pixel, by dense inverse search (Kroeger et al. 2016), "ultrafast".

    size: (h, w) of the analysis pictures. Each estimate starts from zero flow, so it depends on its two
    pictures only.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        height, width = size
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        rows, columns = np.mgrid[:height, :width]
        self._grid = np.stack([columns, rows], axis=-1).astype(np.float32)

    def estimate(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Lumas (h, w) to the displacement (dx, dy) back to the previous position of every pixel of `now`,
        float32 (h, w, 2)."""
        flow = self._search.calc(now, before, None)  # type: ignore[call-overload]
        return np.asarray(flow, np.float32)

    def positions(self, flow: NDArray[np.float32]) -> NDArray[np.float32]:
        """Flow (h, w, 2) to positions (x, y) in pixels for `warp`, (h, w, 2)."""
        return np.asarray(cv2.add(flow, self._grid), np.float32)


def warp(
    picture: NDArray[np.uint8], positions: NDArray[np.float32], into: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Sample a picture (h, w), (h, w, 3) or (h, w, 4) bilinearly at `positions`; edges are replicated. into:
    memory to use."""
    if picture.ndim == 3 and picture.shape[2] == 3:
        # Three channels would take OpenCV twice as long as four.
        four = warp(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), np.uint8), positions)
        return np.asarray(cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, dst=into), np.uint8)
    at = cv2.remap(  # type: ignore[call-overload]
        picture, positions, None, cv2.INTER_LINEAR, dst=into, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(at, np.uint8)


def photometric_mask(
    now: NDArray[np.uint8], warped: NDArray[np.uint8], positions: NDArray[np.float32], tolerance: float
) -> NDArray[np.uint8]:
    """255 where the warped past explains the present up to a local change of brightness, else 0.

    now, warped: luma (h, w). tolerance: in levels of 0..255. The local mean of the difference (over about a
    tile) is subtracted first: a light that is switched on changes brightness, not correspondence. Pixels from
    outside the picture are 0.
    """
    height, width = now.shape
    difference = cv2.subtract(now, warped, dtype=cv2.CV_16S)
    local = cv2.blur(difference, (width // 10 | 1, height // 8 | 1))
    odd = cv2.convertScaleAbs(cv2.subtract(difference, local))
    mask = cv2.threshold(odd, tolerance, 255, cv2.THRESH_BINARY_INV)[1]
    inside = cv2.inRange(positions, (0, 0, 0, 0), (width - 1, height - 1, 0, 0))
    return np.asarray(cv2.bitwise_and(mask, inside), np.uint8)
