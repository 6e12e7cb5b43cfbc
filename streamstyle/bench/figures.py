"""Measurements to plain numbers; docs/anomaly-benchmark.md explains each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.ablations import ALWAYS_ON
from streamstyle.bench.baselines import SCORES
from streamstyle.bench.protocol import ALARMS_A_MINUTE, COMPARED, COMPARED_SCENES, MAX_LATENCY_FRAMES
from streamstyle.bench.runs import FAMILIES, OURS
from streamstyle.bench.statistics import auroc, auroc_interval, operating_point, rate_bound, rising_edges
from streamstyle.bench.subjects import InjectionResult, SceneResult, StabiliseResult, SubjectResult

UNSIGNED = "unsigned"
"""The ablation that uses the texture score for steps."""

STATES = ("style",)
"""Families of lasting faults: all of their frames count, not only the first."""

EVERY_FILM = "every film"


def figures(measured: Sequence[SubjectResult]) -> dict[str, Any]:
    """All that is known of these subjects. measured: at least one of the product's own."""
    ours = [m for m in measured if m.method == OURS]
    films, negatives = [p for m in ours for p in m.injections], [n for m in ours for n in m.negatives]
    names, scenes = _unique(p.name for p in films), _unique(n.scene for n in negatives)
    points = _operating_points(negatives)
    by_name = {name: [p for p in films if p.name == name] for name in names}
    touched = [value for n in negatives for value in n.psnr]
    return {
        "clips": _unique(m.clip for m in ours),
        "styles": _unique(m.style for m in ours),
        "auroc": {name: {scene: _cell(ours, name, scene) for scene in scenes} for name in names},
        "auroc_of_baselines": _baseline_cells(by_name, negatives, scenes),
        "auroc_of_shuffled_labels": _shuffled(films, negatives),
        "recall": {name: _recall(found) for name, found in by_name.items()},
        "operating_points": points,
        "recall_at_operating_point": {
            name: _recall(found, points[found[0].family]["threshold"]) for name, found in by_name.items()
        },
        "latency_frames": {name: _latency(found) for name, found in by_name.items() if _ages(found)},
        "tiles": {name: _tiles(found) for name, found in by_name.items() if any(p.overlaps for p in found)},
        "repaired": {name: round(_mean(p.repaired for p in found), 3) for name, found in by_name.items()},
        "ghost_leak": {
            name: _ghosts(found) for name, found in by_name.items() if any(p.ghosts for p in found)
        },
        "false_alarms": {scene: _alarms([n for n in negatives if n.scene == scene]) for scene in scenes},
        "false_alarms_everywhere": _alarms(negatives),
        "bit_identical": _share(n.identical for n in negatives),
        "bit_identical_clean": _share(n.identical for n in negatives if n.scene == "clean"),
        "guard_held": _share(n.held for n in negatives),
        "touched_psnr_median": round(float(np.median(touched)), 1) if touched else None,
        "stabilise": _stabilise(ours),
        "new_flashes": _flashes(ours),
        "detect_ms": _median_ms([s for m in ours for s in m.detect]),
        "correct_ms": _median_ms([s for m in ours for s in m.correct]),
        "methods": _methods(measured),
    }


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _pooled(found: Sequence[InjectionResult], score: str) -> NDArray[np.float64]:
    """Scores at the onsets, of states on all frames hit."""
    return np.concatenate([p.scores[score][p.hit if p.family in STATES else p.onset] for p in found])


def _everything(found: Sequence[SceneResult], score: str) -> NDArray[np.float64]:
    return np.concatenate([n.scores[score] for n in found])


def _cell(ours: Sequence[SubjectResult], name: str, scene: str) -> list[float]:
    """[AUROC, low, high]; the styles of a clip are one group, because they are not independent draws."""
    positive, negative = [], []
    for clip in _unique(m.clip for m in ours):
        films = [p for m in ours if m.clip == clip for p in m.injections if p.name == name]
        scenes = [n for m in ours if m.clip == clip for n in m.negatives if n.scene == scene]
        if films and scenes:
            positive.append(_pooled(films, films[0].family))
            negative.append(_everything(scenes, films[0].family))
    return auroc_interval(positive, negative).to_json()


def _baseline_cells(
    by_name: dict[str, list[InjectionResult]], negatives: Sequence[SceneResult], scenes: Sequence[str]
) -> dict[str, dict[str, float]]:
    return {
        f"{name} by {score}": {
            scene: round(
                auroc(_pooled(found, score), _everything([n for n in negatives if n.scene == scene], score)),
                4,
            )
            for scene in scenes
        }
        for name, found in by_name.items()
        for score in SCORES
        if score in found[0].scores
    }


def _shuffled(films: Sequence[InjectionResult], negatives: Sequence[SceneResult]) -> float:
    """Mean AUROC when positives and negatives are mixed up: a protocol without a leak gives 0.5."""
    rng = np.random.default_rng(0)
    found = []
    for name in _unique(p.name for p in films):
        injected = [p for p in films if p.name == name]
        positive = _pooled(injected, injected[0].family)
        negative = _everything([n for n in negatives if n.scene == "clean"], injected[0].family)
        mixed = rng.permutation(np.concatenate([positive, negative]))
        found.append(auroc(mixed[: len(positive)], mixed[len(positive) :]))
    return round(_mean(found), 3)


def _operating_points(negatives: Sequence[SceneResult]) -> dict[str, dict[str, float]]:
    """Per family the threshold, as a multiple of the shipped one, that costs ALARMS_A_MINUTE."""
    minutes = sum(n.minutes for n in negatives)
    limit = ALARMS_A_MINUTE * minutes
    found = {}
    for family in FAMILIES:
        scores = [n.scores[family] for n in negatives]
        threshold = operating_point(scores, limit)
        alarms = sum(rising_edges(s > threshold) for s in scores)
        shipped = sum(rising_edges(s > 1) for s in scores)
        found[family] = {
            "threshold": round(threshold, 4),
            "per_minute": round(alarms / minutes, 3),
            "per_minute_as_shipped": round(shipped / minutes, 3),
        }
    return found


def _found(injected: InjectionResult, threshold: float | None) -> list[int | None]:
    """Frames until the alarm, for each onset; None without an alarm in time. A drift has one onset, and its
    alarm may come at any time."""
    flagged = injected.flagged if threshold is None else injected.scores[injected.family] > threshold
    onsets = np.flatnonzero(injected.onset)
    latest = MAX_LATENCY_FRAMES
    if injected.family == "drift":
        onsets, latest = onsets[:1], len(flagged)
    ages = (np.flatnonzero(flagged[at : at + latest]) for at in onsets)
    return [int(found[0]) if len(found) else None for found in ages]


def _recall(found: Sequence[InjectionResult], threshold: float | None = None) -> float:
    return round(_mean(age is not None for p in found for age in _found(p, threshold)), 4)


def _ages(found: Sequence[InjectionResult]) -> list[int]:
    return [age for p in found for age in _found(p, None) if age is not None]


def _latency(found: Sequence[InjectionResult]) -> dict[str, float]:
    ages = _ages(found)
    told = {"median": float(np.median(ages)), "p95": float(np.quantile(ages, 0.95)), "found": len(ages)}
    if found[0].family == "drift":
        # The k-th drifting frame is k + 1 steps away from the clean colours.
        told["median_dE"] = round(found[0].amplitude * (told["median"] + 1), 2)
        told["p95_dE"] = round(found[0].amplitude * (told["p95"] + 1), 2)
    return told


def _tiles(found: Sequence[InjectionResult]) -> dict[str, float]:
    f1, iou = np.mean([o for p in found for o in p.overlaps], axis=0).tolist()
    return {"f1": round(f1, 3), "iou": round(iou, 3)}


def _ghosts(found: Sequence[InjectionResult]) -> dict[str, float]:
    leaks = [leak for p in found for leak in p.ghosts]
    return {
        "mean": round(_mean(leaks), 4),
        "p95": round(float(np.quantile(leaks, 0.95)), 4),
        "frames": len(leaks),
    }


def _alarms(found: Sequence[SceneResult]) -> dict[str, Any]:
    minutes = sum(n.minutes for n in found)
    alarms = sum(rising_edges(n.alarms) for n in found)
    kinds: Counter[str] = Counter()
    for negative in found:
        kinds.update({kind: count for kind, count in negative.edges.items() if count})
    return {
        "alarms": alarms,
        "minutes": round(minutes, 2),
        "per_minute": round(alarms / minutes, 2),
        "at_most": round(rate_bound(alarms, minutes), 2),
        "kinds": dict(kinds.most_common()),
    }


def _share(frames: Iterable[NDArray[np.bool_] | None]) -> float | None:
    """Share of all frames that are set; None without frames."""
    known = [marks for marks in frames if marks is not None]
    return round(float(np.mean(np.concatenate(known))), 5) if known else None


def _median_ms(seconds: Sequence[float]) -> float | None:
    return round(1e3 * float(np.median(seconds)), 2) if seconds else None


def _stabilise(ours: Sequence[SubjectResult]) -> dict[str, dict[str, Any]]:
    """Means over all subjects by consistency, and over its styles by clip."""
    settings = sorted({s.consistency for m in ours for s in m.stabilised})
    found: dict[str, dict[str, Any]] = {}
    for consistency in settings:
        by_clip = {
            clip: [s for m in ours if m.clip == clip for s in m.stabilised if s.consistency == consistency]
            for clip in _unique(m.clip for m in ours)
        }
        by_clip = {clip: films for clip, films in by_clip.items() if films}
        found[f"{consistency:g}"] = {
            **_steadiness([s for films in by_clip.values() for s in films]),
            "clips": {clip: _steadiness(films) for clip, films in by_clip.items()},
        }
    return found


def _steadiness(films: Sequence[StabiliseResult]) -> dict[str, Any]:
    source, painted, left = np.mean([s.warp_errors for s in films], axis=0).tolist()
    return {
        "films": len(films),
        "steadier": round(_mean(s.steadier for s in films), 4),
        "steadier_long": round(_mean(s.steadier_long for s in films), 4),
        "distance": round(_mean(s.distance for s in films), 4),
        "sharpness": round(_mean(s.sharpness for s in films), 4),
        "contrast": round(_mean(s.contrast for s in films), 4),
        "warp_error": {"source": round(source, 6), "painted": round(painted, 6), "left": round(left, 6)},
    }


def _flashes(ours: Sequence[SubjectResult]) -> dict[str, dict[str, int]]:
    """Frames that fail the general-flash test where the input passes, by the name of the film."""
    films = [(n.scene, n.flashes) for m in ours for n in m.negatives]
    films += [(p.name, p.flashes) for m in ours for p in m.injections]
    films += [(f"consistency {s.consistency:g}", s.flashes) for m in ours for s in m.stabilised]
    told = {}
    for name in (EVERY_FILM, *_unique(name for name, _ in films)):
        found = [flashes for of, flashes in films if flashes is not None and name in {of, EVERY_FILM}]
        told[name] = {key: sum(getattr(f, key) for f in found) for key in ("frames", "painted", "left")}
    return told


def _methods(measured: Sequence[SubjectResult]) -> dict[str, Any]:
    """Every method on the subjects, injections and scenes that all of them ran on."""
    subjects = {(m.clip, m.style) for m in measured if m.method != OURS}
    alike = [m for m in measured if (m.clip, m.style) in subjects]
    rows = {}
    for method in _unique(m.method for m in alike):
        mine = [m for m in alike if m.method == method]
        negatives = [n for m in mine for n in m.negatives if n.scene in COMPARED_SCENES]
        films = [p for m in mine for p in m.injections if p.name in COMPARED]
        rows[method] = _method(films, negatives, None)
        if method == ALWAYS_ON:
            rows[method] |= {"auroc": {}, "false_alarms": None}
        if method == OURS:
            unsigned = _method([p for p in films if p.family in {"frame", "step"}], negatives, "texture")
            rows[UNSIGNED] = {**dict.fromkeys(rows[method]), "auroc": unsigned["auroc"], "repaired": {}}
    return {"subjects": len(subjects), "rows": rows}


def _method(
    films: Sequence[InjectionResult], negatives: Sequence[SceneResult], score: str | None
) -> dict[str, Any]:
    """score: which score stands for the family's own."""
    cells: dict[str, dict[str, float]] = {}
    for name in _unique(p.name for p in films):
        found = [p for p in films if p.name == name]
        asked = score or found[0].family
        cells[name] = {
            scene: round(
                auroc(_pooled(found, asked), _everything([n for n in negatives if n.scene == scene], asked)),
                4,
            )
            for scene in _unique(n.scene for n in negatives if asked in n.scores)
        }
    clean = [n for n in negatives if n.scene == "clean"]
    touched = [value for n in clean for value in n.psnr]
    leaks = [leak for p in films for leak in p.ghosts]
    return {
        "auroc": {name: cell for name, cell in cells.items() if cell},
        "false_alarms": _alarms(negatives) if any(n.edges for n in negatives) else None,
        "repaired": {name: round(_mean(p.repaired for p in films if p.name == name), 3) for name in cells},
        "ghost_leak": round(_mean(leaks), 4) if leaks else None,
        "clean_identical": _share(n.identical for n in clean),
        "clean_psnr": round(float(np.median(touched)), 1) if touched else None,
    }
