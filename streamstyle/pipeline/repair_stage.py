"""Repair one styled frame: detect, paint again, correct, commit, limit flashes.

A run, `streamstyle repair` and the benchmark all repair through `RepairStage`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from streamstyle.pipeline.event_log import EventLog, describe
from streamstyle.types import (
    Action,
    AnalysisPair,
    AnomalyEvent,
    AnomalyMap,
    Corrector,
    Detector,
    EngineSpec,
    FlashLimiter,
    Frame,
    FrameQuality,
    Kind,
    Observer,
    Picture,
    StyleCondition,
)

REPAINTED = {Kind.FLICKER, Kind.POP, Kind.DISTORTION, Kind.STYLE}
"""Kinds for which a frame is worth painting again."""

MOVED = {Kind.FLICKER, Kind.POP, Kind.DRIFT, Kind.TEXTURE, Kind.STYLE}
"""Kinds that a crossfade from style to style shows by itself."""

PAINTED_AGAIN = "painted again"
REPAINT_PAUSE = 15
"""Frames for which painting again is not tried after it did not help."""


@dataclass(frozen=True)
class PaintedFrame:
    """A frame as an engine painted it."""

    frame: Frame
    """The input."""
    picture: Picture
    """Its painting, of the same size."""
    condition: StyleCondition
    """The condition that it was painted under."""
    spec: EngineSpec | None = None
    """The engine that painted it; None where that never changes."""
    analysis: AnalysisPair | None = None
    """See `Detector.detect`."""
    repaint: Callable[[], Picture] | None = None
    """Paints the frame again with other statistics; None if the engine cannot."""


@dataclass(frozen=True)
class RepairedFrame:
    """The findings on a frame, and its repair."""

    anomaly: AnomalyMap
    """Findings of the detector and of the flash limiter."""
    action: Action
    """The repair."""

    @property
    def quality(self) -> FrameQuality:
        """The record for the sinks."""
        found = self.anomaly
        score = max((found.scores[kind] / found.thresholds[kind] for kind in found.scores), default=0.0)
        return FrameQuality(score, found.kinds, np.abs(found.tile_score), self.action.name)


class Repair(Protocol):
    """Repairs styled frames one after the other, in order."""

    def repair_(self, painted: PaintedFrame) -> RepairedFrame:
        """Repair `painted.picture` in place. Raises EngineError, SinkError (of the event log)."""


class RepairStage:
    """Implements `Repair`. Steps: detect, paint again, correct, commit, limit flashes, log.

    The result of painting again is kept if it halves the worst score. The stage drops its history when the
    style codes change at once or the engine changes, because a new style is not a flicker of the old one.
    While codes fade, only findings that a fade does not cause are used.

    events: gets every flagged frame. observer: see there.
    """

    def __init__(
        self,
        detector: Detector,
        corrector: Corrector,
        flash_limiter: FlashLimiter | None = None,
        events: EventLog | None = None,
        observer: Observer[AnomalyEvent] | None = None,
    ) -> None:
        self._detector = detector
        self._corrector = corrector
        self._flash_limiter = flash_limiter
        self._events = events
        self._observer = observer
        self._rest = 0
        self._last: tuple[StyleCondition, EngineSpec | None] | None = None

    def repair_(self, painted: PaintedFrame) -> RepairedFrame:
        """See `Repair`."""
        self._reset_where_painted_anew(painted)
        frame, picture = painted.frame, painted.picture
        found = self._detector.detect(frame.pixels, picture, painted.analysis)
        anomaly = without_fade(found, painted.condition)
        if self._observer is not None:
            self._observer.found(frame, picture, anomaly)
        rest = self._paint_again_(painted, anomaly)
        action = self._corrector.correct_(picture, rest)
        if rest is not anomaly:
            action = replace(action, name=f"{PAINTED_AGAIN} + {action.name}".removesuffix(" + none"))
        after = self._detector.commit(picture, touched=action.touched)
        # After the commit: the next frame must not be compared with a flash that was held back.
        if self._flash_limiter is not None:
            anomaly, action = self._flash_limiter.limit_(frame, picture, anomaly, action)
        if anomaly.flagged:
            self._log(painted, anomaly, action, after)
        return RepairedFrame(anomaly, action)

    def _reset_where_painted_anew(self, painted: PaintedFrame) -> None:
        last, self._last = self._last, (painted.condition, painted.spec)
        if last is not None and (painted.spec != last[1] or restyled(painted.condition, last[0])):
            self._detector.reset()
            self._corrector.reset()

    def _paint_again_(self, painted: PaintedFrame, anomaly: AnomalyMap) -> AnomalyMap:
        """Paint a frame again. If that halves its worst score, replace it in place and return its new map;
        otherwise return the given map."""
        rest, wait = anomaly, self._rest
        self._rest = max(0, self._rest - 1)
        wanted = REPAINTED & set(anomaly.kinds) and not painted.condition.fading and wait == 0
        if painted.repaint is None or not wanted:
            return rest
        picture = painted.repaint()
        found = self._detector.detect(painted.frame.pixels, picture)
        if _worst(found) <= 0.5 * _worst(anomaly):
            np.copyto(painted.picture, picture)
            return found
        self._detector.detect(painted.frame.pixels, painted.picture)  # the one that `commit` takes in
        self._rest = REPAINT_PAUSE - 1
        return anomaly

    def _log(
        self, painted: PaintedFrame, anomaly: AnomalyMap, action: Action, after: Mapping[Kind, float]
    ) -> None:
        event = describe(painted.frame, anomaly, action, after)
        if self._events is not None:
            self._events.add(event)
        if self._observer is not None:
            self._observer.repaired(painted.frame, painted.picture, anomaly, event)


def without_fade(anomaly: AnomalyMap, condition: StyleCondition) -> AnomalyMap:
    """The map without the findings that a fade causes, and without smoothing."""
    if not condition.fading:
        return anomaly
    meant = {*MOVED, Kind.DISTORTION} if condition.low_contrast else MOVED
    scores = {**anomaly.scores, **dict.fromkeys(meant, 0.0)}
    kinds = tuple(kind for kind in anomaly.kinds if kind not in meant)
    return replace(anomaly, scores=scores, kinds=kinds, frame_step=0.0, smoothing=0.0)


def restyled(condition: StyleCondition, before: StyleCondition) -> bool:
    """True if the style was changed at once, on purpose, between these two frames."""
    same = before.codes is condition.codes or np.array_equal(before.codes, condition.codes)
    return not (same and before.colour == condition.colour) and not condition.fading


def _worst(anomaly: AnomalyMap) -> float:
    return max(anomaly.scores[kind] / anomaly.thresholds[kind] for kind in REPAINTED)
