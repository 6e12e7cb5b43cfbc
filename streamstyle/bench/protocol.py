"""The protocol: which films, styles, injections and scenes, and what is measured of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench import baselines
from streamstyle.bench.injections import (
    Film,
    Injected,
    Injection,
    alternating_gain,
    chroma_ramp,
    damage,
    gamma,
    patch_gain,
    sine_gain,
    texture,
    window_gain,
)
from streamstyle.bench.runs import Judged, judge
from streamstyle.bench.scenes import SCENES, Scene
from streamstyle.bench.statistics import auroc, auroc_interval, overlap
from streamstyle.metrics.repair import repaired_share
from streamstyle.metrics.similarity import psnr
from streamstyle.temporal.tiles import COLUMNS, ROWS

FIRST = 26
"""First frame that may be hit: the colour map of a shot is fitted to the 24 before."""

LATEST = 6
"""Frames after an onset within which an alarm still counts as its own."""

_COVERED = 0.5  # share of a tile that a mask covers when the tile ought to be flagged

INJECTIONS: tuple[Injection, ...] = (
    *(alternating_gain(a) for a in (0.01, 0.03, 0.05, 0.1)),
    *(sine_gain(a) for a in (0.03, 0.05)),
    gamma(0.1),
    window_gain(0.05),
    *(patch_gain(area, 0.1) for area in (0.025, 0.08, 0.25)),
    patch_gain(0.08, 0.1, moving=True),
    *(texture(rms) for rms in (0.03, 0.05)),
    *(chroma_ramp(rate) for rate in (0.05, 0.1, 0.3)),
    *(damage(name) for name in ("duplicate", "black", "blocks", "blur", "elastic")),
)
QUICK = ("gain 3%", "patch 8.0% of 10%", "texture 0.05", "drift 0.3 dE")
QUICK_SCENES = ("clean", "exposure steps", "strobe", "shake", "cuts")
COMPARED = ("gain 5%", "patch 8.0% of 10%", "texture 0.05")
"""Injections on which the baselines' repairs run as well."""


@dataclass(frozen=True)
class Subject:
    """A film, another one to cut to, and how one style paints such films. fps: of the film."""

    clip: str
    style: str
    film: Film
    other: Film
    fps: float
    stylize: Callable[[Film], Film]


@dataclass
class Tally:
    """What was measured, one entry per subject in every list."""

    positive: defaultdict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: defaultdict(list))
    negative: defaultdict[tuple[str, str], list[NDArray[np.float64]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    recall: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    latency: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    tiles: defaultdict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    repair: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    alarms: defaultdict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    identical: list[bool] = field(default_factory=list)
    touched_psnr: list[float] = field(default_factory=list)
    detect: list[float] = field(default_factory=list)
    correct: list[float] = field(default_factory=list)


def measure(subjects: Sequence[Subject], injections: Sequence[Injection], scenes: Sequence[Scene]) -> Tally:
    """Run everything. The seed of each draw depends on the subject and on what is drawn, nothing else."""
    # One thread: timings are per core, and small pictures gain nothing from two.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    tally = Tally()
    try:
        for number, subject in enumerate(subjects):
            clean = subject.stylize(subject.film)
            for index, scene in enumerate(scenes):
                rng = np.random.default_rng([number, 0, index])
                film = scene.apply(subject.film, subject.other, rng)
                painted = clean if scene.name == "clean" else subject.stylize(film)
                _count_negative_(tally, scene.name, subject.fps, film, painted, judge(film, painted))
            for index, injection in enumerate(injections):
                rng = np.random.default_rng([number, 1, index])
                injected = injection.apply(clean, FIRST, rng)
                _count_positive_(tally, injection, subject.film, clean, injected)
    finally:
        cv2.setNumThreads(threads)
    return tally


def _count_negative_(tally: Tally, scene: str, fps: float, film: Film, painted: Film, judged: Judged) -> None:
    for family, scores in judged.scores.items():
        tally.negative[family, scene].append(scores)
    for name, score in baselines.SCORES.items():
        tally.negative[name, scene].append(score(film, painted))
    alarms = judged.alarms
    rising = int((alarms & ~np.concatenate([[False], alarms[:-1]])).sum())
    tally.alarms[scene].append((rising, len(alarms) / fps / 60))
    same = [np.array_equal(a, b) for a, b in zip(judged.left, painted, strict=True)]
    tally.identical += same
    tally.touched_psnr += [psnr(a, b) for a, b, s in zip(judged.left, painted, same, strict=True) if not s]
    quiet = ~alarms
    quiet[0] = False
    tally.detect += judged.detect_seconds[quiet].tolist()


def _count_positive_(tally: Tally, injection: Injection, film: Film, clean: Film, injected: Injected) -> None:
    judged = judge(film, injected.frames)
    hit, name = np.flatnonzero(injected.hit), injection.name
    tally.positive[name].append(judged.scores[injection.family][injected.onset])
    if injection.family == "step":
        for baseline, score in baselines.SCORES.items():
            tally.positive[f"{name} by {baseline}"].append(score(film, injected.frames)[injected.onset])
    flagged = judged.flagged(injection.family)
    for onset in np.flatnonzero(injected.onset if injection.family != "drift" else _start(injected.onset)):
        window = flagged[onset:] if injection.family == "drift" else flagged[onset : onset + LATEST]
        found = np.flatnonzero(window)
        tally.recall[name].append(bool(len(found)))
        if len(found):
            tally.latency[name].append(int(found[0]))
    if name.startswith(("patch", "moving")):
        for index in np.flatnonzero(injected.onset & flagged):
            tally.tiles[name].append(overlap(judged.maps[index].tiles, _tiles(injected.masks[index])))
    tally.correct += judged.correct_seconds[flagged].tolist()
    _count_repair_(tally, "streamstyle", name, judged.left, injected, clean, hit)
    if name in COMPARED:
        for baseline, repair in baselines.REPAIRS.items():
            _count_repair_(tally, baseline, name, repair(film, injected.frames), injected, clean, hit)


def _count_repair_(
    tally: Tally, who: str, name: str, left: Film, injected: Injected, clean: Film, hit: NDArray[np.intp]
) -> None:
    stacks = (np.stack([frames[i] for i in hit]) for frames in (left, injected.frames, clean))
    tally.repair[name, who].append(repaired_share(*stacks))


def _start(onset: NDArray[np.bool_]) -> NDArray[np.bool_]:
    first = np.zeros_like(onset)
    first[np.flatnonzero(onset)[:1]] = True
    return first


def _tiles(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    share = cv2.resize(mask.astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= _COVERED, np.bool_)


def figures(tally: Tally, injections: Sequence[Injection]) -> dict[str, Any]:
    """The tally as plain numbers; see docs/anomaly-benchmark.md for what each of them means."""
    scenes = list(tally.alarms)
    cells = {
        injection.name: {
            scene: auroc_interval(
                tally.positive[injection.name], tally.negative[injection.family, scene]
            ).to_json()
            for scene in scenes
        }
        for injection in injections
    }
    return {
        "auroc": cells,
        "auroc_of_baselines": dict(_baseline_cells(tally, injections, scenes)),
        "auroc_of_shuffled_labels": _shuffled(tally, injections),
        "recall": {name: round(float(np.mean(found)), 4) for name, found in tally.recall.items()},
        "latency_frames": {
            name: {
                "median": float(np.median(ages)),
                "p95": float(np.quantile(ages, 0.95)),
                "found": len(ages),
            }
            for name, ages in tally.latency.items()
        },
        "tiles": {
            name: {"f1": round(f1, 3), "iou": round(iou, 3)}
            for name, (f1, iou) in ((n, np.mean(v, axis=0).tolist()) for n, v in tally.tiles.items())
        },
        "repaired": {
            f"{name} by {who}": round(float(np.mean(shares)), 3)
            for (name, who), shares in tally.repair.items()
        },
        "false_alarms": {scene: _alarm_rate(counts) for scene, counts in tally.alarms.items()},
        "bit_identical": round(float(np.mean(tally.identical)), 5),
        "touched_psnr_median": round(float(np.median(tally.touched_psnr)), 1) if tally.touched_psnr else None,
        "detect_ms": _median_ms(tally.detect),
        "correct_ms": _median_ms(tally.correct),
    }


def _baseline_cells(
    tally: Tally, injections: Sequence[Injection], scenes: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    for injection in injections:
        for baseline in baselines.SCORES:
            key = f"{injection.name} by {baseline}"
            if key in tally.positive:
                positive = np.concatenate(tally.positive[key])
                yield (
                    key,
                    {
                        s: round(auroc(positive, np.concatenate(tally.negative[baseline, s])), 4)
                        for s in scenes
                    },
                )


def _shuffled(tally: Tally, injections: Sequence[Injection]) -> float:
    """Mean AUROC when positives and negatives are mixed up: a protocol without a leak gives 0.5."""
    rng = np.random.default_rng(0)
    found = []
    for injection in injections:
        positive = np.concatenate(tally.positive[injection.name])
        negative = np.concatenate(tally.negative[injection.family, "clean"])
        mixed = rng.permutation(np.concatenate([positive, negative]))
        found.append(auroc(mixed[: len(positive)], mixed[len(positive) :]))
    return round(float(np.mean(found)), 3)


def _alarm_rate(counts: Sequence[tuple[int, float]]) -> dict[str, float]:
    alarms, minutes = (float(sum(column)) for column in zip(*counts, strict=True))
    return {"alarms": alarms, "minutes": round(minutes, 2), "per_minute": round(alarms / minutes, 2)}


def _median_ms(seconds: Sequence[float]) -> float | None:
    return round(1e3 * float(np.median(seconds)), 2) if seconds else None


def chosen(names: Sequence[str] | None) -> tuple[Injection, ...]:
    """The injections of these names, all where None."""
    by_name: Mapping[str, Injection] = {injection.name: injection for injection in INJECTIONS}
    return INJECTIONS if names is None else tuple(by_name[name] for name in names)


def chosen_scenes(names: Sequence[str] | None) -> tuple[Scene, ...]:
    """The scenes of these names, all where None."""
    return tuple(scene for scene in SCENES if names is None or scene.name in names)
