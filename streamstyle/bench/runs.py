"""The detector, the corrector and the flash guard over a whole film, and their results for each frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.injections import Film
from streamstyle.pipeline.repair_stage import PaintedFrame, RepairStage
from streamstyle.pipeline.timed_repair import Stopwatch, TimedDetector, TimedRepair
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.flash_limiter import WcagFlashLimiter
from streamstyle.types import (
    Action,
    AnomalyMap,
    Corrector,
    Detector,
    FlashLimiter,
    Frame,
    Kind,
    Picture,
    StyleCondition,
)

OURS = "streamstyle"

STEPS = (Kind.FLICKER, Kind.POP)
FAMILIES: dict[str, tuple[Kind, ...]] = {
    "frame": STEPS,
    "step": STEPS,
    "texture": (Kind.TEXTURE,),
    "drift": (Kind.DRIFT,),
    "damage": (Kind.DISTORTION, Kind.DUPLICATE),
    "style": (Kind.STYLE,),
    "any": tuple(Kind),
}
"""Kinds that should notice an injection of a family: steps of the whole frame, or of a part of it ..."""


@dataclass(frozen=True)
class MethodResult:
    """Result of a method on a film."""

    scores: dict[str, NDArray[np.float64]]
    """float (n,) for each family: score over threshold, above 1 is flagged. "frame" is the part of the step's
    score that concerns the whole frame."""
    maps: list[AnomalyMap]
    """Findings of the detector."""
    corrected: Film
    """The frames as the corrector left them."""
    left: Film
    """The frames as they left, after the flash guard."""
    detect_seconds: NDArray[np.float64]
    """Seconds of detection, (n,)."""
    correct_seconds: NDArray[np.float64]
    """Seconds of correction and flash guard, (n,)."""

    def flagged(self, family: str) -> NDArray[np.bool_]:
        """bool (n,): some kind of the family was flagged."""
        return np.array([bool(set(FAMILIES[family]) & set(found.kinds)) for found in self.maps], np.bool_)

    @property
    def alarms(self) -> NDArray[np.bool_]:
        """bool (n,): anything was flagged."""
        return np.array([found.flagged for found in self.maps], np.bool_)


@dataclass(frozen=True)
class Method:
    """A way to repair a film, by default the product's."""

    name: str = OURS
    """Name for the tables."""
    detector: Callable[[], Detector] = ResidualDetector
    corrector: Callable[[], Corrector] = RepairCorrector

    @property
    def ours(self) -> bool:
        """True for the product itself."""
        return self.name == OURS


def timed(film: Film, fps: float) -> Iterator[Frame]:
    """The pictures as frames of a source, `fps` a second."""
    tick = 1 / Fraction(fps).limit_denominator(10**6)
    return (Frame(picture, i, i, tick, 1, 0.0) for i, picture in enumerate(film))


class _BeforeLimiting:
    """Implements `FlashLimiter`: records findings and repairs before another limiter acts, because a limited
    flash is not an alarm of the detector, true or false."""

    def __init__(self, inner: FlashLimiter, watch: Stopwatch) -> None:
        self._inner = inner
        self._watch = watch
        self.maps: list[AnomalyMap] = []
        self.corrected: list[Picture | None] = []

    def limit_(
        self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action
    ) -> tuple[AnomalyMap, Action]:
        """See `FlashLimiter`."""
        began = time.perf_counter()
        self.maps.append(anomaly)
        self.corrected.append(styled.copy() if action.touched else None)
        self._watch.time(began)
        return self._inner.limit_(frame, styled, anomaly, action)


def run_method(
    source: Film,
    styled: Film,
    method: Method = Method(),
    *,
    fps: float = 30.0,
    conditions: Sequence[StyleCondition] | None = None,
) -> MethodResult:
    """Detect and repair frame by frame, by the stage of a run. Pictures RGB uint8 (H, W, 3); none is changed.
    conditions: how each frame was painted; None for all alike. Nothing is painted again, because a second
    painting would simply lack the injected errors."""
    detecting, untimed = Stopwatch(), Stopwatch()
    noted = _BeforeLimiting(WcagFlashLimiter(), untimed)
    seconds, left = list[tuple[float, float]](), list[Picture]()
    repair = TimedRepair(
        RepairStage(TimedDetector(method.detector(), detecting), method.corrector(), noted),
        detecting,
        lambda *spent: seconds.append(spent),
        untimed,
    )
    alike = StyleCondition(np.zeros((2, 0), np.float32))
    for before, after, condition in zip(
        timed(source, fps), styled, conditions or repeat(alike, len(source)), strict=True
    ):
        picture = after.copy()
        repair.repair_(PaintedFrame(before, picture, condition))
        left.append(picture)
    maps = noted.maps
    corrected = [after if kept is None else kept for after, kept in zip(styled, noted.corrected, strict=True)]
    scores = {
        family: np.array([max(m.scores[k] / m.thresholds[k] for k in kinds) for m in maps])
        for family, kinds in FAMILIES.items()
    }
    scores["frame"] = np.array([m.frame_step for m in maps])
    detect_seconds, correct_seconds = np.array(seconds).reshape(-1, 2).T
    return MethodResult(scores, maps, corrected, left, detect_seconds, correct_seconds)
