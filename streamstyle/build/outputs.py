"""What a run writes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from streamstyle.config import RunConfig
from streamstyle.errors import ConfigError
from streamstyle.job import Job
from streamstyle.media.open import open_sink
from streamstyle.types import Sink, StreamInfo
from streamstyle.urls import masked


def refuse_overlap(outputs: Sequence[str], *inputs: str) -> None:
    """Raise ConfigError where an output is an input, which it would destroy, or is named twice."""
    taken = {Path(url).resolve(): url for url in inputs if Path(url).exists()}
    for url in outputs:
        path = Path(url).resolve()
        if url.startswith("null:"):
            continue
        if path in taken:
            told = "the input itself and would be destroyed" if taken[path] in inputs else "named twice"
            raise ConfigError(f"{masked(url)} is {told}: name another output.")
        taken[path] = url


def open_sinks(
    job: Job, info: StreamInfo, config: RunConfig, tell: Callable[[str], None] = lambda _: None
) -> list[Sink]:
    """Open every sink, see `open_sink`; where one cannot be opened, those before it are closed again."""
    sinks: list[Sink] = []
    try:
        for url in job.sinks:
            sinks.append(open_sink(url, info, quality=config.quality, encoder=config.encoder, tell=tell))
    except BaseException:
        for sink in sinks:
            sink.close(complete=False)
        raise
    return sinks
