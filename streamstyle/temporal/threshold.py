"""Thresholds that learn what is normal for a style and a scene."""

from __future__ import annotations

from collections import deque

WINDOW = 96
WARM_UP = 6


class RunningThreshold:
    """`max(floor, multiple * q)`, q the 80 % quantile of the last 96 scores.

    A score enters clipped to the present threshold: an anomaly in less than a fifth of the window leaves
    the threshold alone, while a style that flickers all the time by itself raises it step by step until it
    is the exception again that is flagged. The first 6 scores are judged against twice the floor.
    """

    def __init__(self, floor: float, multiple: float) -> None:
        self._floor = floor
        self._multiple = multiple
        self._scores: deque[float] = deque(maxlen=WINDOW)
        self.value = 2 * floor
        """The level above which the next score is flagged."""

    def learn(self, score: float) -> None:
        """Take one more score as normal."""
        self._scores.append(min(score, self.value))
        if len(self._scores) >= WARM_UP:
            quantile = sorted(self._scores)[round(0.8 * (len(self._scores) - 1))]
            self.value = max(self._floor, self._multiple * quantile)
