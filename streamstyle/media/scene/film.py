"""The source `test:`: a short film that needs no file, painted here, with a little tune.

Two views with hard cuts between them, slow pans, clouds, moving water and sails: many edges and
colours to paint with, and everything that makes a stylization flicker if it wants to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self
from urllib.parse import parse_qsl

from streamstyle.errors import ConfigError, SourceError, nearest
from streamstyle.media.scene.lavender import Lavender
from streamstyle.media.scene.seaside import Seaside
from streamstyle.types import Frame, MediaReport, Picture, StreamInfo

_MAX_SHOT_SECONDS = 20  # seconds; a view's painted world is as wide as its pan is long
_OPTIONS = ("seconds", "size", "rate", "live")


@dataclass(frozen=True)
class SceneRequest:
    """Parameters of the scene."""

    seconds: float = 8.0
    """Length of the film in seconds."""
    size: tuple[int, int] = (640, 360)
    """(width, height)."""
    rate: Fraction = Fraction(30)
    """Frames per second."""
    live: bool = False
    """True to repeat it at its own pace."""


def is_scene(url: str) -> bool:
    """True if this url names the scene, as a film."""
    return url.lower().startswith("test:") and not parse_scene(url).live


def parse_scene(url: str) -> SceneRequest:
    """`test:?seconds=8&size=640x360&rate=30&live=1`, each part optional. Raises ConfigError."""
    query = url[len("test:") :]
    if query and not query.startswith("?"):
        raise ConfigError(f"'{url}' cannot be read: write options as test:?seconds=8&size=640x360&rate=30.")
    given = dict(parse_qsl(query[1:], keep_blank_values=True))
    for name in given:
        if name not in _OPTIONS:
            known = nearest(name, _OPTIONS)
            raise ConfigError(f"test: has no option '{name}'{known}: it takes {', '.join(_OPTIONS)}.")
    default = SceneRequest()
    try:
        width, height = map(int, given["size"].lower().split("x")) if "size" in given else default.size
        rate = Fraction(given["rate"]) if "rate" in given else default.rate
        live = {"0": False, "1": True}[given.get("live", "0")]
        request = SceneRequest(float(given.get("seconds", default.seconds)), (width, height), rate, live)
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(
            f"'{url}' cannot be read: write options as test:?seconds=8&size=640x360&rate=30."
        ) from error
    _check(request)
    return request


class SceneSource:
    """The film as a Source: same arguments, same pixels. Starts no thread and never fails."""

    def __init__(
        self, seconds: float = 8.0, size: tuple[int, int] = (640, 360), rate: Fraction | int = 30
    ) -> None:
        self._request = SceneRequest(seconds, size, Fraction(rate))
        _check(self._request)
        self._total = max(round(seconds * self._request.rate), 1)
        self._shot = min(-(-self._total // 2), round(_MAX_SHOT_SECONDS * self._request.rate))
        self._views: tuple[Seaside, Lavender] | None = None
        self._frames = 0

    @classmethod
    def of(cls, request: SceneRequest) -> Self:
        """The source of a parsed url."""
        return cls(request.seconds, request.size, request.rate)

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        seconds, (width, height), rate = self._request.seconds, self._request.size, self._request.rate
        return StreamInfo(
            url=f"test:?seconds={seconds:g}&size={width}x{height}&rate={rate}",
            width=width,
            height=height,
            rate=rate,
            time_base=1 / rate,
            frames=self._total,
            sample_aspect_ratio=Fraction(1),
            matrix="bt709",
            audio_streams=1,
        )

    def __enter__(self) -> Self:
        width, height = self._request.size
        seconds = float(self._shot / self._request.rate)
        self._views = (Seaside(width, height, seconds), Lavender(width, height, seconds))
        return self

    def __exit__(self, *_: object) -> None:
        self._views = None

    def __iter__(self) -> Iterator[Frame]:
        while self._views is not None and self._frames < self._total:
            index = self._frames
            self._frames += 1
            yield Frame(
                pixels=self.draw(index),
                index=index,
                pts=index,
                time_base=1 / self._request.rate,
                duration=1,
                captured_at=time.monotonic(),
            )

    def draw(self, index: int) -> Picture:
        """The picture of this frame, newly drawn. Only inside the `with` block."""
        if self._views is None:
            raise SourceError("The scene is not open: enter its `with` block first.")
        shot, frame = divmod(index, self._shot)
        return self._views[shot % 2].draw(float(frame / self._request.rate))

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport(counters={"frames": self._frames, "corrupt_packets": 0, "truncated": 0})


def _check(request: SceneRequest) -> None:
    width, height = request.size
    if not (64 <= width <= 4096 and 64 <= height <= 4096):
        raise ConfigError(f"test: cannot be {width}x{height}: choose sides from 64 to 4096.")
    if not 0 < request.seconds <= 3600:
        raise ConfigError(f"test: cannot last {request.seconds:g} s: choose up to 3600.")
    if not 1 <= request.rate <= 240:
        raise ConfigError(f"test: cannot run at {request.rate} frames per second: choose 1 to 240.")
