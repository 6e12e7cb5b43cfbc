"""Thresholds that learn what is normal for a style and a scene."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

WINDOW = 96
WARM_UP = 6


class RunningThreshold:
    """`max(floor, multiple * median of 96 scores)`.

    Of scores above the threshold only one in `reluctance` is learnt, clipped to it. So an anomaly leaves the
    threshold unchanged for at least that many seconds, while a style that flickers all the time raises it
    step by step until only exceptions are flagged. The first 6 scores are compared with twice the floor.
    """

    def __init__(self, floor: float, multiple: float, reluctance: int = 1) -> None:
        self._floor = floor
        self._multiple = multiple
        self._reluctance = reluctance
        self._scores: deque[float] = deque()
        self._sorted: list[float] = []
        self._above = 0
        self.value = 2 * floor
        """The level above which the next score is flagged."""

    def learn(self, score: float) -> None:
        """Take one more score."""
        if score > self.value:
            self._above += 1
            if self._above % self._reluctance:
                return
        self._scores.append(min(score, self.value))
        insort(self._sorted, self._scores[-1])
        if len(self._scores) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._scores.popleft())]
        if len(self._scores) >= WARM_UP:
            self.value = max(self._floor, self._multiple * self._median())

    def _median(self) -> float:
        half = len(self._sorted) // 2
        return (self._sorted[half] + self._sorted[~half]) / 2
