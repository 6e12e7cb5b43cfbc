"""From what the user typed to a Source or a Sink: one table each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from streamstyle.errors import ConfigError, nearest
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.live_clock import LiveClock
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.live_source import LiveLimits, LiveSource
from streamstyle.media.live_url import LIVE, Opening, opening_of
from streamstyle.media.net.stream_sink import StreamSink
from streamstyle.media.net.targets import KINDS as NETWORK
from streamstyle.media.null_sink import NullSink
from streamstyle.media.preview.sink import PreviewSink
from streamstyle.media.reconnecting import ReconnectingSource
from streamstyle.media.scene.film import SceneRequest, SceneSource, parse_scene
from streamstyle.media.scene.live import LiveSceneSource
from streamstyle.media.virtualcam_sink import VirtualCameraSink
from streamstyle.media.zmq_address import SCHEMES
from streamstyle.media.zmq_sink import ZmqSink
from streamstyle.media.zmq_source import ZmqSource
from streamstyle.types import Sink, Source, StreamInfo

_SOURCES: dict[str, Callable[[str], Source]] = {
    "": FileSource,
    "test": lambda url: _scene(parse_scene(url)),
    **dict.fromkeys(SCHEMES, ZmqSource),
}

Tell = Callable[[str], None]

_SINKS: dict[str, Callable[[str, StreamInfo, int | None, Tell], Sink]] = {
    "": lambda path, info, quality, _tell: FileSink(path, info, quality=quality),
    "null": lambda _path, _info, _quality, _tell: NullSink(),
    "preview": lambda url, _info, _quality, tell: PreviewSink(url, tell),
    "virtualcam": lambda url, info, _quality, _tell: VirtualCameraSink(url, info),
    **dict.fromkeys(
        NETWORK,
        lambda urls, info, quality, tell: StreamSink(urls.split(_AND), info, quality=quality, tell=tell),
    ),
    **dict.fromkeys(SCHEMES, lambda url, _info, _quality, _tell: ZmqSink(url)),
}

_AND = "|"  # no address holds one

LIMITS = LiveLimits()

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


def open_source(url: str, *, timeout: float = LIMITS.read) -> Source:
    """The source for a path or a scheme of the table; it opens when its `with` block is entered.

    timeout: seconds without anything after which a stream or device is taken for lost. Raises ConfigError for
    a scheme that is not known.
    """
    scheme = _scheme(url)
    if scheme in LIVE:
        return open_live(opening_of(url), replace(LIMITS, read=timeout))
    if scheme not in _SOURCES:
        readable = _SOURCES | dict.fromkeys(LIVE, open_source)
        raise ConfigError(
            f"Nothing here reads '{scheme}:'{nearest(scheme, _named(readable))}: "
            f"this version reads video files and {_listed(readable)}."
        )
    return _SOURCES[scheme](url)


def open_live(opening: Opening, limits: LiveLimits = LIMITS) -> ReconnectingSource:
    """A live input that comes back, on one clock and with one sound over all its connections."""
    clock, sound = LiveClock(), SoundBuffer()
    return ReconnectingSource(lambda first: LiveSource(opening, clock, sound, limits, measure=first))


def _scene(request: SceneRequest) -> Source:
    return LiveSceneSource(request) if request.live else SceneSource.of(request)


def grouped(urls: Sequence[str]) -> tuple[str, ...]:
    """The same outputs, all network addresses joined by `|` into the first: `open_sink` makes one sink of
    them, which encodes once."""
    network = [url for url in urls if _scheme(url) in NETWORK]
    joined = {url: _AND.join(network) if url == network[0] else "" for url in network}
    return tuple(filter(None, (joined.get(url, url) for url in urls)))


def open_sink(url: str, info: StreamInfo, *, quality: int | None = None, tell: Tell = lambda _: None) -> Sink:
    """The sink for a path or a scheme of the table. `quality`: the encoder's CRF, None for its default.

    tell: hears what the user should know while it runs. Raises ConfigError for a scheme or suffix that is not
    known, SinkError where nothing can be written.
    """
    scheme = _scheme(url)
    if scheme not in _SINKS:
        raise ConfigError(
            f"Nothing here writes '{scheme}:'{nearest(scheme, _named(_SINKS))}: "
            f"this version writes video files and {_listed(_SINKS)}."
        )
    return _SINKS[scheme](url, info, quality, tell)


def is_file(url: str) -> bool:
    """Does this url name a file?"""
    return not _scheme(url)


def _scheme(url: str) -> str:
    """`test` of `test:`; empty for a path, which may hold a colon if it exists."""
    match = _SCHEME.match(url)
    return "" if match is None or Path(url).exists() else match[1].lower()


def _named(table: Mapping[str, object]) -> list[str]:
    return [name for name in table if name]


def _listed(table: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}:`" for name in _named(table))
