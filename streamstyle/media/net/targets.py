"""Network outputs by scheme: one table from the user's address to the order for a relay."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.net.parcel import TS_PACKETS, RelayOrder
from streamstyle.urls import masked

PLAYLIST = "stream.m3u8"
_SEGMENT = "stream-{}.ts"
ANSWER_TIMEOUT = 4.0
"""Seconds that a peer may take to answer."""


@dataclass(frozen=True)
class _Kind:
    """A kind of output. muxer, options: FFmpeg's. wants_sound: True if the service takes no stream without
    sound. program: True if the `ffmpeg` program sends, because FFmpeg's library in PyAV lacks the
    protocol."""

    muxer: str
    options: Mapping[str, str] = field(default_factory=dict)
    wants_sound: bool = False
    program: bool = False


_UNBUFFERED = {"flush_packets": "1", "max_delay": "0"}
_TS = _UNBUFFERED | {"mpegts_flags": "pat_pmt_at_frames"}
_FLV = _UNBUFFERED | {"flvflags": "no_duration_filesize"}
_HLS = {
    "hls_time": "2",
    "hls_list_size": "6",
    "hls_delete_threshold": "3",
    # A relay that is started again goes on with the playlist.
    "hls_flags": "delete_segments+append_list+independent_segments+temp_file",
}

KINDS = {
    "rtmp": _Kind("flv", _FLV, wants_sound=True),
    "rtmps": _Kind("flv", _FLV, wants_sound=True),
    "rtsp": _Kind("rtsp", _UNBUFFERED | {"rtsp_transport": "tcp"}),
    "srt": _Kind("mpegts", _TS, program=True),
    "udp": _Kind("mpegts", _TS),
    "hls": _Kind("hls", _HLS),
}


@dataclass(frozen=True)
class Target:
    """One network output."""

    name: str
    """Name for messages, without secrets."""
    order: RelayOrder
    wants_sound: bool


def target_of(url: str) -> Target:
    """The output for `rtmp://...`, `hls:DIR` and the like.

    `${NAME}` in an address is replaced by that environment variable, so that a stream key need not be in a
    command line. Raises ConfigError, SinkError.
    """
    if sys.platform == "win32":
        raise ConfigError(f"{masked(url)}: network outputs need Linux or macOS.")
    scheme = url.partition(":")[0].lower()
    kind = KINDS[scheme]
    if scheme == "hls":
        return Target(url, _hls(url), wants_sound=False)
    address = with_variables(url)
    _check(address)
    program = ""
    if kind.program:
        program = shutil.which("ffmpeg") or ""
        if not program:
            raise SinkError(
                f"{masked(address)} needs the ffmpeg program with SRT, which is not on the path: "
                f"install it (Debian, Ubuntu: apt install ffmpeg)."
            )
    query = parse_qs(urlsplit(address).query)
    if scheme == "udp" and "pkt_size" not in query:
        # FFmpeg would fill datagrams and cut packets of the transport stream at their ends.
        address += f"{'&' if '?' in address else '?'}pkt_size={TS_PACKETS}"
    called = query.get("mode") == ["listener"]
    # A listener may wait for a caller for a long time.
    order = RelayOrder(address, kind.muxer, kind.options, program, timeout=0 if called else ANSWER_TIMEOUT)
    return Target(masked(url), order, kind.wants_sound)


def with_variables(url: str) -> str:
    """The address with each `${NAME}` replaced by that environment variable. Raises ConfigError."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ConfigError(f"{masked(url)} names the environment variable {name}, which is not set.")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, url)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{masked(url)} is not a valid address: {error}.") from error
    if "://" not in url or not parts.hostname:
        raise ConfigError(f"{masked(url)} names no host: write it as {parts.scheme}://HOST[:PORT]/...")
    if parts.scheme in {"udp", "srt"} and port is None:
        raise ConfigError(f"{masked(url)} names no port: write it as {parts.scheme}://HOST:PORT.")


def _hls(url: str) -> RelayOrder:
    folder = Path(url.partition(":")[2] or ".")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Players must not begin with segments of an earlier run.
        for old in (folder / PLAYLIST, *folder.glob(_SEGMENT.format("*"))):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"{folder} cannot be written: {error.strerror}.") from error
    options = _HLS | {"hls_segment_filename": str(folder / _SEGMENT.format("%06d"))}
    return RelayOrder(str(folder / PLAYLIST), "hls", options, timeout=ANSWER_TIMEOUT)
