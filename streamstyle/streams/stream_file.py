"""The file of `serve --streams`: a YAML list with an entry for each stream."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamstyle.config import RunConfig, config_of, read_yaml
from streamstyle.errors import ConfigError, StreamStyleError
from streamstyle.pipeline.model import load_model
from streamstyle.urls import masked

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SHARED = {"null:", "preview:"}
"""Outputs that several streams may have."""


@dataclass(frozen=True)
class StreamEntry:
    """A stream of the file."""

    name: str
    """A word of a-z, 0-9 and -; unique in the file."""
    config: RunConfig
    """Its settings, source and sinks."""


def load_streams(path: Path) -> tuple[StreamEntry, ...]:
    """All streams of a file. Raises ConfigError for a file that cannot be read, an entry without a name or a
    source, a setting that is unknown or does not fit, a style that is not there, and two entries with one
    name or one output."""
    entries = read_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path} must be a list of streams, each with a name and a source")
    streams = tuple(_stream(path, number, entry) for number, entry in enumerate(entries, 1))
    names = Counter(stream.name for stream in streams)
    outputs = Counter(sink for stream in streams for sink in {*stream.config.sinks} - _SHARED)
    for name, count in names.items():
        if count > 1:
            raise ConfigError(f"{path}: {count} streams are named '{name}': give each a different name")
    for sink, count in outputs.items():
        if count > 1:
            raise ConfigError(f"{path}: {count} streams write to {masked(sink)}: give each its own output")
    return streams


def _stream(path: Path, number: int, entry: Any) -> StreamEntry:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: entry {number} must have a name and a source, as `name: door`")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{path}: entry {number} needs a name of a-z, 0-9 and -, up to 40 of them")
    try:
        config = config_of(RunConfig, {str(key): value for key, value in entry.items() if key != "name"})
        if config.source is None:
            raise ConfigError("it names no source: give it one, as `source: rtsp://camera/stream`")
        load_model(config)  # an unknown style, say, is refused now
    except StreamStyleError as error:
        raise ConfigError(f"{path}: the stream '{name}': {error}") from error
    return StreamEntry(name, config)
