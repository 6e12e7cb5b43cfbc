"""Thresholds that learn what is normal for a style and a scene."""

from __future__ import annotations

from collections import deque
from statistics import median

WINDOW = 96
WARM_UP = 6


class RunningThreshold:
    """`max(floor, multiple * median of the last 96 scores)`.

    An anomaly in less than half of the window leaves the threshold alone, while a style that flickers all the
    time by itself raises it until it is the exception again that is flagged: a score enters clipped to the
    present threshold, so this happens step by step. The first 6 scores are judged against twice the floor.
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
            self.value = max(self._floor, self._multiple * median(self._scores))
