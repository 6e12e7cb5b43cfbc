"""Shows frames on a page of this machine: `preview:`, `preview:8080`, `preview:8080?token=WORD`.

The server has no thread or process: the sink's own thread serves between two frames, without ever waiting for
a viewer. While no frame comes nobody is served, but then there is nothing new to see either.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qs

import cv2

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.preview.server import Viewers
from streamstyle.types import Frame, MediaReport

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 80]
_LONGEST_SIDE = 65_500  # of a JPEG


class PreviewSink:
    """A Sink for eyes. A picture is encoded once for all viewers, and only when one waits for it.

    notify: told the page's address. Counters: `frames`; `pictures` encoded; `shown` to viewers, one for each;
    `refused` requests.
    """

    def __init__(self, url: str, notify: Callable[[str], None] = lambda _: None) -> None:
        """Raises ConfigError, SinkError."""
        port, token = _parsed(url)
        try:
            self._viewers: Viewers | None = Viewers(port, token)
        except OSError as error:
            raise SinkError(
                f"The preview cannot use port {port} ({error.strerror}): name another, as preview:8081, or "
                f"none, as preview:, for any."
            ) from error
        self._counts = self._viewers.counts
        self.address = f"http://127.0.0.1:{self._viewers.port}/?token={token}"
        self._times: deque[float] = deque(maxlen=60)
        self._frames = 0
        self._pictures = 0
        notify(f"preview: {self.address}")

    def write(self, frame: Frame) -> None:
        """Show one frame to whoever waits for one. Raises SinkError after `close`."""
        if self._viewers is None:
            raise SinkError("The preview is closed: no frame can follow.")
        self._frames += 1
        self._times.append(time.monotonic())
        self._viewers.listen()
        if self._viewers.waiting:
            self._viewers.show(_jpeg(frame), self._state(frame))
            self._pictures += 1
        self._viewers.send()

    def close(self, *, complete: bool) -> None:  # noqa: ARG002
        """Leave every viewer."""
        if self._viewers is not None:
            self._viewers.close()
        self._viewers = None

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({"frames": self._frames, "pictures": self._pictures, **self._counts})

    def _state(self, frame: Frame) -> str:
        now, quality = self._times[-1], frame.quality
        span = now - self._times[0]
        state = {
            "index": frame.index,
            "fps": round((len(self._times) - 1) / span, 2) if span else 0.0,
            "age_ms": round((now - frame.captured_at) * 1000, 1),
            "style": frame.style,
            "stand_in": frame.filler,
            "score": round(quality.score, 3) if quality else 0.0,
            "kinds": list(quality.kinds) if quality else [],
            "action": quality.action if quality else "none",
        }
        return json.dumps(state)


def _jpeg(frame: Frame) -> bytes:
    if max(frame.pixels.shape) > _LONGEST_SIDE:
        raise SinkError("The preview shows frames of up to 65500 pixels a side: leave it out.")
    _, data = cv2.imencode(".jpg", cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR), _JPEG)
    return data.tobytes()


def _parsed(url: str) -> tuple[int, str]:
    """Port (0: any) and token of `preview:8080?token=WORD`."""
    rest, _, query = url.partition(":")[2].partition("?")
    values = parse_qs(query)
    known = not query or set(values) == {"token"}
    if not known or not (not rest or (rest.isdecimal() and int(rest) < 65_536)):
        raise ConfigError(
            f"{url.partition('?')[0]}: write preview:, preview:PORT or preview:PORT?token=WORD."
        )
    return int(rest or 0), values["token"][-1] if query else secrets.token_urlsafe(16)
