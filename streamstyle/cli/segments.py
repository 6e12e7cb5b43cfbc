"""Films in segments: the common part of `run --resume` and `batch`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.batch.schedule import FilmState
    from streamstyle.batch.tasks import FilmRequest
    from streamstyle.batch.workers import WorkerCallbacks, Workers
    from streamstyle.config import RunConfig

SEGMENT = 60.0
"""Seconds of a segment."""

LOCAL = "local"
"""The cluster that is this machine."""


@dataclass(frozen=True)
class Ended:
    """Films by their end."""

    states: Sequence[FilmState]
    seconds: float
    """Seconds of the whole."""
    interrupted: bool
    """True after Ctrl-C; some films may not have ended then."""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Settings as a worker gets them."""
    return {name: value for name, value in asdict(config).items() if name not in {"source", "sinks"}}


def run_segments(films: Sequence[FilmRequest], arguments: argparse.Namespace, config: RunConfig) -> Ended:
    """Paint films by the workers of the options, with a progress display; Ctrl-C ends both. Raises
    ConfigError for options that no film can be painted with."""
    from streamstyle.batch.schedule import Schedule, run_films
    from streamstyle.batch.workers import WorkerCallbacks
    from streamstyle.cli.film_bars import FilmBars
    from streamstyle.cli.signals import stopping_on_signals
    from streamstyle.cli.terminal import notify
    from streamstyle.flow import StopRequest

    stop, began = StopRequest(), time.monotonic()
    bars, schedule = FilmBars([film.source for film in films]), Schedule(films)
    callbacks = WorkerCallbacks(bars.on_frames, notify)
    with stopping_on_signals(stop), _workers(arguments, config, callbacks) as workers, bars.shown():
        run_films(schedule, workers, stop, bars.on_tick)
    return Ended(schedule.states, time.monotonic() - began, stop.requested and not schedule.over)


@contextmanager
def _workers(
    arguments: argparse.Namespace, config: RunConfig, callbacks: WorkerCallbacks
) -> Iterator[Workers]:
    """Yield the workers of --workers and --cluster, and close them in the end."""
    from streamstyle.batch.workers import LocalWorkers
    from streamstyle.errors import ConfigError

    count, cluster = arguments.workers or 1, arguments.cluster or LOCAL
    if cluster == LOCAL:
        yield LocalWorkers(count, callbacks)
        return
    from streamstyle.batch.ray_workers import ADDRESS, RayWorkers, connected

    if not cluster.startswith(ADDRESS):
        raise ConfigError(f"--cluster is {LOCAL} or {ADDRESS}HOST:PORT, not {cluster}")
    with connected(cluster) as ray:
        yield RayWorkers(ray, count, callbacks, gpu=config.engine in {"auto", "tensorrt", "cuda"})


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
