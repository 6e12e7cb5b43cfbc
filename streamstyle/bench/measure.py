"""One film in one style: the results of every scene, injection and repair."""

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
    FIRST_HIT_FRAME,
    MAX_LATENCY_FRAMES,
    chosen,
    chosen_scenes,
    injections_for,
)
from streamstyle.bench.runs import Method, MethodResult, run_method
from streamstyle.bench.stabilising import stabilised
from streamstyle.bench.statistics import overlap, rising_edges
from streamstyle.bench.subjects import InjectionResult, SceneResult, StabiliseResult, Subject, SubjectResult
from streamstyle.metrics.repaired_share import repaired_share
from streamstyle.metrics.similarity import psnr
from streamstyle.pipeline.opencv_threads import single_threaded_opencv
from streamstyle.temporal.tiles import COLUMNS, ROWS
from streamstyle.types import Kind

_COVERED = 0.5  # share of a tile that a mask covers when the tile ought to be flagged


@dataclass(frozen=True)
class Plan:
    """The parts of a measurement."""

    injections: Sequence[str] | None = None
    """Names of the injections, None for all."""
    scenes: Sequence[str] | None = None
    """Names of the scenes, None for all."""
    methods: Sequence[Method] = ()
    """Methods to compare with."""
    repairs: bool = False
    """Run the repairs of those methods too."""
    consistencies: Sequence[float] = ()
    """Consistencies of stabilise mode, to be measured on the clean film."""


@dataclass
class _Results:
    """Results of one method, as they come."""

    method: Method
    negatives: list[SceneResult] = field(default_factory=list)
    injections: list[InjectionResult] = field(default_factory=list)
    detect: list[float] = field(default_factory=list)
    correct: list[float] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    stabilised: list[StabiliseResult] = field(default_factory=list)

    def of(self, subject: Subject) -> SubjectResult:
        name, found = self.method.name, (self.negatives, self.injections)
        timed, shown = (self.detect, self.correct), (self.examples, self.stabilised)
        return SubjectResult(subject.clip, subject.style, name, *found, *timed, *shown)


def measure(subject: Subject, plan: Plan) -> list[SubjectResult]:
    """Run everything: one entry for the product, then one for each method of comparison.

    The seed of each draw depends only on the names of the subject and of the drawn quantity.
    """
    # Timings are per core, and small pictures gain nothing from two threads.
    with single_threaded_opencv():
        return _measured(subject, plan)


def _measured(subject: Subject, plan: Plan) -> list[SubjectResult]:
    ours, others = _Results(Method()), [_Results(method) for method in plan.methods]
    repairs = {name: _Results(Method(name)) for name in baselines.REPAIRS} if plan.repairs else {}
    motion = subject.motion or estimated_motion(subject.film)
    clean = subject.painter.paint(subject.film)
    fails = failing(subject.film, subject.fps)
    ours.stabilised += stabilised(subject, clean, plan.consistencies, fails)
    for scene in chosen_scenes(plan.scenes):
        film = scene.apply(subject.film, subject.other, _rng(subject.clip, scene.name))
        painted = clean if scene.name == "clean" else subject.painter.paint(film)
        for results in [ours, *(others if scene.name in COMPARED_SCENES else ())]:
            _measure_scene_(results, subject, scene.name, film, painted)
        for name, results in repairs.items() if scene.name == "clean" else ():
            left = baselines.REPAIRS[name](film, painted)
            results.negatives.append(_scene_result(scene.name, subject, painted, left, None))
    for injection in chosen(plan.injections, injections_for(subject.film, subject.painter)):
        seeded = _rng(subject.clip, subject.style, injection.name)
        injected = injection.apply(clean, FIRST_HIT_FRAME, seeded)
        leak = motion if injection.name in COMPARED else None
        for results in [ours, *(others if injection.name in COMPARED else ())]:
            _measure_injection_(results, subject, injection, clean, injected, leak, fails)
        for name, results in repairs.items() if injection.name in COMPARED else ():
            left = baselines.REPAIRS[name](subject.film, injected.frames)
            results.injections.append(_injection_result(injection, clean, injected, left, leak))
    return [results.of(subject) for results in (ours, *others, *repairs.values())]


def _rng(*names: str) -> np.random.Generator:
    return np.random.default_rng(crc32(" ".join(names).encode()))


def _measure_scene_(results: _Results, subject: Subject, scene: str, film: Film, painted: Film) -> None:
    conditions = subject.painter.conditions(film)
    run = run_method(film, painted, results.method, fps=subject.fps, conditions=conditions)
    negative = _scene_result(scene, subject, painted, run.corrected, run)
    if results.method.ours:
        held = [not np.array_equal(a, b) for a, b in zip(run.left, run.corrected, strict=True)]
        negative = replace(
            negative,
            held=np.array(held),
            flashes=new_flashes(failing(film, subject.fps), painted, run.left, subject.fps),
        )
    results.negatives.append(negative)
    quiet = ~negative.alarms
    quiet[0] = False
    results.detect += run.detect_seconds[quiet].tolist()
    if not results.method.ours:
        return
    negative.scores.update({name: score(film, painted) for name, score in baselines.SCORES.items()})
    if negative.alarms.any():
        score = np.where(negative.alarms, negative.scores["any"], 0)
        at, shown = int(score.argmax()), run.maps[int(score.argmax())]
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
                pictures(before, shown, run.corrected[at]),
            )
        )


def _scene_result(
    scene: str, subject: Subject, painted: Film, left: Film, run: MethodResult | None
) -> SceneResult:
    """left: the repaired film; flashes are measured separately. run: None for a repair without detection."""
    same = np.array([np.array_equal(a, b) for a, b in zip(left, painted, strict=True)])
    rest = [psnr(left[i], painted[i]) for i in np.flatnonzero(~same)]
    minutes = len(painted) / subject.fps / 60
    if run is None:
        return SceneResult(scene, minutes, {}, {}, np.zeros(len(painted), np.bool_), same, rest)
    found = [set(m.kinds) for m in run.maps]
    edges = {str(kind): rising_edges(np.array([kind in kinds for kinds in found])) for kind in Kind}
    return SceneResult(scene, minutes, dict(run.scores), edges, run.alarms, same, rest)


def _measure_injection_(
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
    run = run_method(subject.film, injected.frames, results.method, fps=subject.fps, conditions=conditions)
    found = _injection_result(injection, clean, injected, run.corrected, motion, run)
    if results.method.ours:
        flashes = new_flashes(fails, injected.frames, run.left, subject.fps)
        found = replace(found, flashes=flashes)
    results.injections.append(found)
    results.correct += run.correct_seconds[found.flagged].tolist()
    if not results.method.ours:
        return
    if injection.family in {"frame", "step"}:
        found.scores.update(
            {n: score(subject.film, injected.frames) for n, score in baselines.SCORES.items()}
        )
    lost = [
        at for at in np.flatnonzero(injected.onset) if not found.flagged[at : at + MAX_LATENCY_FRAMES].any()
    ]
    if injection.name in EXPECTED and lost:
        scores = found.scores[injection.family]
        at = int(min(lost, key=lambda i: scores[i : i + MAX_LATENCY_FRAMES].max()))
        change = cv2.convertScaleAbs(cv2.absdiff(injected.frames[at], clean[at]), alpha=8)
        before = (
            ("input", subject.film[at]),
            ("what was injected, times 8", np.asarray(change, np.uint8)),
            ("injected", injected.frames[at]),
        )
        results.examples.append(
            Example(
                MISSED,
                injection.name,
                subject.clip,
                subject.style,
                at,
                float(scores[at : at + MAX_LATENCY_FRAMES].max()),
                ", ".join(run.maps[at].kinds),
                pictures(before, run.maps[at], None),
            )
        )


def _injection_result(
    injection: Injection,
    clean: Film,
    injected: Injected,
    left: Film,
    motion: Motion | None,
    run: MethodResult | None = None,
) -> InjectionResult:
    """motion: for the ghost leak; None leaves it out. run: None for a repair that does not detect."""
    hit = np.flatnonzero(injected.hit)
    repaired = repaired_share(*([film[i] for i in hit] for film in (left, injected.frames, clean)))
    ghosts = _ghosts(injected.frames, left, hit, motion) if motion is not None else []
    flagged, scores = np.zeros(len(clean), np.bool_), {}
    overlaps: list[tuple[float, float]] = []
    if run is not None:
        flagged, scores = run.flagged(injection.family), dict(run.scores)
        for index in np.flatnonzero(injected.onset & flagged) if "patch" in injection.series else ():
            true = _tiles(injected.masks[index])
            if true.any():
                overlaps.append(overlap(run.maps[index].tiles, true))
    return InjectionResult(
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
