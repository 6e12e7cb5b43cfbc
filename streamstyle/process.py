"""The heart: stylize, detect, correct in place, frame by frame and in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from streamstyle.telemetry import AnomalyEvent, EventLog, StageTimer, describe
from streamstyle.types import (
    Action,
    AnomalyMap,
    Corrector,
    Detector,
    Engine,
    EngineSpec,
    FlashLimiter,
    Frame,
    FrameQuality,
    InferenceFuture,
    Kind,
    Observer,
    Picture,
    Repaint,
    Repainter,
    StyleCondition,
)

REPAINTED = {Kind.FLICKER, Kind.POP, Kind.DISTORTION, Kind.STYLE}
"""Kinds for which a frame is worth painting again."""

MOVED = {Kind.FLICKER, Kind.POP, Kind.DRIFT, Kind.TEXTURE, Kind.STYLE}
"""Kinds that a crossfade from style to style shows by itself."""

PAINTED_AGAIN = "painted again"
REST = 15
"""Frames for which painting again is not tried after it did not help."""


@dataclass(frozen=True)
class _Started:
    """A frame that the engine is painting. spec: of the engine that does."""

    frame: Frame
    condition: StyleCondition
    spec: EngineSpec
    again: Repaint | None
    future: InferenceFuture


class Process:
    """Turns source frames into styled, repaired frames.

    As many frames are in flight in the engine as it asks for, and `spare` ones more, so that it has enough to
    do while a frame is repaired. 0 where frames that are younger by one are worth more: then a frame that is
    painted is repaired after the next one, if one waits, was started. Results are taken back in order, which
    the detector needs. Without a detector frames leave as the engine made them.

    condition: how to paint a frame, asked once for each, in order. What is not painted is not judged. The
    detector forgets its past where the style codes change, and where another engine goes on: the new
    style is no flicker of the old one. While codes move it is believed only in what does not come from
    there. guard: has the last word on every frame. observer: is told what was found and done. overlay:
    draws that over a frame, in place, which nobody but the viewer sees any more. repainter: paints a
    flagged frame again, which is kept if its score halves.
    """

    def __init__(
        self,
        engine: Engine,
        condition: Callable[[Frame], StyleCondition],
        detector: Detector | None,
        corrector: Corrector,
        events: EventLog,
        flash_limiter: FlashLimiter | None = None,
        observer: Observer[AnomalyEvent] | None = None,
        overlay: Callable[[Frame, Picture, AnomalyMap, Action], None] | None = None,
        repainter: Repainter | None = None,
        spare: int = 1,
    ) -> None:
        self._engine = engine
        self._condition = condition
        self._detector = detector
        self._corrector = corrector
        self._events = events
        self._flash_limiter = flash_limiter
        self._observer = observer
        self._overlay = overlay
        self._repainter = repainter
        self._spare = spare
        self._rest = 0
        self._committed: tuple[StyleCondition, EngineSpec] | None = None
        self.condition_timer = StageTimer()
        self.detect_timer = StageTimer()
        self.correct_timer = StageTimer()
        self.overlay_timer = StageTimer()

    def __call__(self, frames: Iterable[Frame | None]) -> Iterator[Frame]:
        """Styled frames, one for each source frame. None: no frame waits, and the first in flight is wanted
        if it is painted; until then another None, or a frame, may follow."""
        pending: deque[_Started] = deque()
        painted: deque[tuple[_Started, Picture]] = deque()
        for frame in frames:
            if frame is not None:
                pending.append(self._start(frame))
            elif pending and not painted and pending[0].future.is_ready():
                painted.append(_painted(pending.popleft()))
            while painted:
                yield self._finish(*painted.popleft())
            while pending and len(pending) >= pending[-1].spec.in_flight + self._spare:
                painted.append(_painted(pending.popleft()))
                if self._spare:
                    yield self._finish(*painted.popleft())
        for job in chain(painted, map(_painted, pending)):
            yield self._finish(*job)

    def _start(self, frame: Frame) -> _Started:
        started = time.perf_counter()
        condition = self._condition(frame)
        self.condition_timer.add(time.perf_counter() - started)
        again = None if self._repainter is None else self._repainter.remember()
        future = self._engine.start(frame.pixels, condition)
        spec = self._engine.spec  # after the start, which may have begun with another engine
        return _Started(frame, condition, spec, again, future)

    def _finish(self, started: _Started, styled: Picture) -> Frame:
        frame, condition = started.frame, started.condition
        quality = None
        if self._detector is not None and started.spec.paints:
            if self._committed is not None and _starts_anew(started, *self._committed):
                self._detector.reset()
                self._corrector.reset()
            self._committed = condition, started.spec
            quality = self._repair_(started, styled, self._detector)
        name = condition.name if started.spec.paints else ""
        return replace(frame, pixels=styled, style=name, quality=quality)

    def _repair_(self, job: _Started, styled: Picture, detector: Detector) -> FrameQuality:
        frame = job.frame
        again = None if job.again is None else partial(job.again, frame.pixels, job.condition)
        started = time.perf_counter()
        analysis = job.future.analysis()
        anomaly = excused(detector.detect(frame.pixels, styled, analysis), job.condition)
        detected = time.perf_counter()
        if self._observer is not None:
            self._observer.found(frame, styled, anomaly)
        looked = time.perf_counter()
        rest = anomaly
        if (
            again is not None
            and not job.condition.fading
            and REPAINTED & set(anomaly.kinds)
            and self._rest == 0
        ):
            rest = _repaint_(frame, styled, detector, anomaly, again)
            self._rest = REST if rest is anomaly else 0
        self._rest = max(0, self._rest - 1)
        action = self._corrector.correct_(styled, rest)
        if rest is not anomaly:
            action = replace(action, name=f"{PAINTED_AGAIN} + {action.name}".removesuffix(" + none"))
        corrected = time.perf_counter()
        after = detector.commit(styled, touched=action.touched)
        committed = time.perf_counter()
        # After the commit: what the guard holds back is no past to find the next frame at fault against.
        if self._flash_limiter is not None:
            anomaly, action = self._flash_limiter.limit_(frame, styled, anomaly, action)
        self.detect_timer.add(detected - started + committed - corrected)
        self.correct_timer.add(corrected - looked + time.perf_counter() - committed)
        if anomaly.flagged:
            event = describe(frame, anomaly, action, after)
            self._events.add(event)
            if self._observer is not None:
                self._observer.repaired(frame, styled, anomaly, event)
        if self._overlay is not None:
            drawing = time.perf_counter()
            self._overlay(frame, styled, anomaly, action)
            self.overlay_timer.add(time.perf_counter() - drawing)
        score = max((anomaly.scores[k] / anomaly.thresholds[k] for k in anomaly.scores), default=0.0)
        return FrameQuality(score, anomaly.kinds, np.abs(anomaly.tile_score), action.name)


def _painted(job: _Started) -> tuple[_Started, Picture]:
    return job, job.future.result()


def _repaint_(
    frame: Frame, styled: Picture, detector: Detector, anomaly: AnomalyMap, again: Callable[[], Picture]
) -> AnomalyMap:
    """Paint a frame again, in place where that halves its worst score; what is found of it then. Otherwise
    the map that was given."""
    picture = again()
    rest = detector.detect(frame.pixels, picture)
    if _worst(rest) <= 0.5 * _worst(anomaly):
        np.copyto(styled, picture)
        return rest
    detector.detect(frame.pixels, styled)  # the one that `commit` takes in
    return anomaly


def _worst(anomaly: AnomalyMap) -> float:
    return max(anomaly.scores[kind] / anomaly.thresholds[kind] for kind in REPAINTED)


def excused(anomaly: AnomalyMap, condition: StyleCondition) -> AnomalyMap:
    """The map without what a fade does to every frame, and without smoothing against it."""
    if not condition.fading:
        return anomaly
    meant = {*MOVED, Kind.DISTORTION} if condition.low_contrast else MOVED
    scores = {**anomaly.scores, **dict.fromkeys(meant, 0.0)}
    kinds = tuple(kind for kind in anomaly.kinds if kind not in meant)
    return replace(anomaly, scores=scores, kinds=kinds, frame_step=0.0, smoothing=0.0)


def begins_anew(condition: StyleCondition, before: StyleCondition) -> bool:
    """Is a frame painted otherwise than the one before, on purpose and at once?"""
    same = before.codes is condition.codes or np.array_equal(before.codes, condition.codes)
    return not (same and before.colour == condition.colour) and not condition.fading


def _starts_anew(started: _Started, before: StyleCondition, spec: EngineSpec) -> bool:
    return started.spec != spec or begins_anew(started.condition, before)
