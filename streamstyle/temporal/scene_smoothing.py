"""Share of past statistics for each frame, chosen before it is painted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.cuts import CutConfig, likeness
from streamstyle.types import Frame

MAX_SMOOTHING = 0.6
"""Share of the past at full consistency. A larger share lags behind a moving camera, and pulses."""


class SceneSmoothing:
    """`StyleCondition.ema_decay` of each frame of one film: a share of the past, 0 in the first frame of a
    shot.

    The detector finds cuts better, but only after the frame was painted. A mistake here costs one frame of
    smoothing.
    """

    def __init__(self, consistency: float) -> None:
        """consistency: 0..1."""
        self._hold = MAX_SMOOTHING * consistency
        self._least = CutConfig().likeness
        self._before: NDArray[np.float32] | None = None

    def of(self, frame: Frame) -> float:
        """0..1 for this frame, the next of the film."""
        luma = cv2.cvtColor(
            cv2.resize(frame.pixels, (64, 36), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        now = np.asarray(luma, np.float32)
        before, self._before = self._before, now
        return self._hold if before is not None and likeness(now, before) >= self._least else 0.0
