"""Frames for browsers: encoded once for all who wait, and not at all where nobody does."""

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

WIDEST = 1280
"""Pixels of a side of pictures that are not asked for whole."""

SMALLEST = 480
"""Pixels of a side of small pictures."""

BOUNDARY = "frame"
PATIENCE = 10.0
"""Seconds that a single picture is waited for."""

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 80]
_REMEMBERED = 32  # source pictures of frames that are being painted
_PACED = 60
_FULL_HEAT = 0.125  # excess in luma that is shown at full strength


@dataclass(frozen=True)
class Shot:
    """One frame, encoded. facts: JSON values about it. picture: as it left. parts: JPEG files by what was
    wanted."""

    facts: Mapping[str, Any]
    picture: Picture
    parts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wish:
    wants: frozenset[str]
    answer: asyncio.Future[Shot]
    loop: asyncio.AbstractEventLoop


class PictureFeed:
    """A Sink whose frames go to whoever waits for the next one. Lives longer than one run.

    `around` stands around the painting of a run, to know the source picture of each frame. Counters:
    `frames`; `pictures` encoded; `shown` to viewers, one for each.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._wishes: list[_Wish] = []
        self._sources: OrderedDict[int, Picture] = OrderedDict()
        self._times: deque[float] = deque(maxlen=_PACED)
        self._counts = {"frames": 0, "pictures": 0, "shown": 0}
        self.source: Picture | None = None

    def around(
        self, process: Callable[[Iterable[Frame | None]], Iterator[Frame]]
    ) -> Callable[[Iterable[Frame | None]], Iterator[Frame]]:
        """`process`, watched: `source` is the newest source picture from then on."""

        def remembered(frames: Iterable[Frame | None]) -> Iterator[Frame | None]:
            for frame in frames:
                if frame is not None:
                    self.source = frame.pixels
                    self._sources[frame.index] = frame.pixels
                    while len(self._sources) > _REMEMBERED:
                        self._sources.popitem(last=False)
                yield frame

        return lambda frames: process(remembered(frames))

    async def next(self, wants: frozenset[str]) -> Shot:
        """The next frame that leaves, as far as it is wanted."""
        loop = asyncio.get_running_loop()
        wish = _Wish(wants, loop.create_future(), loop)
        with self._lock:
            self._wishes.append(wish)
        try:
            return await wish.answer
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._wishes.remove(wish)

    def write(self, frame: Frame) -> None:
        """See `streamstyle.types.Sink`."""
        self._counts["frames"] += 1
        self._times.append(time.monotonic())
        with self._lock:
            wishes, self._wishes = self._wishes, []
        if not wishes:
            return
        wanted = frozenset().union(*(wish.wants for wish in wishes))
        parts = {name: self._encoded(name, frame) for name in wanted - {HEAT}}
        shot = Shot(self._facts(frame, heat=HEAT in wanted), frame.pixels, parts)
        self._counts["pictures"] += 1
        for wish in wishes:
            with contextlib.suppress(RuntimeError):  # the server has ended
                wish.loop.call_soon_threadsafe(_give, wish.answer, shot)
                self._counts["shown"] += 1

    def close(self, *, complete: bool) -> None:  # noqa: ARG002
        """The run is over; viewers wait for the next one."""
        self._sources.clear()
        self._times.clear()
        self.source = None

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport(dict(self._counts))

    def _encoded(self, name: str, frame: Frame) -> bytes:
        picture = frame.pixels
        if name == ORIGINAL:
            picture = self._sources.get(frame.index, picture)
        return jpeg(picture, {WHOLE: None, SMALL: SMALLEST}.get(name, WIDEST))

    def _facts(self, frame: Frame, *, heat: bool) -> dict[str, Any]:
        now, quality = self._times[-1], frame.quality
        span = now - self._times[0]
        facts = {
            "index": frame.index,
            "fps": round((len(self._times) - 1) / span, 2) if span else 0.0,
            "age_ms": round((now - frame.captured_at) * 1000, 1),
            "style": frame.style,
            "stand_in": frame.filler,
            "score": round(quality.score, 3) if quality else 0.0,
            "kinds": list(quality.kinds) if quality else [],
            "action": quality.action if quality else "none",
        }
        if heat and quality is not None:
            levels = np.clip(quality.heat / _FULL_HEAT * 255, 0, 255).astype(np.uint8)
            facts["heat"] = {
                "rows": levels.shape[0],
                "columns": levels.shape[1],
                "levels": base64.b64encode(levels.tobytes()).decode(),
            }
        return facts


def jpeg(picture: Picture, widest: int | None) -> bytes:
    """RGB uint8 (H, W, 3) as a JPEG file, made smaller where a side is longer than `widest`."""
    longest = max(picture.shape[:2])
    if widest is not None and longest > widest:
        size = tuple(max(1, round(side * widest / longest)) for side in picture.shape[1::-1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _QUALITY)
    return data.tobytes()


def _give(answer: asyncio.Future[Shot], shot: Shot) -> None:
    if not answer.done():
        answer.set_result(shot)


def picture_routes(feed: PictureFeed) -> list[BaseRoute]:
    """Frames as single pictures and as a stream."""
    return [
        Route("/frame.jpg", partial(_picture, feed, WHOLE)),
        Route("/small.jpg", partial(_picture, feed, SMALL)),
        Route("/stream.mjpg", partial(_stream, feed)),
    ]


async def _picture(feed: PictureFeed, part: str, _: Request) -> Response:
    try:
        shot = await asyncio.wait_for(feed.next(frozenset({part})), PATIENCE)
    except TimeoutError:
        return Response("no frame comes\n", 503, media_type="text/plain")
    return Response(
        shot.parts[part], media_type="image/jpeg", headers={"Frame-State": json.dumps(shot.facts)}
    )


async def _stream(feed: PictureFeed, _: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield f"--{BOUNDARY}\r\n".encode()
        while True:
            yield _part(await feed.next(frozenset({WHOLE})))

    return StreamingResponse(parts(), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")


def _part(shot: Shot) -> bytes:
    """One picture of a stream. The boundary after it lets browsers show it at once."""
    picture = shot.parts[WHOLE]
    lines = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    return lines + picture + f"\r\n--{BOUNDARY}\r\n".encode()
