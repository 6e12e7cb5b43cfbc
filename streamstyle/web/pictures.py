"""Frames for browsers: encoded once for all waiting viewers, and not at all without one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from streamstyle.flow import Lock
from streamstyle.types import Frame, MediaReport, Picture

PAINTED, ORIGINAL, HEAT, WHOLE, SMALL = "painted", "original", "heat", "whole", "small"
"""Parts of a frame that a viewer may want: the picture as it left, as it came, the heat map of changes that
the input does not explain, and the picture as it left at its full size, and small."""

MAX_SIDE = 1280
"""Pixels a side of small pictures."""

SMALL_SIDE = 480
"""Pixels of a side of small pictures."""

BOUNDARY = "frame"
PICTURE_TIMEOUT = 10.0
"""Seconds that a single picture is waited for."""

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 80]
_KEPT_SOURCES = 32  # source pictures of frames that are being painted
_FPS_WINDOW = 60
_HEAT_AT_FULL_STRENGTH = 0.125  # excess in luma that is shown at full strength


@dataclass(frozen=True)
class EncodedFrame:
    """One frame as JPEG files for browsers."""

    facts: Mapping[str, Any]
    """JSON values about the frame."""
    picture: Picture
    """The output picture, RGB."""
    parts: Mapping[str, bytes] = field(default_factory=dict)
    """JPEG files by name of the part."""


@dataclass(frozen=True)
class _FrameRequest:
    wants: frozenset[str]
    answer: asyncio.Future[EncodedFrame]
    loop: asyncio.AbstractEventLoop


class PictureFeed:
    """A Sink that delivers frames to the viewers that wait for the next one. Lives longer than one run.

    `around` wraps the painting of a run, to record the source picture of each frame. source: the newest one,
    None without a run. paints: True if the newest frame was painted. Counters: `frames`; `pictures` encoded;
    `shown` to viewers, one for each.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: list[_FrameRequest] = []
        self._sources: OrderedDict[int, Picture] = OrderedDict()
        self._times: deque[float] = deque(maxlen=_FPS_WINDOW)
        self._counts = {"frames": 0, "pictures": 0, "shown": 0}
        self.source: Picture | None = None
        self.is_styled = False

    def around(
        self, process: Callable[[Iterable[Frame | None]], Iterator[Frame]]
    ) -> Callable[[Iterable[Frame | None]], Iterator[Frame]]:
        """`process`, watched: `source` is the newest source picture from then on."""

        def with_sources(frames: Iterable[Frame | None]) -> Iterator[Frame | None]:
            for frame in frames:
                if frame is not None:
                    self.source = frame.pixels
                    self._sources[frame.index] = frame.pixels
                    while len(self._sources) > _KEPT_SOURCES:
                        self._sources.popitem(last=False)
                yield frame

        return lambda frames: process(with_sources(frames))

    async def next(self, wants: frozenset[str]) -> EncodedFrame:
        """The parts of the next frame that are requested."""
        loop = asyncio.get_running_loop()
        request = _FrameRequest(wants, loop.create_future(), loop)
        with self._lock:
            self._requests.append(request)
        try:
            return await request.answer
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._requests.remove(request)

    def write(self, frame: Frame) -> None:
        """See `streamstyle.types.Sink`."""
        self._counts["frames"] += 1
        self.is_styled = bool(frame.style)
        self._times.append(time.monotonic())
        with self._lock:
            requests, self._requests = self._requests, []
        if not requests:
            return
        wanted = frozenset().union(*(request.wants for request in requests))
        parts = {name: self._encoded(name, frame) for name in wanted - {HEAT}}
        encoded = EncodedFrame(self._facts(frame, heat=HEAT in wanted), frame.pixels, parts)
        self._counts["pictures"] += 1
        for request in requests:
            with contextlib.suppress(RuntimeError):  # the server has ended
                request.loop.call_soon_threadsafe(_resolve, request.answer, encoded)
                self._counts["shown"] += 1

    def close(self, *, complete: bool) -> None:  # noqa: ARG002
        """The run is over; viewers wait for the next one."""
        self._sources.clear()
        self._times.clear()
        self.source, self.is_styled = None, False

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport(dict(self._counts))

    def _encoded(self, name: str, frame: Frame) -> bytes:
        picture = frame.pixels
        if name == ORIGINAL:
            picture = self._sources.get(frame.index, picture)
        return jpeg(picture, {WHOLE: None, SMALL: SMALL_SIDE}.get(name, MAX_SIDE))

    def _facts(self, frame: Frame, *, heat: bool) -> dict[str, Any]:
        now, quality = self._times[-1], frame.quality
        span, age = now - self._times[0], now - frame.captured_at
        facts = {
            "index": frame.index,
            "captured_at": round(time.time() - age, 4),
            "fps": round((len(self._times) - 1) / span, 2) if span else 0.0,
            "age_ms": round(age * 1000, 1),
            "style": frame.style,
            "stand_in": frame.filler,
            "score": round(quality.score, 3) if quality else 0.0,
            "kinds": list(quality.kinds) if quality else [],
            "action": quality.action if quality else "none",
        }
        if heat and quality is not None:
            levels = np.clip(quality.heat / _HEAT_AT_FULL_STRENGTH * 255, 0, 255).astype(np.uint8)
            facts["heat"] = {
                "rows": levels.shape[0],
                "columns": levels.shape[1],
                "levels": base64.b64encode(levels.tobytes()).decode(),
            }
        return facts


def jpeg(picture: Picture, max_side: int | None) -> bytes:
    """RGB uint8 (H, W, 3) as a JPEG file, made smaller where a side is longer than `max_side`."""
    longest = max(picture.shape[:2])
    if max_side is not None and longest > max_side:
        size = tuple(max(1, round(side * max_side / longest)) for side in picture.shape[1::-1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _QUALITY)
    return data.tobytes()


def _resolve(answer: asyncio.Future[EncodedFrame], encoded: EncodedFrame) -> None:
    if not answer.done():
        answer.set_result(encoded)


def picture_routes(feed: PictureFeed) -> list[BaseRoute]:
    """Frames as single pictures and as a stream."""
    return [
        Route("/frame.jpg", partial(_picture, feed, WHOLE)),
        Route("/small.jpg", partial(_picture, feed, SMALL)),
        Route("/stream.mjpg", partial(_stream, feed)),
    ]


async def _picture(feed: PictureFeed, part: str, _: Request) -> Response:
    try:
        encoded = await asyncio.wait_for(feed.next(frozenset({part})), PICTURE_TIMEOUT)
    except TimeoutError:
        return Response("no frame comes\n", 503, media_type="text/plain")
    return Response(
        encoded.parts[part], media_type="image/jpeg", headers={"Frame-State": json.dumps(encoded.facts)}
    )


async def _stream(feed: PictureFeed, _: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield f"--{BOUNDARY}\r\n".encode()
        while True:
            yield _part(await feed.next(frozenset({WHOLE})))

    return StreamingResponse(parts(), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")


def _part(encoded: EncodedFrame) -> bytes:
    """One picture of a stream. The boundary after it lets browsers show it at once."""
    picture = encoded.parts[WHOLE]
    lines = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    return lines + picture + f"\r\n--{BOUNDARY}\r\n".encode()
