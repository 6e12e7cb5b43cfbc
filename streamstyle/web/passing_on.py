"""Requests and WebSockets that are passed on to a control room in another process of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

_BACK = ("content-type", "frame-state")
"""Headers of answers that are passed back; `AccessGuard` adds the others."""

_GONE = 1012  # "service restart" of RFC 6455's registry


@dataclass(frozen=True)
class Place:
    """A control room."""

    address: str
    """HOST:PORT."""
    token: str
    """Its own, which browsers never see."""
    below: str
    """The path that it has here."""

    def url(self, path: str) -> str:
        """Its address of one of its paths."""
        return f"http://{self.address}{path}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request to it."""
        return {"Authorization": f"Bearer {self.token}"}


async def passed_on(request: Request, client: httpx.AsyncClient, place: Place | None) -> Response:
    """The answer of the control room, as it comes; 503 where there is none."""
    if place is None:
        return _missing()
    kind = request.headers.get("content-type")
    asked = client.build_request(
        request.method,
        place.url(f"/{quote(request.path_params['path'])}"),
        params=[(name, value) for name, value in request.query_params.multi_items() if name != "token"],
        content=await request.body(),
        headers=place.headers | ({} if kind is None else {"Content-Type": kind}),
    )
    try:
        answer = await client.send(asked, stream=True)
    except httpx.TransportError:
        return _missing()
    back = {name: answer.headers[name] for name in _BACK if name in answer.headers}
    if "location" in answer.headers:
        back["location"] = place.below + answer.headers["location"]
    return StreamingResponse(_parts(answer), answer.status_code, back)


async def _parts(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        with contextlib.suppress(httpx.TransportError):  # it has ended
            async for part in answer.aiter_raw():
                yield part
    finally:
        await answer.aclose()


def _missing() -> Response:
    return Response("the stream is not there just now\n", 503, media_type="text/plain")


async def socket_passed_on(viewer: WebSocket, place: Place | None) -> None:
    """Both directions, until one side leaves; who asks for a control room that is not there is left at
    once."""
    if place is None:
        await viewer.close(_GONE)
        return
    settings: dict[str, Any] = {
        "origin": f"http://{place.address}",
        "additional_headers": place.headers,
        "proxy": None,
        "compression": None,  # JPEG does not get smaller
        "max_size": None,
        "ping_interval": None,
    }
    try:
        room = await connect(f"ws://{place.address}/live", **settings)
    except (OSError, WebSocketException):
        await viewer.close(_GONE)
        return
    async with room:
        await viewer.accept()
        ways = {asyncio.create_task(_there(viewer, room)), asyncio.create_task(_back(room, viewer))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the viewer was the first to leave
        await viewer.close(_GONE)


async def _there(viewer: WebSocket, room: ClientConnection) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionClosed, KeyError):  # a viewer who sends bytes
        while True:
            await room.send(await viewer.receive_text())


async def _back(room: ClientConnection, viewer: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionClosed, RuntimeError):
        async for message in room:
            await (viewer.send_text(message) if isinstance(message, str) else viewer.send_bytes(message))
