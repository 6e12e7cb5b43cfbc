"""How far the picture has moved with the camera, from the frames of the source."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

_SIDE = 320  # pixels of the longer side that points are tracked at
_POINTS, _APART = 80, 14  # tracked, and pixels between two of them
_WINDOW, _HALVINGS = (11, 11), 2  # around a point: enough for 40 pixels beyond what is expected
_LEAST_POINTS = 16
_ALIKE = 1.0  # pixels by which points that move with the camera differ
_AGREEING = 0.6  # share of points that must move alike
_SPREAD = 0.55  # of the frame's width, between the outermost of them: a person in the middle is no camera
_FAR = 0.15  # of the longer side: new points are chosen after that
_STEP = 0.25  # pixels of the frame, in which the shift is told


@dataclass(frozen=True, eq=False)
class _Reference:
    """A frame whose points are found again in later ones."""

    luma: NDArray[np.uint8]
    points: NDArray[np.float32]
    """(N, 1, 2), x and y."""
    shift: NDArray[np.float64]
    """(2,), y and x: the shift at that frame, in pixels of `luma`."""


class CameraMotion:
    """Sums up the motion of the camera over the frames of a run, in order.

    Points of a reference frame are tracked (Lucas and Kanade 1981, pyramids after Bouguet 2000). Where most
    of them, across the whole frame, have moved alike, the camera has moved so; otherwise it counts as
    standing: after a cut, behind a person who fills the frame, while a lens zooms. Tracking from a reference,
    not from frame to frame, keeps small errors from adding up.
    """

    def __init__(self) -> None:
        self._reference: _Reference | None = None
        self._last: NDArray[np.uint8] | None = None
        self._moved = np.zeros(2)
        self._told = (0.0, 0.0)

    def shift(self, picture: Picture) -> tuple[float, float]:
        """(down, right) in pixels: how far what the first frame showed has moved in this next one (H, W, 3).
        The same numbers while the camera stands."""
        scale = min(1.0, _SIDE / max(picture.shape[:2]))
        luma = np.asarray(cv2.cvtColor(_reduced(picture, scale), cv2.COLOR_RGB2GRAY), np.uint8)
        last = self._last if self._last is not None and self._last.shape == luma.shape else None
        if last is None or not (self._follow(luma) or self._follow_from(last, luma)):
            self._reference = _reference(luma, self._moved)
        self._last = luma
        now = self._moved / scale
        if np.abs(now - self._told).max() >= _STEP:
            down, right = (float(_STEP * round(x / _STEP)) for x in now)
            self._told = down, right
        return self._told

    def _follow_from(self, before: NDArray[np.uint8], luma: NDArray[np.uint8]) -> bool:
        """The same with points of the previous frame."""
        self._reference = _reference(before, self._moved)
        return self._follow(luma)

    def _follow(self, luma: NDArray[np.uint8]) -> bool:
        """Add the motion since the reference; False if it is not known."""
        reference = self._reference
        if reference is None:
            return False
        guess = (reference.points + (self._moved - reference.shift)[::-1]).astype(np.float32)
        flags = cv2.OPTFLOW_USE_INITIAL_FLOW
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            reference.luma, luma, reference.points, guess, winSize=_WINDOW, maxLevel=_HALVINGS, flags=flags
        )
        known = status[:, 0] == 1
        motion = (found - reference.points)[known, 0]
        if len(motion) < _LEAST_POINTS:
            return False
        alike = np.abs(motion - np.median(motion, axis=0)).max(axis=1) < _ALIKE
        if (
            alike.sum() < _AGREEING * len(known)
            or np.ptp(found[known, 0, 0][alike]) < _SPREAD * luma.shape[1]
        ):
            return False
        by = np.median(motion[alike], axis=0)[::-1]
        self._moved = reference.shift + by
        if np.abs(by).max() > _FAR * max(luma.shape):
            self._reference = _reference(luma, self._moved)
        return True


def _reduced(picture: Picture, scale: float) -> Picture:
    size = [max(1, round(scale * side)) for side in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _reference(luma: NDArray[np.uint8], shift: NDArray[np.float64]) -> _Reference | None:
    """None for a picture with too few points."""
    points = cv2.goodFeaturesToTrack(luma, _POINTS, 0.01, _APART)
    if points is None or len(points) < _LEAST_POINTS:
        return None
    return _Reference(luma, points.astype(np.float32, copy=False), shift)
