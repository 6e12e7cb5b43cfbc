"""Films in segments: what `run --resume` and `batch` share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.batch.schedule import FilmState
    from streamstyle.batch.tasks import FilmRequest
    from streamstyle.config import RunConfig

SEGMENT = 60.0
"""Seconds of a segment."""


@dataclass(frozen=True)
class Ended:
    """Films by their end. seconds: in all. interrupted: by Ctrl-C, so that some may not have ended."""

    states: Sequence[FilmState]
    seconds: float
    interrupted: bool


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Settings as a worker gets them."""
    return {name: value for name, value in asdict(config).items() if name not in {"source", "sinks"}}


def run_segments(films: Sequence[FilmRequest], workers: int) -> Ended:
    """Paint films by workers of this machine, with a progress display that Ctrl-C ends. Raises ConfigError
    for what no film can be painted with."""
    from streamstyle.batch.schedule import Schedule, run_films
    from streamstyle.batch.workers import Hearing, LocalWorkers
    from streamstyle.cli.film_bars import FilmBars
    from streamstyle.cli.terminal import notify, stopping_on_signals
    from streamstyle.flow import StopRequest

    stop, began = StopRequest(), time.monotonic()
    bars, schedule = FilmBars([film.source for film in films]), Schedule(films)
    with stopping_on_signals(stop), bars.shown():
        run_films(schedule, LocalWorkers(workers, Hearing(bars.on_frames, notify)), stop, bars.on_tick)
    return Ended(schedule.states, time.monotonic() - began, stop.requested and not schedule.over)


def film_json(state: FilmState) -> dict[str, Any]:
    """A film's summary: plain values, stable names."""
    planned, record = state.planned, state.record
    ended = "before" if state.before else "done" if record else "failed" if state.failure else "unfinished"
    return {
        "source": state.film.source,
        "output": state.film.output,
        "state": ended,
        "reason": state.failure.sentence if state.failure else None,
        "frames": record.frames if record else None,
        "frames_painted": state.painted if planned and not planned.whole else record and record.frames,
        "segments": record.segments if record else None,
        "segments_kept": planned.kept if planned else None,
        "whole": planned.whole if planned else None,
        "flagged_frames": record.flagged if record else None,
        "anomalies": record.anomalies if record else None,
        "network": record.network if record else None,
        "notes": list(record.notes) if record else [],
    }


def absolute(path: str | Path) -> str:
    """The same for a worker, wherever it runs."""
    return str(Path(path).absolute())
