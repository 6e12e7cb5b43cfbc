"""How a live source is served, and how each sink is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from streamstyle.config import RunConfig
from streamstyle.flow import Live, Outlet, StandInConfig
from streamstyle.job import Job
from streamstyle.media.open import is_file
from streamstyle.media.slate import slate
from streamstyle.types import Sink, StreamInfo
from streamstyle.urls import masked

_USUAL_RATE = 30

_PEER_PATIENCE = 1.0
"""Seconds that a call into a sink with a peer may take once the run is to end."""

_FILE_PATIENCE = 60.0
"""The same for a file: its encoder may hold many frames back, and the file is worth the wait."""


def live_of(info: StreamInfo, config: RunConfig, duration: float | None) -> Live | None:
    """How frames of this source flow; None where it is a film, of which nothing may be dropped."""
    if not info.live:
        return None
    stand_in = StandInConfig(
        frame_time=float(1 / (info.rate or _USUAL_RATE)),
        after=config.stand_in_after,
        slate_after=config.slate_after,
        slate=slate,
    )
    return Live(stand_in, config.live_queue, duration)


def outlets(job: Job, sinks: Sequence[Sink], config: RunConfig, *, live: bool) -> list[Outlet]:
    """The sinks of a job, each behind a channel as deep as it should be: a file is never late, so that a
    hiccup of its encoder need not cost a frame."""
    names: Counter[str] = Counter()
    made = []
    for url, sink in zip(job.sinks, sinks, strict=True):
        name = masked(url)
        names[name] += 1
        name = name if names[name] == 1 else f"{name} ({names[name]})"
        film = is_file(url)
        capacity = config.queue if film or not live else config.live_queue
        made.append(Outlet(sink, name, capacity, _FILE_PATIENCE if film else _PEER_PATIENCE))
    return made
