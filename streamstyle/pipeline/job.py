"""Input, progress and result of a run. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamstyle.media.open import separated
from streamstyle.types import EngineSpec, MediaReport, StreamInfo
from streamstyle.urls import masked

_NOT_STATEFUL = "Frames were smoothed only after painting, because this engine keeps no statistics."


@dataclass(frozen=True)
class Job:
    """The addresses and limits of a run; the settings are in `RunConfig`."""

    source: str
    """Address of the source."""
    sinks: tuple[str, ...]
    """Addresses of the sinks."""
    events: Path | None = None
    """File of the event log."""
    frames: int | None = None
    """Number of frames after which the run stops."""
    duration: float | None = None
    """Seconds of the source after which the run stops."""
    report: Path | None = None
    """File of the page on findings and repairs."""
    control: str | None = None
    """Endpoint that takes requests for changes, zmq+ipc: or zmq+tcp:."""
    captures: Path | None = None
    """Folder of snapshots and recordings; None allows neither."""


@dataclass(frozen=True)
class LiveState:
    """Figures of a live run for the progress line."""

    fps: float
    """Recent painted frames per second."""
    p50_ms: float
    """Median of the recent ages at the slowest sink, in milliseconds."""
    p99_ms: float
    """99th percentile of these ages."""
    dropped: int
    """Number of frames dropped so far."""
    waiting: tuple[int, ...]
    """Number of frames that wait before each stage, the capture's first."""
    degradations: int
    """Number of active degradation steps."""


@dataclass(frozen=True)
class Progress:
    """State after one more frame."""

    frames: int
    total: int
    """Number of expected frames; 0 if unknown."""
    flagged: int
    live: Callable[[], LiveState] | None = None
    """Gives the state of a live run; None for a film."""


@dataclass(frozen=True)
class NetworkChoice:
    """The network that painted."""

    name: str
    why: str = ""
    """Reason of `--network auto`, a sentence; empty where the network was named."""
    fps: Mapping[str, float] = field(default_factory=dict)
    """Frames per second that a run with each network should reach here, as far as measured."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, stable names."""
        return {"name": self.name, "why": self.why, "fps": {n: round(f, 1) for n, f in self.fps.items()}}


@dataclass(frozen=True)
class RunSummary:
    """The summary of a finished run; `--json` prints `to_json`."""

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
    """Number of frames dropped, by place: "capture" or a sink."""
    seconds: float
    stages: dict[str, dict[str, float]]
    queues: dict[str, dict[str, float]]
    """Fill of the channels by their reader, see `Channel.fill`."""
    flagged_frames: int
    anomalies: dict[str, int]
    source_report: MediaReport
    sink_reports: tuple[MediaReport, ...]
    interrupted: bool
    stuck: tuple[str, ...] = ()
    """Names of the abandoned sinks."""
    live: dict[str, Any] | None = None
    """Ages of frames by sink in milliseconds and number of fillers; None for a film."""
    network: NetworkChoice | None = None
    """The bundled network that painted; None for other painters."""

    @property
    def dropped(self) -> int:
        """Frames dropped anywhere; one that two sinks missed counts twice."""
        return sum(self.drops.values())

    @property
    def outputs(self) -> tuple[str, ...]:
        """Addresses that the frames went to, for people: without stream keys."""
        return tuple(masked(url) for urls in self.job.sinks for url in separated(urls))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user from the source, the engine and the sinks."""
        not_stateful = self.consistency > 0 and not self.engine.stateful
        told = tuple(n for r in (self.source_report, *self.sink_reports) for n in r.notes)
        given_up = tuple(f"{name} did not take its frames in time and was abandoned." for name in self.stuck)
        return (*told, *([_NOT_STATEFUL] if not_stateful else []), *given_up)

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
