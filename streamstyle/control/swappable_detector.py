"""A detector that can be replaced while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping

from streamstyle.types import AnalysisPair, AnomalyMap, Detector, Kind, Picture


class SwappableDetector:
    """Implements `Detector` by another one. `use` replaces it between two frames, from any thread."""

    def __init__(self, detector: Detector) -> None:
        self._detector = self._asked = detector

    def use(self, detector: Detector) -> None:
        """Replace the detector from the next frame on; it starts without history."""
        self._asked = detector

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """See `streamstyle.types.Detector`."""
        return self._detector.detect(source, styled, analysis)

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """See `streamstyle.types.Detector`."""
        scores = self._detector.commit(styled, touched=touched)
        self._detector = self._asked
        return scores

    def reset(self) -> None:
        """See `streamstyle.types.Detector`."""
        self._detector.reset()
