"""Detection on every second frame while nothing is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from streamstyle.temporal.detector import neutral
from streamstyle.types import AnalysisPair, AnomalyMap, Detector, Kind, Picture


class SparseDetector:
    """Implements `Detector` around another. While `enabled` is set, the frame after an unflagged one is
    skipped and reported as clean. A detector that smooths every frame skips none."""

    def __init__(self, inner: Detector) -> None:
        self._inner = inner
        self._unseen = False
        self._clean = False
        self.enabled = False
        self.skipped = 0

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """See `Detector`."""
        self._unseen = self.enabled and self._clean
        if self._unseen:
            self._clean = False
            self.skipped += 1
            return neutral()
        found = self._inner.detect(source, styled, analysis)
        self._clean = not found.flagged and not found.smoothing
        return found

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """See `Detector`."""
        if self._unseen:
            return dict.fromkeys(Kind, 0.0)
        return self._inner.commit(styled, touched=touched)

    def reset(self) -> None:
        """See `Detector`."""
        self._clean = False
        self._inner.reset()
