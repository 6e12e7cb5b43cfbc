"""The heart: stylize, detect, correct in place, frame by frame and in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from streamstyle.telemetry import Event, EventLog, StageTimer, describe
from streamstyle.types import (
    Action,
    AnomalyMap,
    Corrector,
    Detector,
    Engine,
    Frame,
    Guard,
    Look,
    Observer,
    Pending,
    Picture,
)


class Process:
    """Turns source frames into styled, repaired frames.

    As many frames are in flight in the engine as it asks for; results are taken back in order, which
    the detector needs. Without a detector frames leave as the engine made them.

    look: how to paint a frame, asked once for each, in order. The detector forgets its past where the style
    codes change: the new style is no flicker of the old one. guard: has the last word on every frame.
    observer: is told what was found and done. overlay: draws that over a frame, in place, which nobody but
    the viewer sees any more.
    """

    def __init__(
        self,
        engine: Engine,
        look: Callable[[Frame], Look],
        detector: Detector | None,
        corrector: Corrector,
        events: EventLog,
        guard: Guard | None = None,
        observer: Observer[Event] | None = None,
        overlay: Callable[[Frame, Picture, AnomalyMap, Action], None] | None = None,
    ) -> None:
        self._engine = engine
        self._look = look
        self._detector = detector
        self._corrector = corrector
        self._events = events
        self._guard = guard
        self._observer = observer
        self._overlay = overlay
        self._committed: Look | None = None
        self.look_timer = StageTimer()
        self.detect_timer = StageTimer()
        self.correct_timer = StageTimer()
        self.overlay_timer = StageTimer()

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Styled frames, one for each source frame."""
        pending: deque[tuple[Frame, Look, Pending]] = deque()
        for frame in frames:
            started = time.perf_counter()
            look = self._look(frame)
            self.look_timer.add(time.perf_counter() - started)
            pending.append((frame, look, self._engine.start(frame.pixels, look)))
            if len(pending) > self._engine.spec.in_flight:
                yield self._finish(*pending.popleft())
        while pending:
            yield self._finish(*pending.popleft())

    def _finish(self, frame: Frame, look: Look, wait: Pending) -> Frame:
        styled = wait()
        if self._detector is not None:
            if self._committed is not None and _codes_differ(look, self._committed):
                self._detector.reset()
                self._corrector.reset()
            self._committed = look
            self._repair_(frame, styled, self._detector)
        return replace(frame, pixels=styled)

    def _repair_(self, frame: Frame, styled: Picture, detector: Detector) -> None:
        started = time.perf_counter()
        anomaly = detector.detect(frame.pixels, styled)
        detected = time.perf_counter()
        if self._observer is not None:
            self._observer.found(frame, styled, anomaly)
        looked = time.perf_counter()
        action = self._corrector.correct_(styled, anomaly)
        if self._guard is not None:
            anomaly, action = self._guard.judge_(frame, styled, anomaly, action)
        corrected = time.perf_counter()
        after = detector.commit(styled, touched=action.touched)
        self.detect_timer.add(detected - started + time.perf_counter() - corrected)
        self.correct_timer.add(corrected - looked)
        if anomaly.flagged:
            event = describe(frame, anomaly, action, after)
            self._events.add(event)
            if self._observer is not None:
                self._observer.repaired(frame, styled, anomaly, event)
        if self._overlay is not None:
            drawing = time.perf_counter()
            self._overlay(frame, styled, anomaly, action)
            self.overlay_timer.add(time.perf_counter() - drawing)


def _codes_differ(a: Look, b: Look) -> bool:
    return a.codes is not b.codes and not np.array_equal(a.codes, b.codes)
