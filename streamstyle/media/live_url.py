"""FFmpeg's way to open a live url: one table row per scheme."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from streamstyle.errors import ConfigError, nearest
from streamstyle.media.formats import READABLE
from streamstyle.media.net.targets import with_variables
from streamstyle.urls import masked

HTTP_FORMATS = f"{READABLE},hls,mpjpeg"
QUICK = {"probesize": "1000000", "analyzeduration": "500000"}
"""FFmpeg's limits for probing, which takes seconds without them. Its `nobuffer` would discard the probed
packets, and with them the first key frame."""

HTTP_PROTOCOLS = "http,https,httpproxy,tls,tcp,crypto,data"


@dataclass(frozen=True)
class LiveInput:
    """FFmpeg's way to open a live input."""

    url: str
    """Address as the user wrote it."""
    file: str
    """Address for FFmpeg."""
    format: str | None = None
    """Demuxer; None to probe."""
    attempts: tuple[Mapping[str, str], ...] = field(default=({},))
    """Options to try; the first that open are used."""
    child: bool = False
    """Read through an `ffmpeg` program, because the library lacks the protocol."""
    film: bool = False
    """True if it may be a film with an end, which arrives faster than it plays."""
    device: bool = False
    """Belongs to this machine."""

    @property
    def name(self) -> str:
        """The url without its secrets."""
        return masked(self.url)


@dataclass(frozen=True)
class LiveLimits:
    """Time-outs in seconds."""

    open: float = 10.0
    """Seconds until the first picture of a connection."""
    read: float = 5.0
    """Seconds without data from an open connection."""


_PATTERNS = {
    "size": r"\d+x\d+",
    "region": r"\d+,\d+,[1-9]\d*,[1-9]\d*",
    "fps": r"[1-9]\d{0,2}(\.\d+)?",
    "cursor": "[01]",
}


def live_input_of(url: str) -> LiveInput:
    """The way to open `url`, whose scheme is one of `LIVE`. Raises ConfigError for invalid options."""
    return LIVE[url.partition(":")[0].lower()](url)


def _network(*attempts: Mapping[str, str], **more: bool) -> Callable[[str], LiveInput]:
    def opening(url: str) -> LiveInput:
        # Name the only possible demuxer: FFmpeg's guess needs more of the stream.
        demuxer = {"udp": "mpegts", "rtmp": "flv", "rtmps": "flv"}.get(url.partition(":")[0].lower())
        return LiveInput(
            url, with_variables(url), demuxer, tuple(QUICK | dict(a) for a in attempts or ({},)), **more
        )

    return opening


def _options(url: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """`webcam:0?size=640x480` as ("0", {"size": "640x480"})."""
    scheme, _, rest = url.partition(":")
    name, _, query = rest.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for option in given:
        if option not in known:
            raise ConfigError(
                f"{scheme}: has no option '{option}'{nearest(option, known)}: it takes {', '.join(known)}."
            )
    for option, value in given.items():
        if not re.fullmatch(_PATTERNS.get(option, ".*"), value):
            raise ConfigError(
                f"'{url}' cannot be read: write size as 1280x720, region as x,y,width,height, and fps as a "
                f"number."
            )
    return name, given


def _webcam(url: str) -> LiveInput:
    name, given = _options(url, ("size", "fps", "format"))
    name = name or "0"
    options = {"video_size": given.get("size"), "framerate": given.get("fps")}
    plain = {key: value for key, value in options.items() if value}
    if sys.platform == "darwin":
        # AVFoundation refuses to guess a rate.
        return LiveInput(url, f"{name}:none", "avfoundation", ({"framerate": "30"} | plain,), device=True)
    if sys.platform == "win32":
        camera = _dshow_name(name) if name.isdigit() else name
        attempts = ({"vcodec": "mjpeg"} | plain, plain)
        return LiveInput(url, f"video={camera}", "dshow", attempts, device=True)
    path = f"/dev/video{name}" if name.isdigit() else name
    wanted = given.get("format", "mjpeg")
    # Uncompressed pictures of any size beyond VGA do not fit through USB 2 at full rate.
    attempts = ({"input_format": wanted} | plain, *(() if "format" in given else (plain,)))
    return LiveInput(url, path, "v4l2", attempts, device=True)


def _dshow_name(number: str) -> str:
    import av

    cameras = [d for d in av.enumerate_input_devices("dshow") if "video" in d.media_types]
    return cameras[int(number)].description if int(number) < len(cameras) else number


def _screen(url: str) -> LiveInput:
    name, given = _options(url, ("region", "fps", "display", "cursor"))
    rate = given.get("fps", "30")
    cursor = "0" if given.get("cursor") == "0" else "1"
    region = given.get("region", "").split(",") if given.get("region") else None
    if sys.platform == "darwin":
        if region:
            raise ConfigError("screen: takes no region on macOS: the whole screen is read there.")
        options = {"framerate": rate, "capture_cursor": cursor}
        return LiveInput(url, f"Capture screen {name or 0}:none", "avfoundation", (options,), device=True)
    options = {"framerate": rate, "draw_mouse": cursor}
    if region:
        options["video_size"] = f"{region[2]}x{region[3]}"
    if sys.platform == "win32":
        if region:
            options |= {"offset_x": region[0], "offset_y": region[1]}
        return LiveInput(url, "desktop", "gdigrab", (options,), device=True)
    display = given.get("display") or name or os.environ.get("DISPLAY", "")
    if not display:
        raise ConfigError(
            "screen: needs an X display and DISPLAY is not set: start it in a desktop session, or name one "
            "as screen:?display=:0 (Wayland sessions offer one through Xwayland, for X programs only)."
        )
    place = f"+{region[0]},{region[1]}" if region else ""
    return LiveInput(url, f"{display}{place}", "x11grab", (options,), device=True)


_HTTP = _network(
    {
        "format_whitelist": HTTP_FORMATS,
        "protocol_whitelist": HTTP_PROTOCOLS,
        "reconnect": "1",  # a film resumes after a broken connection
        "reconnect_delay_max": "2",
    },
    film=True,
)
_RTSP = _network({"rtsp_flags": "prefer_tcp"})

LIVE: dict[str, Callable[[str], LiveInput]] = {
    "webcam": _webcam,
    "screen": _screen,
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "rtmp": _network(),
    "rtmps": _network(),
    "http": _HTTP,
    "https": _HTTP,
    "udp": _network({"overrun_nonfatal": "1", "fifo_size": "100000"}),
    "srt": _network(child=True),
}
"""Scheme -> how a url of it is opened."""
