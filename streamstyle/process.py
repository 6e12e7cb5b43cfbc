"""The heart: stylize, detect, correct in place, frame by frame and in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamstyle.telemetry import EventLog, StageTimer, describe
from streamstyle.types import Corrector, Detector, Engine, Frame, Pending, Picture


class Process:
    """Turns source frames into styled, repaired frames.

    As many frames are in flight in the engine as it asks for; results are taken back in order, which
    the detector needs. Without a detector frames leave as the engine made them.
    """

    def __init__(
        self,
        engine: Engine,
        code: NDArray[np.float32],
        detector: Detector | None,
        corrector: Corrector,
        events: EventLog,
    ) -> None:
        self._engine = engine
        self._code = code
        self._detector = detector
        self._corrector = corrector
        self._events = events
        self.detect_timer = StageTimer()
        self.correct_timer = StageTimer()

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Styled frames, one for each source frame."""
        pending: deque[tuple[Frame, Pending]] = deque()
        for frame in frames:
            pending.append((frame, self._engine.start(frame.pixels, self._code)))
            if len(pending) > self._engine.spec.in_flight:
                yield self._finish(*pending.popleft())
        while pending:
            yield self._finish(*pending.popleft())

    def _finish(self, frame: Frame, wait: Pending) -> Frame:
        styled = wait()
        if self._detector is not None:
            self._repair_(frame, styled, self._detector)
        return replace(frame, pixels=styled)

    def _repair_(self, frame: Frame, styled: Picture, detector: Detector) -> None:
        started = time.perf_counter()
        anomaly = detector.detect(frame.pixels, styled)
        detected = time.perf_counter()
        action = self._corrector.correct_(styled, anomaly)
        corrected = time.perf_counter()
        after = detector.commit(styled)
        self.detect_timer.add(detected - started + time.perf_counter() - corrected)
        self.correct_timer.add(corrected - detected)
        if anomaly.flagged:
            self._events.add(describe(frame, anomaly, action, after))
