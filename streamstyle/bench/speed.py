"""Speed: the result of one measured round, and of several."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np


class Task(msgspec.Struct, frozen=True):
    """A measurement that a separate process repeats."""

    what: str
    """The part to measure: "engine" (alone, on pictures in memory), "decode", "judge" (detection, correction
    and flash guard alone), "write" (encoding alone) or "run" (a whole job)."""
    clip: str
    """The film."""
    style: str
    network: str
    engine: str = "auto"
    """Name of the engine as for `open_engine`, or peer:NAME."""
    sink: str = "null:"
    """Sink of "write" and "run"."""
    correct: str = "repair"
    """`off` or `repair`."""
    frames: int = 100
    """Number of frames of a round; the first `warm` of a run are not measured."""
    warm: int = 10
    size: str = ""
    """Size to paint at, as for `run --size`."""
    watch: int = 0
    """Number of frames between two measurements of the resident memory; 0 measures none."""


class Ready(msgspec.Struct, frozen=True):
    """The process has warmed up."""

    spec: dict[str, Any]
    """Properties of the engine."""
    open_seconds: float
    """Seconds until the engine was open."""


class Round(msgspec.Struct, frozen=True):
    """One measurement, warm-up left out."""

    frames: int
    seconds: float
    cpu_seconds: float
    """Processor time of all threads in seconds."""
    frame_ms: list[float]
    """Milliseconds of each frame: for an engine from start to result, otherwise from one frame to the
    next."""
    peak_mib: float
    """Highest memory of the process so far."""
    memory: list[tuple[int, float]] = []
    """Resident memory: (frame, MiB)."""
    summary: dict[str, Any] = {}
    """Summary of a run."""


class Failure(msgspec.Struct, frozen=True):
    """The process cannot measure: why, for people."""

    why: str


def figures(rounds: Sequence[Round]) -> dict[str, float]:
    """Several rounds as one: fps and CPU time of the median round, percentiles of all frames, peak memory."""
    p50, p95, p99 = np.percentile([ms for r in rounds for ms in r.frame_ms], [50, 95, 99])
    return {
        "fps": round(statistics.median(r.frames / r.seconds for r in rounds), 2),
        "cpu_ms": round(statistics.median(1e3 * r.cpu_seconds / r.frames for r in rounds), 2),
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "p99_ms": round(float(p99), 2),
        "peak_mib": round(max(r.peak_mib for r in rounds), 1),
    }


def bound(alone: Mapping[str, Mapping[str, float]], cores: int) -> dict[str, Any]:
    """The best that a pipeline of these stages could do, from the `figures` of each stage alone.

    Two limits hold: no stage passes more frames than it does alone, and all stages share the cores, which
    give `cores` seconds of processor time a second. fps is the lower of the two; by: which one it is.
    """
    slowest = min(alone, key=lambda stage: alone[stage]["fps"])
    cpu_ms = sum(stage["cpu_ms"] for stage in alone.values())
    shared = 1e3 * cores / cpu_ms
    stage_fps = alone[slowest]["fps"]
    by = f"{slowest} alone" if stage_fps <= shared else f"{cpu_ms:.1f} ms of CPU a frame on {cores} cores"
    return {
        "fps": round(min(stage_fps, shared), 2),
        "by": by,
        "slowest_stage": slowest,
        "slowest_stage_fps": stage_fps,
        "cpu_ms": round(cpu_ms, 2),
        "cpu_fps": round(shared, 2),
    }


def linear(fps: Mapping[tuple[int, int], float]) -> dict[str, Any]:
    """Megapixels a second at each size, and the largest difference from their mean as a share of it: small
    where the cost grows with the pixels. fps: by (width, height)."""
    rates = {f"{w}x{h}": w * h * value / 1e6 for (w, h), value in fps.items()}
    mean = statistics.mean(rates.values())
    return {
        "megapixels_per_second": {size: round(rate, 2) for size, rate in rates.items()},
        "spread": round(max(abs(rate - mean) for rate in rates.values()) / mean, 3),
    }


def growth(memory: Sequence[tuple[int, float]]) -> dict[str, float]:
    """Resident memory over a long run: MiB early (median of the second tenth) and late (of the last tenth),
    and bytes that it grew by each frame between them."""
    tenth = max(1, len(memory) // 10)
    early, late = memory[tenth : 2 * tenth], memory[-tenth:]
    (from_frame, from_mib), (to_frame, to_mib) = (
        (statistics.median(f for f, _ in part), statistics.median(m for _, m in part))
        for part in (early, late)
    )
    return {
        "early_mib": round(from_mib, 1),
        "late_mib": round(to_mib, 1),
        "bytes_per_frame": round((to_mib - from_mib) * 2**20 / (to_frame - from_frame), 1),
    }
