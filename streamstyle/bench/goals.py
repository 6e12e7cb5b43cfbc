"""The goals, which were set before measuring, and the measured values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamstyle.bench.figures import EVERY_FILM

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """A goal of the benchmark."""

    name: str
    """Name for the table."""
    must: float | None
    """Value that must be reached; None without one."""
    stretch: float | None
    """Stricter value that would be better; None without one."""
    value: Callable[[Figures], float | None]
    """The figure, None where the figures do not hold it, nan where nothing that was measured meets the goal's
    conditions."""
    least: bool = True
    """True where larger values are better."""
    unit: str = ""
    """Unit for the table."""

    def verdict(self, value: float | None) -> str:
        """ "stretch", "must", "missed", "stretch missed" where nothing must be, or "not measured"."""
        if value is None:
            return "not measured"
        sign = 1 if self.least else -1
        for name, limit in (("stretch", self.stretch), ("must", self.must)):
            if limit is not None and sign * value >= sign * limit:
                return name
        return "stretch missed" if self.must is None else "missed"


def _auroc(name: str, *, scene: str = "", but: str = "") -> Callable[[Figures], float | None]:
    """AUROC of one scene, or the worst of all but one."""

    def of(figures: Figures) -> float | None:
        cells = {s: cell[0] for s, cell in figures["auroc"].get(name, {}).items()}
        chosen = (
            [cells[scene]] if scene in cells else [] if scene else [v for s, v in cells.items() if s != but]
        )
        return min(chosen, default=None)

    return of


def _at(*keys: str) -> Callable[[Figures], float | None]:
    def of(figures: Figures) -> float | None:
        found: Any = figures
        for key in keys:
            found = found.get(key)
            if found is None:
                return None
        return float(found)

    return of


def _drift_alarms(figures: Figures) -> float | None:
    """False alarms of drift in 30 minutes; None where too little film was seen to count them."""
    alarms = figures["false_alarms_everywhere"]
    minutes = float(alarms["minutes"])
    return 30 * float(alarms["kinds"].get("drift", 0)) / minutes if minutes >= _MIN_ALARM_MINUTES else None


def _latency(which: str) -> Callable[[Figures], float | None]:
    """The worst over the steps that are to be found on their frame."""

    def of(figures: Figures) -> float | None:
        names = ("gain 3%", "gain 5%", "gain 10%", "patch 8.0% of 10%", "patch 25.0% of 10%")
        found = [figures["latency_frames"][n][which] for n in names if n in figures["latency_frames"]]
        return max(found, default=None)

    return of


def _ghosts(figures: Figures) -> float | None:
    return max((leak["mean"] for leak in figures["ghost_leak"].values()), default=None)


def _steadiest(figures: Figures) -> float | None:
    """The best D_t of the settings that leave enough of the painting."""
    settings = figures["stabilise"].values()
    kept = [s for s in settings if s["distance"] <= MAX_DISTANCE and s["sharpness"] >= MIN_SHARPNESS]
    return max((s["steadier"] for s in kept), default=math.nan) if settings else None


def _percent(value: Callable[[Figures], float | None]) -> Callable[[Figures], float | None]:
    def of(figures: Figures) -> float | None:
        share = value(figures)
        return None if share is None else 100 * share

    return of


_MIN_ALARM_MINUTES = 15.0  # minutes, 3 / r: no alarm in them says less than r = 0.2 a minute
MAX_DISTANCE, MIN_SHARPNESS = 0.040, 0.97
"""Limits of the cost of stabilise mode: perceptual distance to the plain painting, sharpness over it."""

_POINT = "recall_at_operating_point"
_PATCH, _LARGE = "patch 8.0% of 10%", "patch 25.0% of 10%"

GOALS: tuple[Goal, ...] = (
    Goal(
        f"stabilise: D_t at distance <= {MAX_DISTANCE:.3f}, sharpness >= {MIN_SHARPNESS:g}",
        0.50,
        0.60,
        _steadiest,
    ),
    Goal("AUROC gain 3 %, worst scene but strobe", 0.99, 0.995, _auroc("gain 3%", but="strobe")),
    Goal("AUROC gain 3 %, strobe", 0.97, 0.985, _auroc("gain 3%", scene="strobe")),
    Goal("AUROC patch 8 %, worst scene but shake", 0.98, 0.99, _auroc(_PATCH, but="shake")),
    Goal("AUROC patch 8 %, shake", 0.965, 0.99, _auroc(_PATCH, scene="shake")),
    Goal("AUROC texture .05, worst scene", 0.98, 0.99, _auroc("texture 0.05")),
    Goal("drift of 0.1 dE a frame: share found", 1.0, None, _at("recall", "drift 0.1 dE")),
    Goal(
        "drift of 0.1 dE a frame: found at, p95",
        4.0,
        None,
        _at("latency_frames", "drift 0.1 dE", "p95_dE"),
        False,
        "dE",
    ),
    Goal(
        "drift of 0.05 dE a frame: found at, p95",
        None,
        3.0,
        _at("latency_frames", "drift 0.05 dE", "p95_dE"),
        False,
        "dE",
    ),
    Goal("false alarms of drift, in 30 minutes", 0.0, None, _drift_alarms, False),
    Goal("recall gain 5 % at 0.2 false alarms a minute", 0.90, 0.95, _at(_POINT, "gain 5%")),
    Goal("recall patch 25 % at 0.2 false alarms a minute", 0.90, 0.95, _at(_POINT, _LARGE)),
    Goal("latency of steps, median", 0.0, None, _latency("median"), False, "frames"),
    Goal("latency of steps, p95", 1.0, None, _latency("p95"), False, "frames"),
    Goal("R of gain 5 %", 0.85, 0.95, _at("repaired", "gain 5%")),
    Goal("R of patch 8 %", 0.60, 0.75, _at("repaired", _PATCH)),
    Goal("R of texture .05", 0.30, 0.50, _at("repaired", "texture 0.05")),
    Goal("frames of all scenes left bit for bit", 99.0, 99.8, _percent(_at("bit_identical")), True, "%"),
    Goal("PSNR of the others, median", 45.0, None, _at("touched_psnr_median"), True, "dB"),
    Goal("ghost leak, mean of the worst anomaly", 0.03, 0.01, _ghosts, False),
    Goal("detector, one thread", 3.0, 1.5, _at("detect_ms"), False, "ms"),
    Goal("active corrector and guard, one thread", 5.0, 2.5, _at("correct_ms"), False, "ms"),
    Goal("new flash failures", 0.0, None, _at("new_flashes", EVERY_FILM, "left"), False, "frames"),
)


@dataclass(frozen=True)
class GoalResult:
    """A goal, the measured value, and the verdict."""

    goal: Goal
    value: float | None

    @property
    def cells(self) -> list[str]:
        """Name, must, stretch, measured, verdict."""
        goal = self.goal
        sign = "" if goal.must == 0 and not goal.least else ">= " if goal.least else "<= "

        def told(value: float | None, before: str = "") -> str:
            if value is None:
                return "-"
            return "none meets both" if math.isnan(value) else f"{before}{value:.4g} {goal.unit}".rstrip()

        limits = (told(goal.must, sign), told(goal.stretch, sign))
        return [goal.name, *limits, told(self.value), goal.verdict(self.value)]


def compare_to_goals(figures: Figures) -> Sequence[GoalResult]:
    """Every goal against these figures."""
    return [GoalResult(goal, goal.value(figures)) for goal in GOALS]
