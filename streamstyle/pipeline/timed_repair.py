"""Time the repair of frames without touching it: wrappers around its protocols."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from streamstyle.pipeline.repair_stage import PaintedFrame, Repair, RepairedFrame
from streamstyle.types import AnalysisPair, AnomalyEvent, AnomalyMap, Detector, Frame, Kind, Observer, Picture


class Stopwatch:
    """Adds up seconds until they are taken."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def time(self, began: float) -> None:
        """Add the time since `began`, a `time.perf_counter()`."""
        self._seconds += time.perf_counter() - began

    def take(self) -> float:
        """The seconds so far; starts again at 0."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


class TimedDetector:
    """Implements `Detector`: times another one."""

    def __init__(self, inner: Detector, watch: Stopwatch) -> None:
        self._inner = inner
        self._watch = watch

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """See `Detector`."""
        began = time.perf_counter()
        found = self._inner.detect(source, styled, analysis)
        self._watch.time(began)
        return found

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """See `Detector`."""
        began = time.perf_counter()
        scores = self._inner.commit(styled, touched=touched)
        self._watch.time(began)
        return scores

    def reset(self) -> None:
        """See `Detector`."""
        self._inner.reset()


class TimedRepair:
    """Implements `Repair`: times another one whose detector is a `TimedDetector`.

    report: gets the seconds of detection and those of correction, for each frame. detecting: the detector's
    watch. untimed: sums the time that counts as neither.
    """

    def __init__(
        self,
        inner: Repair,
        detecting: Stopwatch,
        report: Callable[[float, float], None],
        untimed: Stopwatch | None = None,
    ) -> None:
        self._inner = inner
        self._detecting = detecting
        self._report = report
        self._untimed = untimed or Stopwatch()

    def repair_(self, painted: PaintedFrame) -> RepairedFrame:
        """See `Repair`."""
        began = time.perf_counter()
        repaired = self._inner.repair_(painted)
        total, detect = time.perf_counter() - began, self._detecting.take()
        self._report(detect, max(0.0, total - detect - self._untimed.take()))
        return repaired


class UntimedObserver:
    """Implements `Observer`: calls another one, whose time does not count as repair."""

    def __init__(self, inner: Observer[AnomalyEvent], watch: Stopwatch) -> None:
        self._inner = inner
        self._watch = watch

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:
        """See `Observer`."""
        began = time.perf_counter()
        self._inner.found(frame, styled, anomaly)
        self._watch.time(began)

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: AnomalyEvent) -> None:
        """See `Observer`."""
        began = time.perf_counter()
        self._inner.repaired(frame, styled, anomaly, event)
        self._watch.time(began)
