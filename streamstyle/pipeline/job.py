"""Input, progress and result of a run. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamstyle.types import EngineSpec, MediaReport, StreamInfo
from streamstyle.urls import masked

_UNSTEADY = (
    "Frames were steadied after they were painted only: what painted them keeps no statistics of its own."
)


@dataclass(frozen=True)
class Job:
    """The urls and limits of a run; the settings are in `RunConfig`.

    frames, duration (seconds of the source): where to stop; None runs to the end. report: a page on what
    was found and repaired. control: where the run can be asked for changes, zmq+ipc: or zmq+tcp:. captures:
    the folder of snapshots and recordings; None makes none.
    """

    source: str
    sinks: tuple[str, ...]
    events: Path | None = None
    frames: int | None = None
    duration: float | None = None
    report: Path | None = None
    control: str | None = None
    captures: Path | None = None


@dataclass(frozen=True)
class LiveState:
    """fps, p50_ms, p99_ms: recent frames per second and ages, those of the slowest sink. dropped: frames so
    far. waiting: frames before each stage, the capture's first. degradations: number of active steps."""

    fps: float
    p50_ms: float
    p99_ms: float
    dropped: int
    waiting: tuple[int, ...]
    degradations: int


@dataclass(frozen=True)
class Progress:
    """State after one more frame. total: expected frames, 0 where unknown. live: gives the state of a live
    run; None for a film."""

    frames: int
    total: int
    flagged: int
    live: Callable[[], LiveState] | None = None


@dataclass(frozen=True)
class NetworkChoice:
    """The network that painted. why: of `--network auto`, a sentence; empty where it was asked for by name.
    fps: frames a second that a run with each network should keep here, as far as that was measured."""

    name: str
    why: str = ""
    fps: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, stable names."""
        return {"name": self.name, "why": self.why, "fps": {n: round(f, 1) for n, f in self.fps.items()}}


@dataclass(frozen=True)
class RunSummary:
    """The summary of a finished run; `--json` prints `to_json`.

    queues: how full the channels were, by where they end (see `Channel.fill`). drops: frames dropped, by
    where: "capture" or a sink. stuck: sinks that were given up. live: of a live source the ages of frames by
    sink in milliseconds, and how many stand-ins left; None for a film. network: None where none of ours
    painted.
    """

    job: Job
    info: StreamInfo
    style: str
    strength: float
    colour: float
    consistency: float
    region: str | None
    region_style: str
    engine: EngineSpec
    frames_in: int
    frames_out: int
    drops: dict[str, int]
    seconds: float
    stages: dict[str, dict[str, float]]
    queues: dict[str, dict[str, float]]
    flagged_frames: int
    anomalies: dict[str, int]
    source_report: MediaReport
    sink_reports: tuple[MediaReport, ...]
    interrupted: bool
    stuck: tuple[str, ...] = ()
    live: dict[str, Any] | None = None
    network: NetworkChoice | None = None

    @property
    def dropped(self) -> int:
        """Frames dropped anywhere; one that two sinks missed counts twice."""
        return sum(self.drops.values())

    @property
    def outputs(self) -> tuple[str, ...]:
        """Addresses that the frames went to, for people: without stream keys."""
        return tuple(masked(url) for urls in self.job.sinks for url in urls.split("|"))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user from the source, the engine and the sinks."""
        unsteady = self.consistency > 0 and not self.engine.stateful
        told = tuple(n for r in (self.source_report, *self.sink_reports) for n in r.notes)
        given_up = tuple(f"{name} did not take its frames in time and was given up." for name in self.stuck)
        return (*told, *([_UNSTEADY] if unsteady else []), *given_up)

    def to_json(self) -> dict[str, Any]:
        """Plain values, stable names."""
        return {
            "source": masked(self.job.source),
            "output": list(self.outputs),
            "events": None if self.job.events is None else str(self.job.events),
            "size": [self.info.width, self.info.height],
            "style": self.style,
            "strength": self.strength,
            "colour": self.colour,
            "consistency": self.consistency,
            "region": self.region,
            "region_style": self.region_style if self.region else None,
            "network": None if self.network is None else self.network.to_json(),
            "engine": self.engine.to_json(),
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "dropped": self.dropped,
            "drops": self.drops,
            "live": self.live,
            "seconds": round(self.seconds, 3),
            "fps": round(self.frames_out / self.seconds, 2) if self.seconds else 0.0,
            "stages": self.stages,
            "queues": self.queues,
            "flagged_frames": self.flagged_frames,
            "anomalies": self.anomalies,
            "source_counters": dict(self.source_report.counters),
            "sink_counters": [dict(r.counters) for r in self.sink_reports],
            "notes": list(self.notes),
            "interrupted": self.interrupted,
        }
