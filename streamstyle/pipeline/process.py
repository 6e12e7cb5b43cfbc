"""Stylize and repair frames, in order, with several in flight in the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from streamstyle.flow import Wakeup
from streamstyle.pipeline.repair_stage import PaintedFrame, Repair
from streamstyle.types import (
    Action,
    AnomalyMap,
    Engine,
    EngineSpec,
    Frame,
    InferenceFuture,
    Picture,
    Repaint,
    Repainter,
    StyleCondition,
)


@dataclass(frozen=True)
class _Started:
    """A frame that the engine is painting. spec: of the engine that does."""

    frame: Frame
    condition: StyleCondition
    spec: EngineSpec
    again: Repaint | None
    future: InferenceFuture


class Process:
    """Turns source frames into styled, repaired frames, in order.

    The engine has as many frames in flight as it requires, and `spare` more, so that it is busy while a frame
    is repaired. With `spare` 0 frames leave younger: the next waiting frame is started before a painted one
    is repaired.

    condition: called once for each frame, in order, for how to paint it. repair: repairs painted frames; None
    leaves them as the engine painted them. repainter: can paint a flagged frame again. overlay: draws over a
    repaired frame, in place, findings and repairs. wakeup: called when the engine has painted a frame.
    """

    def __init__(
        self,
        engine: Engine,
        condition: Callable[[Frame], StyleCondition],
        repair: Repair | None = None,
        *,
        repainter: Repainter | None = None,
        overlay: Callable[[Frame, Picture, AnomalyMap, Action], None] | None = None,
        spare: int = 1,
        wakeup: Wakeup | None = None,
    ) -> None:
        self._engine = engine
        self._condition = condition
        self._repair = repair
        self._repainter = repainter
        self._overlay = overlay
        self._spare = spare
        self._wakeup = wakeup

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
        condition = self._condition(frame)
        again = None if self._repainter is None else self._repainter.remember()
        future = self._engine.start(frame.pixels, condition)
        if self._wakeup is not None:
            self._wakeup.watch(future)
        spec = self._engine.spec  # after the start, which may have begun with another engine
        return _Started(frame, condition, spec, again, future)

    def _finish(self, job: _Started, styled: Picture) -> Frame:
        frame, condition = job.frame, job.condition
        if not job.spec.paints:
            return replace(frame, pixels=styled, style="", quality=None)
        if self._repair is None:
            return replace(frame, pixels=styled, style=condition.name, quality=None)
        again = None if job.again is None else partial(job.again, frame.pixels, condition)
        repaired = self._repair.repair_(
            PaintedFrame(frame, styled, condition, job.spec, job.future.analysis(), again)
        )
        if self._overlay is not None:
            self._overlay(frame, styled, repaired.anomaly, repaired.action)
        return replace(frame, pixels=styled, style=condition.name, quality=repaired.quality)


def _painted(job: _Started) -> tuple[_Started, Picture]:
    return job, job.future.result()
