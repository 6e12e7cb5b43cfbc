"""Sources and sinks from the user's addresses, by one table each.

A row imports its modules when it is used, so that a start need not wait for both PyAV and ZeroMQ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from streamstyle.errors import ConfigError, nearest
from streamstyle.media.encoding import USUAL, Encoding
from streamstyle.media.live_url import LIVE, LiveInput, LiveLimits, live_input_of
from streamstyle.media.net.targets import KINDS as NETWORK
from streamstyle.media.null_sink import NullSink
from streamstyle.media.paths import exists, is_pictures, is_sequence, is_standard_output
from streamstyle.media.wire import SCHEMES
from streamstyle.types import Sink, Source, StreamInfo
from streamstyle.urls import masked

if TYPE_CHECKING:
    from av.container import InputContainer

    from streamstyle.media.deinterlace import Deinterlacing
    from streamstyle.media.reconnecting import ReconnectingSource

Notify = Callable[[str], None]


def _film(path: str, decoder: str, deinterlace: Deinterlacing, background: str) -> Source:
    from streamstyle.media.av_source import FileSource

    return FileSource(path, decoder=decoder, deinterlace=deinterlace, background=background)


def _pictures(path: str, rate: float | None, background: str) -> Source:
    from streamstyle.media.image_source import USUAL_RATE, ImageSource

    asked = USUAL_RATE if rate is None else Fraction(rate).limit_denominator(1001)
    return ImageSource(path, rate=asked, background=background)


def _scene(url: str) -> Source:
    from streamstyle.media.scene.film import SceneSource, parse_scene
    from streamstyle.media.scene.live_scene import LiveSceneSource

    request = parse_scene(url)
    return LiveSceneSource(request) if request.live else SceneSource.of(request)


def _subscription(url: str) -> Source:
    from streamstyle.media.zmq_source import ZmqSource

    return ZmqSource(url)


def _file(path: str, info: StreamInfo, how: Encoding, _notify: Notify) -> Sink:
    if is_pictures(path):
        from streamstyle.media.image_sink import ImageSink

        return ImageSink(path, info, how)
    from streamstyle.media.av_sink import FileSink

    return FileSink(path, info, how)


def _preview(url: str, _info: StreamInfo, _how: Encoding, notify: Notify) -> Sink:
    from streamstyle.web.preview import PreviewSink

    return PreviewSink(url, notify)


def _virtual_camera(url: str, info: StreamInfo, _how: Encoding, _notify: Notify) -> Sink:
    from streamstyle.media.virtualcam_sink import VirtualCameraSink

    return VirtualCameraSink(url, info)


def _streams(urls: str, info: StreamInfo, how: Encoding, notify: Notify) -> Sink:
    from streamstyle.media.net.stream_sink import StreamSink

    return StreamSink(separated(urls), info, how, notify=notify)


def _publication(url: str, _info: StreamInfo, _how: Encoding, _notify: Notify) -> Sink:
    from streamstyle.media.zmq_sink import ZmqSink

    return ZmqSink(url)


_SOURCES: dict[str, Callable[[str], Source]] = {
    "test": _scene,
    **dict.fromkeys(SCHEMES, _subscription),
}

_SINKS: dict[str, Callable[[str, StreamInfo, Encoding, Notify], Sink]] = {
    "": _file,
    "pipe": _file,
    "null": lambda _path, _info, _how, _notify: NullSink(),
    "preview": _preview,
    "virtualcam": _virtual_camera,
    **dict.fromkeys(NETWORK, _streams),
    **dict.fromkeys(SCHEMES, _publication),
}

_AND = "|"  # no network address holds one

LIMITS = LiveLimits()

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


def open_source(
    url: str,
    *,
    timeout: float = LIMITS.read,
    decoder: str = "cpu",
    live: bool = False,
    deinterlace: Deinterlacing = "auto",
    background: str = "000000",
    rate: float | None = None,
) -> Source:
    """The source for a path or a scheme of the table; it opens when its `with` block is entered.

    timeout: seconds without data after which a stream or device counts as lost. decoder: of films, see
    `FileSource`. live: read a film on a web server as a stream. deinterlace: of films and live sources, see
    `Deinterlacer`. background: RRGGBB behind transparent films. rate: pictures a second, of numbered pictures
    and folders. Raises ConfigError for an unknown scheme, one that `cuda` does not decode, or one with its
    own rate.
    """
    if not url:
        raise ConfigError("An input has an empty name: name a file or an address.")
    scheme = _scheme(url)
    if live and (not scheme or is_standard_output(url)):
        raise ConfigError(
            f"--live is only for films on a web server, and {masked(url)} is not one: leave --live out."
        )
    if not scheme and is_sequence(url):
        return _pictures(url, rate, background)
    if rate is not None:
        raise ConfigError(
            f"--rate is only for sequences of pictures, and {masked(url)} is not one: leave --rate out."
        )
    if not scheme or is_standard_output(url):
        url = url if not scheme else "-"  # `pipe:` is the other end here
        return _film(url, decoder, deinterlace, background)
    if decoder == "cuda":
        raise ConfigError(f"--decoder cuda is only for films, not for {scheme}: leave --decoder out.")
    if scheme in LIVE:
        opening, limits = live_input_of(url), replace(LIMITS, read=timeout)
        if live or not opening.film:
            return open_live(opening, limits, deinterlace=deinterlace)
        return _on_the_web(opening, limits, deinterlace, background)
    if scheme not in _SOURCES:
        raise _unknown_source(url)
    return _SOURCES[scheme](url)


def _on_the_web(
    opening: LiveInput, limits: LiveLimits, deinterlace: Deinterlacing, background: str
) -> Source:
    from streamstyle.media.av_source import FileSource
    from streamstyle.media.web_source import WebSource

    return WebSource(
        opening,
        limits,
        film=lambda: FileSource(opening.url, deinterlace=deinterlace, background=background),
        live=lambda container: open_live(opening, limits, container, deinterlace),
    )


def open_live(
    opening: LiveInput,
    limits: LiveLimits = LIMITS,
    container: InputContainer | None = None,
    deinterlace: Deinterlacing = "auto",
) -> ReconnectingSource:
    """A live input that reconnects, with one clock and one sound for all its connections. container: of the
    first connection, None to open it."""
    from streamstyle.media.live_clock import LiveClock
    from streamstyle.media.live_sound import SoundBuffer
    from streamstyle.media.live_source import LiveSource
    from streamstyle.media.reconnecting import ReconnectingSource

    clock, sound = LiveClock(), SoundBuffer()
    return ReconnectingSource(
        lambda first: LiveSource(
            *(opening, clock, sound, limits),
            measure=first,
            container=container if first else None,
            deinterlace=deinterlace,
        )
    )


def join_network_sinks(urls: Sequence[str]) -> tuple[str, ...]:
    """The same outputs, with all network addresses joined by `|` into the first: `open_sink` makes one sink
    of them, which encodes once."""
    network = [url for url in urls if _scheme(url) in NETWORK]
    joined = {url: _AND.join(network) if url == network[0] else "" for url in network}
    return tuple(filter(None, (joined.get(url, url) for url in urls)))


def separated(urls: str) -> list[str]:
    """The outputs of one sink that `grouped` joined."""
    return urls.split(_AND) if _scheme(urls) in NETWORK else [urls]


def open_sink(
    url: str,
    info: StreamInfo,
    how: Encoding = USUAL,
    *,
    notify: Notify = lambda _: None,
) -> Sink:
    """The sink for a path or a scheme of the table. how: of films and streams.

    notify: called with messages for the user. Raises ConfigError for an unknown scheme or suffix, SinkError
    if the output cannot be written.
    """
    scheme = _scheme(url)
    if scheme not in _SINKS:
        raise _unknown_sink(url)
    return _SINKS[scheme](url, info, how, notify)


def check_sink(url: str, info: StreamInfo, how: Encoding = USUAL) -> None:
    """Raise the errors of `open_sink` that can be known without opening anything."""
    if is_file(url):
        _file(url, info, how, lambda _: None)
    elif _scheme(url) not in _SINKS:
        raise _unknown_sink(url)


def is_file(url: str) -> bool:
    """True if this url names a film that is written or read, a file or a pipe."""
    return _scheme(url) in {"", "pipe"}


def _unknown_source(url: str) -> ConfigError:
    scheme, readable = _scheme(url), _SOURCES | dict.fromkeys(LIVE, open_source)
    if scheme == "file":
        return _file_url(url)
    return ConfigError(
        f"No source is called '{scheme}:'{nearest(scheme, _named(readable))}: "
        f"this version reads video files and {_listed(readable)}."
    )


def _unknown_sink(url: str) -> ConfigError:
    scheme = _scheme(url)
    if scheme == "file":
        return _file_url(url)
    return ConfigError(
        f"No output is called '{scheme}:'{nearest(scheme, _named(_SINKS))}: "
        f"this version writes video files and {_listed(_SINKS)}."
    )


def _file_url(url: str) -> ConfigError:
    return ConfigError(f"Files are named by their path alone: {unquote(urlsplit(url).path)}, without file:.")


def _scheme(url: str) -> str:
    """`test` of `test:`; empty for a path, which may hold a colon if it exists."""
    match = _SCHEME.match(url)
    return "" if match is None or exists(url) else match[1].lower()


def _named(table: Mapping[str, object]) -> list[str]:
    return [name for name in table if name]


def _listed(table: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}:`" for name in _named(table))
