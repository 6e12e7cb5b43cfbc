"""Motion between two frames at high resolution, for keyframe painting."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.cuts import CutConfig, likeness
from streamstyle.temporal.motion import FINE_SIDE, MIN_ANALYSIS_SIZE, BackwardFlow, photometric_mask, warp
from streamstyle.types import Motion, Picture

BLUR_WINDOW = (7, 7)
"""Window in pixels over which lumas are averaged before comparison: half a pixel of flow error in grass is
not new content."""
TOLERANCE = 10.0
"""Levels by which corresponding lumas may differ after averaging and removal of local brightness."""
MIN_FOUND_SHARE = 0.85
"""Share of the pixels that must be found again."""
MAX_BRIGHTNESS_CHANGE = 4.0
"""Largest mean change of brightness, in levels."""

_BRIGHTNESS_GRID = (12, 9)  # columns, rows
_LIKENESS_SIZE = (64, 36)


class FineMotion:
    """Implements `MotionSearch` on lumas of at most `side` pixels a side. At the detector's 214, propagated
    paintings are further from painted frames (docs/sizes.md)."""

    def __init__(self, side: int = FINE_SIDE) -> None:
        self._side = side
        self._flow: BackwardFlow | None = None
        self._size = (0, 0)
        self._cut = CutConfig()

    def seen(self, pixels: Picture) -> NDArray[np.uint8]:
        """The luma (h, w)."""
        height, width = pixels.shape[:2]
        scale = min(1.0, self._side / max(height, width))
        size = (
            max(MIN_ANALYSIS_SIZE[1], round(width * scale)),
            max(MIN_ANALYSIS_SIZE[0], round(height * scale)),
        )
        luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        if size != (width, height):
            luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        return np.asarray(luma, np.uint8)

    def back(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> Motion:
        """See `MotionSearch`."""
        size = (now.shape[0], now.shape[1])
        if self._flow is None or size != self._size:
            self._flow, self._size = BackwardFlow(size), size
        flow = self._flow.estimate(now, before)
        positions = self._flow.positions(flow)
        moved = warp(before, positions)
        smooth, smooth_moved = (np.asarray(cv2.blur(x, BLUR_WINDOW), np.uint8) for x in (now, moved))
        trust = photometric_mask(smooth, smooth_moved, positions, TOLERANCE)
        same = cv2.countNonZero(trust) >= MIN_FOUND_SHARE * trust.size and self._alike(now, moved)
        return Motion(flow, trust, same and _light(now, moved) <= MAX_BRIGHTNESS_CHANGE)

    def _alike(self, now: NDArray[np.uint8], moved: NDArray[np.uint8]) -> bool:
        one, other = (
            np.asarray(cv2.resize(x, _LIKENESS_SIZE, interpolation=cv2.INTER_AREA), np.float32)
            for x in (now, moved)
        )
        return likeness(one, other) >= self._cut.likeness


def _light(now: NDArray[np.uint8], moved: NDArray[np.uint8]) -> float:
    """Mean change of brightness over places of the picture, in levels."""
    one, other = (cv2.resize(x, _BRIGHTNESS_GRID, interpolation=cv2.INTER_AREA) for x in (now, moved))
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size
