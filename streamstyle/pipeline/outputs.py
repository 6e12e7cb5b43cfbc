"""The outputs of a run: checks before anything slow begins, and opening."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamstyle.config import RunConfig
from streamstyle.errors import ConfigError
from streamstyle.files import check_writable
from streamstyle.media.encoding import Encoding
from streamstyle.media.open import check_sink, is_file, open_sink
from streamstyle.media.paths import exists, is_standard_output, resolved
from streamstyle.pipeline.job import Job
from streamstyle.types import Sink, StreamInfo
from streamstyle.urls import masked


def encoding_of(config: RunConfig) -> Encoding:
    """The encoding of the settings."""
    return Encoding(config.quality, config.encoder, config.codec, config.preset, config.pixel_format)


def refuse_overlap(outputs: Sequence[str], *inputs: str) -> None:
    """Raise ConfigError where an output is an input, which it would destroy, or is named twice."""
    taken = {resolved(url): url for url in inputs if exists(url)}
    for url in outputs:
        path = resolved("-" if is_standard_output(url) else url)
        if url.startswith("null:"):
            continue
        if path in taken:
            told = "also the input and would be overwritten" if taken[path] in inputs else "named twice"
            raise ConfigError(f"{masked(url)} is {told}: name another output.")
        taken[path] = url


def outputs_of(job: Job) -> list[str]:
    """All that the job writes."""
    return [*job.sinks, *(str(path) for path in (job.events, job.report) if path is not None)]


def check_outputs(job: Job, info: StreamInfo, config: RunConfig) -> None:
    """Raise ConfigError or SinkError for outputs that could not be written, before an engine is compiled."""
    how = encoding_of(config)
    if (how.codec or how.preset or how.pixel_format) and not any(map(is_file, job.sinks)):
        raise ConfigError(
            "--codec, --preset and --pixel-format are for films, and no SINK is one: leave them out"
        )
    for url in job.sinks:
        check_sink(url, info, how)
    for path in (job.events, job.report):
        if path is not None:
            check_writable(path)


def open_sinks(
    job: Job, info: StreamInfo, config: RunConfig, notify: Callable[[str], None] = lambda _: None
) -> list[Sink]:
    """Open every sink, see `open_sink`; where one cannot be opened, those before it are closed again."""
    sinks: list[Sink] = []
    try:
        for url in job.sinks:
            sinks.append(open_sink(url, info, encoding_of(config), notify=notify))
    except BaseException:
        for sink in sinks:
            sink.close(complete=False)
        raise
    return sinks
