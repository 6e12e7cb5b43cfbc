"""One WebSocket viewer. It gets status reports, and one picture for each credit that it sends, so that no
picture waits in a queue."""

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

MAX_CREDIT = 2
"""Pictures that may be on their way to one viewer."""

STATUS_INTERVAL = 0.5
"""Seconds between two status reports."""


class StatusReports(Protocol):
    """Status that a viewer gets besides pictures."""

    def since(self, seen: dict[str, int], *, wall: bool) -> dict[str, Any]:
        """The status, and events and points that are newer than the counts in `seen`, as JSON values. Updates
        `seen`. wall: True to include thumbnails."""

    def watch_wall(self, *, on: bool) -> None:
        """Count a viewer that shows the wall of styles, or one that no longer does."""


class ViewerMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message of the page. credit: number of further pictures that it takes. wants: the parts of a frame to
    send. wall: True if it shows thumbnails."""

    credit: Annotated[int, Meta(ge=0, le=MAX_CREDIT)] = 0
    wants: tuple[str, ...] | None = None
    wall: bool | None = None


class Viewer:
    """Serves one connection until it ends."""

    def __init__(self, connection: WebSocket, feed: PictureFeed, reports: StatusReports) -> None:
        self._connection, self._feed, self._reports = connection, feed, reports
        self._wants = frozenset({PAINTED})
        self._credit = asyncio.Semaphore(0)
        self._promised = 0
        self._wall = False

    async def serve(self) -> None:
        """Return when the page has gone."""
        await self._connection.accept()
        tasks = [
            asyncio.create_task(work()) for work in (self._receive, self._send_pictures, self._send_status)
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has gone while something was sent
        except msgspec.ValidationError:
            await self._connection.close(1008, "the message of the page cannot be read")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._watch_wall(on=False)

    async def _receive(self) -> None:
        while True:
            message = await self._connection.receive_text()
            request = msgspec.json.decode(message.encode(), type=ViewerMessage)
            if request.wants is not None:
                self._wants = frozenset(request.wants) & {PAINTED, ORIGINAL, HEAT}
            if request.wall is not None:
                self._watch_wall(on=request.wall)
            for _ in range(min(request.credit, MAX_CREDIT - self._promised)):
                self._promised += 1
                self._credit.release()

    async def _send_pictures(self) -> None:
        while True:
            await self._credit.acquire()
            encoded = await self._feed.next(self._wants)
            self._promised -= 1
            parts = {name: encoded.parts[name] for name in (PAINTED, ORIGINAL) if name in encoded.parts}
            await self._connection.send_bytes(packed(encoded.facts, parts))

    async def _send_status(self) -> None:
        seen: dict[str, int] = {}
        while True:
            reports = await asyncio.to_thread(self._reports.since, seen, wall=self._wall)
            await self._connection.send_text(json.dumps(reports))
            await asyncio.sleep(STATUS_INTERVAL)

    def _watch_wall(self, *, on: bool) -> None:
        if on != self._wall:
            self._wall = on
            self._reports.watch_wall(on=on)


def packed(facts: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """One message: the length of the JSON as 4 bytes (big-endian), the JSON, with `parts`: names and lengths,
    then those."""
    head = json.dumps({**facts, "parts": [[name, len(data)] for name, data in parts.items()]}).encode()
    return b"".join([struct.pack(">I", len(head)), head, *parts.values()])
