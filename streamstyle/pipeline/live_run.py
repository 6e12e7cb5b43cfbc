"""Settings by which a live source and the sinks are served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from streamstyle.config import RunConfig
from streamstyle.flow import (
    TIME_BASE,
    FillerConfig,
    Flow,
    Live,
    Outlet,
    metrics_text,
)
from streamstyle.media.open import is_file
from streamstyle.media.slate import slate
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.job import Job, LiveState
from streamstyle.pipeline.ladder import Ladder
from streamstyle.types import Sink, StreamInfo
from streamstyle.urls import masked

_DEFAULT_RATE = 30

_PEER_STOP_TIMEOUT = 1.2
"""Seconds that a call into a sink with a peer may take once the run is to end."""

_FILE_STOP_TIMEOUT = 60.0
"""The same for a file: its encoder may hold many frames back, and the file is worth the wait."""


def sink_info(info: StreamInfo) -> StreamInfo:
    """The stream as the sinks see it: live frames leave on the output's clock."""
    return replace(info, time_base=TIME_BASE) if info.live else info


def live_of(
    info: StreamInfo, config: RunConfig, duration: float | None, notify: Callable[[str], None]
) -> Live | None:
    """Settings of a live source; None for a film, because none of its frames may be dropped."""
    if not info.live:
        return None
    filler = FillerConfig(
        frame_time=float(1 / (info.rate or _DEFAULT_RATE)),
        after=config.stand_in_after,
        slate_after=config.slate_after,
        slate=slate,
    )
    return Live(filler, config.live_queue, duration, notify)


def outlets(job: Job, sinks: Sequence[Sink], config: RunConfig, *, live: bool) -> list[Outlet]:
    """The sinks of a job, each behind a channel as deep as it should be: a file is never late, so that a
    hiccup of its encoder need not cost a frame."""
    names: Counter[str] = Counter()
    made = []
    for url, sink in zip(job.sinks, sinks, strict=True):
        name = masked(url)
        names[name] += 1
        name = name if names[name] == 1 else f"{name} ({names[name]})"
        made.append(outlet(name, url, sink, config, live=live))
    return made


def outlet(
    name: str, url: str, sink: Sink, config: RunConfig, *, live: bool, optional: bool = False
) -> Outlet:
    """A sink behind the channel that is right for its address. optional: see `Outlet`."""
    film = is_file(url)
    capacity = config.queue if film or not live else config.live_queue
    return Outlet(sink, name, capacity, _FILE_STOP_TIMEOUT if film else _PEER_STOP_TIMEOUT, optional)


def live_state(flow: Flow, ladder: Ladder | None) -> LiveState:
    """The state of a live run."""
    status = flow.status()
    return LiveState(
        fps=status.fps,
        p50_ms=1e3 * max((ages.recent(0.5) for ages in status.ages.values()), default=0.0),
        p99_ms=1e3 * max((ages.recent(0.99) for ages in status.ages.values()), default=0.0),
        dropped=sum(status.drops.values()),
        waiting=tuple(status.depths.values()),
        degradations=0 if ladder is None else len(ladder.active),
    )


def figures_of(flow: Flow, events: EventLog, ladder: Ladder | None) -> str:
    """A run's figures for Prometheus."""
    degradations = 0 if ladder is None else len(ladder.active)
    return metrics_text(flow.status(), degradations=degradations, flagged=events.flagged_frames)


@contextmanager
def served_metrics(
    config: RunConfig, figures: Callable[[], str], notify: Callable[[str], None]
) -> Iterator[None]:
    """Serve the run's metrics for Prometheus inside the `with` block, if --metrics is given."""
    if config.metrics is None:
        yield
        return

    from streamstyle.web.metrics_server import loopback_address, metrics_server

    host, port = loopback_address(config.metrics)
    with metrics_server((host, port), figures) as server:
        shown = f"[{host}]" if ":" in host else host
        notify(f"metrics at http://{shown}:{server.port}/metrics")
        yield
