"""One page that looks on: pictures against credit, so that none gets old on the way, and news."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamstyle.web.pictures import HEAT, ORIGINAL, PAINTED, PictureFeed

MOST_CREDIT = 2
"""Pictures that may be on their way to one viewer."""

NEWS = 0.5
"""Seconds between two reports of how things stand."""


class News(Protocol):
    """Reports besides pictures."""

    def since(self, seen: dict[str, int], *, wall: bool) -> dict[str, Any]:
        """JSON values: how things stand, and what is new after what `seen` counts, which is brought up to
        date. wall: thumbnails as well."""

    def looks(self, *, on: bool) -> None:
        """A viewer of the wall comes, or goes."""


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """A message of the page. credit: how many more pictures it takes. wants: parts of them. wall: does it
    show thumbnails?"""

    credit: Annotated[int, Meta(ge=0, le=MOST_CREDIT)] = 0
    wants: tuple[str, ...] | None = None
    wall: bool | None = None


class Viewer:
    """Serves one connection until it ends."""

    def __init__(self, connection: WebSocket, feed: PictureFeed, news: News) -> None:
        self._connection, self._feed, self._news = connection, feed, news
        self._wants = frozenset({PAINTED})
        self._credit = asyncio.Semaphore(0)
        self._owed = 0
        self._wall = False

    async def serve(self) -> None:
        """Return when the page has gone."""
        await self._connection.accept()
        tasks = [asyncio.create_task(work()) for work in (self._listen, self._show, self._report)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has gone while something was sent
        except msgspec.ValidationError:
            await self._connection.close(1008, "what the page says cannot be read")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._look(on=False)

    async def _listen(self) -> None:
        while True:
            said = await self._connection.receive_text()
            wish = msgspec.json.decode(said.encode(), type=Wish)
            if wish.wants is not None:
                self._wants = frozenset(wish.wants) & {PAINTED, ORIGINAL, HEAT}
            if wish.wall is not None:
                self._look(on=wish.wall)
            for _ in range(min(wish.credit, MOST_CREDIT - self._owed)):
                self._owed += 1
                self._credit.release()

    async def _show(self) -> None:
        while True:
            await self._credit.acquire()
            shot = await self._feed.next(self._wants)
            self._owed -= 1
            parts = {name: shot.parts[name] for name in (PAINTED, ORIGINAL) if name in shot.parts}
            await self._connection.send_bytes(packed(shot.facts, parts))

    async def _report(self) -> None:
        seen: dict[str, int] = {}
        while True:
            news = await asyncio.to_thread(self._news.since, seen, wall=self._wall)
            await self._connection.send_text(json.dumps(news))
            await asyncio.sleep(NEWS)

    def _look(self, *, on: bool) -> None:
        if on != self._wall:
            self._wall = on
            self._news.looks(on=on)


def packed(facts: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """One message: the length of the JSON as 4 bytes (big-endian), the JSON, with `parts`: names and lengths,
    then those."""
    head = json.dumps({**facts, "parts": [[name, len(data)] for name, data in parts.items()]}).encode()
    return b"".join([struct.pack(">I", len(head)), head, *parts.values()])
