"""One film in one style: everything that is planted in it or done to it, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench import baselines
from streamstyle.bench.examples import FALSE_ALARM, MISSED, Example, pictures
from streamstyle.bench.flashes import failing, new_flashes
from streamstyle.bench.ghosts import Motion, estimated_motion, ghost_leak
from streamstyle.bench.injections import Film, Injected, Injection
from streamstyle.bench.protocol import (
    COMPARED,
    COMPARED_SCENES,
    EXPECTED,
    FIRST,
    LATEST,
    chosen,
    chosen_scenes,
    planted,
)
from streamstyle.bench.runs import Judged, Method, judge
from streamstyle.bench.statistics import overlap, rising_edges
from streamstyle.bench.steadiness import steadied
from streamstyle.bench.subjects import Measured, Negative, Planted, Steadied, Subject
from streamstyle.metrics.repaired_share import repaired_share
from streamstyle.metrics.similarity import psnr
from streamstyle.pipeline.opencv_threads import single_threaded_opencv
from streamstyle.temporal.tiles import COLUMNS, ROWS
from streamstyle.types import Kind

_COVERED = 0.5  # share of a tile that a mask covers when the tile ought to be flagged


@dataclass(frozen=True)
class Plan:
    """injections, scenes: names, None for all. methods: to compare with. repairs: run those of others.
    consistencies: of stabilise mode, to be measured on the clean film."""

    injections: Sequence[str] | None = None
    scenes: Sequence[str] | None = None
    methods: Sequence[Method] = ()
    repairs: bool = False
    consistencies: Sequence[float] = ()


@dataclass
class _Results:
    """Results of one method, as they come."""

    method: Method
    negatives: list[Negative] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    detect: list[float] = field(default_factory=list)
    correct: list[float] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    steadied: list[Steadied] = field(default_factory=list)

    def of(self, subject: Subject) -> Measured:
        name, found = self.method.name, (self.negatives, self.planted)
        timed, shown = (self.detect, self.correct), (self.examples, self.steadied)
        return Measured(subject.clip, subject.style, name, *found, *timed, *shown)


def measure(subject: Subject, plan: Plan) -> list[Measured]:
    """Run everything: one entry for the product as it is, then one for each method compared with.

    The seed of each draw depends on the names of the subject and of what is drawn, nothing else.
    """
    # Timings are per core, and small pictures gain nothing from two threads.
    with single_threaded_opencv():
        return _measured(subject, plan)


def _measured(subject: Subject, plan: Plan) -> list[Measured]:
    ours, others = _Results(Method()), [_Results(method) for method in plan.methods]
    repairs = {name: _Results(Method(name)) for name in baselines.REPAIRS} if plan.repairs else {}
    motion = subject.motion or estimated_motion(subject.film)
    clean = subject.painter.paint(subject.film)
    fails = failing(subject.film, subject.fps)
    ours.steadied += steadied(subject, clean, plan.consistencies, fails)
    for scene in chosen_scenes(plan.scenes):
        film = scene.apply(subject.film, subject.other, _rng(subject.clip, scene.name))
        painted = clean if scene.name == "clean" else subject.painter.paint(film)
        for results in [ours, *(others if scene.name in COMPARED_SCENES else ())]:
            _judge_scene_(results, subject, scene.name, film, painted)
        for name, results in repairs.items() if scene.name == "clean" else ():
            left = baselines.REPAIRS[name](film, painted)
            results.negatives.append(_negative(scene.name, subject, painted, left, None))
    for injection in chosen(plan.injections, planted(subject.film, subject.painter)):
        seeded = _rng(subject.clip, subject.style, injection.name)
        injected = injection.apply(clean, FIRST, seeded)
        leak = motion if injection.name in COMPARED else None
        for results in [ours, *(others if injection.name in COMPARED else ())]:
            _judge_planted_(results, subject, injection, clean, injected, leak, fails)
        for name, results in repairs.items() if injection.name in COMPARED else ():
            left = baselines.REPAIRS[name](subject.film, injected.frames)
            results.planted.append(_planted(injection, clean, injected, left, leak))
    return [results.of(subject) for results in (ours, *others, *repairs.values())]


def _rng(*names: str) -> np.random.Generator:
    return np.random.default_rng(crc32(" ".join(names).encode()))


def _judge_scene_(results: _Results, subject: Subject, scene: str, film: Film, painted: Film) -> None:
    conditions = subject.painter.conditions(film)
    judged = judge(film, painted, results.method, fps=subject.fps, conditions=conditions)
    negative = _negative(scene, subject, painted, judged.corrected, judged)
    if results.method.ours:
        held = [not np.array_equal(a, b) for a, b in zip(judged.left, judged.corrected, strict=True)]
        negative = replace(
            negative,
            held=np.array(held),
            flashes=new_flashes(failing(film, subject.fps), painted, judged.left, subject.fps),
        )
    results.negatives.append(negative)
    quiet = ~negative.alarms
    quiet[0] = False
    results.detect += judged.detect_seconds[quiet].tolist()
    if not results.method.ours:
        return
    negative.scores.update({name: score(film, painted) for name, score in baselines.SCORES.items()})
    if negative.alarms.any():
        score = np.where(negative.alarms, negative.scores["any"], 0)
        at, shown = int(score.argmax()), judged.maps[int(score.argmax())]
        before = (("input", film[at]), ("before", painted[at]))
        results.examples.append(
            Example(
                FALSE_ALARM,
                scene,
                subject.clip,
                subject.style,
                at,
                float(score[at]),
                ", ".join(shown.kinds),
                pictures(before, shown, judged.corrected[at]),
            )
        )


def _negative(scene: str, subject: Subject, painted: Film, left: Film, judged: Judged | None) -> Negative:
    """left: as it was repaired; flashes have figures of their own. judged: None for a repair that does not
    detect."""
    same = np.array([np.array_equal(a, b) for a, b in zip(left, painted, strict=True)])
    rest = [psnr(left[i], painted[i]) for i in np.flatnonzero(~same)]
    minutes = len(painted) / subject.fps / 60
    if judged is None:
        return Negative(scene, minutes, {}, {}, np.zeros(len(painted), np.bool_), same, rest)
    found = [set(m.kinds) for m in judged.maps]
    edges = {str(kind): rising_edges(np.array([kind in kinds for kinds in found])) for kind in Kind}
    return Negative(scene, minutes, dict(judged.scores), edges, judged.alarms, same, rest)


def _judge_planted_(
    results: _Results,
    subject: Subject,
    injection: Injection,
    clean: Film,
    injected: Injected,
    motion: Motion | None,
    fails: NDArray[np.bool_],
) -> None:
    """fails: bool (n,), frames of the clean input that fail the general-flash test."""
    conditions = subject.painter.conditions(subject.film)
    judged = judge(subject.film, injected.frames, results.method, fps=subject.fps, conditions=conditions)
    found = _planted(injection, clean, injected, judged.corrected, motion, judged)
    if results.method.ours:
        flashes = new_flashes(fails, injected.frames, judged.left, subject.fps)
        found = replace(found, flashes=flashes)
    results.planted.append(found)
    results.correct += judged.correct_seconds[found.flagged].tolist()
    if not results.method.ours:
        return
    if injection.family in {"frame", "step"}:
        found.scores.update(
            {n: score(subject.film, injected.frames) for n, score in baselines.SCORES.items()}
        )
    lost = [at for at in np.flatnonzero(injected.onset) if not found.flagged[at : at + LATEST].any()]
    if injection.name in EXPECTED and lost:
        scores = found.scores[injection.family]
        at = int(min(lost, key=lambda i: scores[i : i + LATEST].max()))
        change = cv2.convertScaleAbs(cv2.absdiff(injected.frames[at], clean[at]), alpha=8)
        before = (
            ("input", subject.film[at]),
            ("what was planted, times 8", np.asarray(change, np.uint8)),
            ("injected", injected.frames[at]),
        )
        results.examples.append(
            Example(
                MISSED,
                injection.name,
                subject.clip,
                subject.style,
                at,
                float(scores[at : at + LATEST].max()),
                ", ".join(judged.maps[at].kinds),
                pictures(before, judged.maps[at], None),
            )
        )


def _planted(
    injection: Injection,
    clean: Film,
    injected: Injected,
    left: Film,
    motion: Motion | None,
    judged: Judged | None = None,
) -> Planted:
    """motion: for the ghost leak; None leaves it out. judged: None for a repair that does not detect."""
    hit = np.flatnonzero(injected.hit)
    repaired = repaired_share(*([film[i] for i in hit] for film in (left, injected.frames, clean)))
    ghosts = _ghosts(injected.frames, left, hit, motion) if motion is not None else []
    flagged, scores = np.zeros(len(clean), np.bool_), {}
    overlaps: list[tuple[float, float]] = []
    if judged is not None:
        flagged, scores = judged.flagged(injection.family), dict(judged.scores)
        for index in np.flatnonzero(injected.onset & flagged) if "patch" in injection.series else ():
            true = _tiles(injected.masks[index])
            if true.any():
                overlaps.append(overlap(judged.maps[index].tiles, true))
    return Planted(
        injection.name,
        injection.family,
        injection.series,
        injection.amplitude,
        scores,
        injected.onset,
        injected.hit,
        flagged,
        overlaps,
        repaired,
        ghosts,
    )


def _ghosts(painted: Film, left: Film, hit: NDArray[np.intp], motion: Motion) -> list[float]:
    touched = [int(i) for i in hit if not np.array_equal(left[i], painted[i])]
    leaks = (ghost_leak(left[i], painted[i], left[i - 1], motion(i)) for i in touched)
    return [leak for leak in leaks if leak is not None]


def _tiles(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    share = cv2.resize(mask.astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= _COVERED, np.bool_)
