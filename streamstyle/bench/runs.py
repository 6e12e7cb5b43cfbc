"""The detector, the corrector and the flash guard over a whole film, and what they said of each frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.injections import Film
from streamstyle.process import begins_anew, excused
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.flash_limiter import WcagFlashLimiter
from streamstyle.types import AnomalyMap, Corrector, Detector, Frame, Kind, StyleCondition

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
"""Which kinds should notice an injection of a family: steps of the whole frame, or of a part of it ..."""


@dataclass(frozen=True)
class Judged:
    """scores: per family, float (n,), score over threshold: above 1 is flagged; of "frame" the part of the
    step's score that speaks of the whole frame. maps: what the detector said. corrected: the frames as the
    corrector left them. left: as they left, after the flash guard.
    seconds: of detection, and of correction and guard, (n,) each."""

    scores: dict[str, NDArray[np.float64]]
    maps: list[AnomalyMap]
    corrected: Film
    left: Film
    detect_seconds: NDArray[np.float64]
    correct_seconds: NDArray[np.float64]

    def flagged(self, family: str) -> NDArray[np.bool_]:
        """bool (n,): some kind of the family was flagged."""
        return np.array([bool(set(FAMILIES[family]) & set(found.kinds)) for found in self.maps], np.bool_)

    @property
    def alarms(self) -> NDArray[np.bool_]:
        """bool (n,): anything was flagged."""
        return np.array([found.flagged for found in self.maps], np.bool_)


@dataclass(frozen=True)
class Method:
    """How a film is repaired, by default as the product does it. name: for the tables."""

    name: str = OURS
    detector: Callable[[], Detector] = ResidualDetector
    corrector: Callable[[], Corrector] = RepairCorrector

    @property
    def ours(self) -> bool:
        """Is it the product as it is?"""
        return self.name == OURS


def timed(film: Film, fps: float) -> Iterator[Frame]:
    """The pictures as frames of a source, `fps` a second."""
    tick = 1 / Fraction(fps).limit_denominator(10**6)
    return (Frame(picture, i, i, tick, 1, 0.0) for i, picture in enumerate(film))


def judge(
    source: Film,
    styled: Film,
    method: Method = Method(),
    *,
    fps: float = 30.0,
    conditions: Sequence[StyleCondition] | None = None,
) -> Judged:
    """Detect and repair frame by frame, as a run does. Pictures RGB uint8 (H, W, 3); none is changed.
    conditions: how each frame was painted; None for all alike."""
    detector, corrector, flash_limiter = method.detector(), method.corrector(), WcagFlashLimiter()
    maps, repaired, left, detecting, correcting = [], [], [], [], []
    last: StyleCondition | None = None
    per_frame = conditions or repeat(None, len(source))
    for before, after, condition in zip(timed(source, fps), styled, per_frame, strict=True):
        picture = after.copy()
        if condition is not None and last is not None and begins_anew(condition, last):
            detector.reset()
            corrector.reset()
        last = condition
        started = time.perf_counter()
        found = detector.detect(before.pixels, picture)
        found = found if condition is None else excused(found, condition)
        detected = time.perf_counter()
        action = corrector.correct_(picture, found)
        corrected = time.perf_counter()
        detector.commit(picture, touched=action.touched)
        judged = time.perf_counter()
        repaired.append(picture.copy() if action.touched else after)
        # A flash that is held back is no alarm of the detector's, true or false.
        guarding = time.perf_counter()
        flash_limiter.limit_(before, picture, found, action)
        maps.append(found)
        left.append(picture)
        detecting.append(detected - started + judged - corrected)
        correcting.append(corrected - detected + time.perf_counter() - guarding)
    scores = {
        family: np.array([max(m.scores[k] / m.thresholds[k] for k in kinds) for m in maps])
        for family, kinds in FAMILIES.items()
    }
    scores["frame"] = np.array([m.frame_step for m in maps])
    return Judged(scores, maps, repaired, left, np.array(detecting), np.array(correcting))
