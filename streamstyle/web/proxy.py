"""A reverse proxy: forwards requests and WebSockets to a control room in another process of this machine."""

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

_FORWARDED_HEADERS = ("content-type", "frame-state")
"""Headers of the upstream's answer that go back to the browser; `AccessGuard` adds the others."""

_SERVICE_RESTART = 1012  # "service restart" of RFC 6455's registry


@dataclass(frozen=True)
class Upstream:
    """The control room that requests are forwarded to."""

    address: str
    """HOST:PORT."""
    token: str
    """Its token, which browsers never see."""
    prefix: str
    """Path below which this server offers it."""

    def url(self, path: str) -> str:
        """URL of one of its paths."""
        return f"http://{self.address}{path}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request to it."""
        return {"Authorization": f"Bearer {self.token}"}


async def forward_request(request: Request, client: httpx.AsyncClient, upstream: Upstream | None) -> Response:
    """Stream the upstream's answer back. 503 if there is no upstream or it does not answer."""
    if upstream is None:
        return _unavailable()
    kind = request.headers.get("content-type")
    forwarded = client.build_request(
        request.method,
        upstream.url(f"/{quote(request.path_params['path'])}"),
        params=[(name, value) for name, value in request.query_params.multi_items() if name != "token"],
        content=await request.body(),
        headers=upstream.headers | ({} if kind is None else {"Content-Type": kind}),
    )
    try:
        answer = await client.send(forwarded, stream=True)
    except httpx.TransportError:
        return _unavailable()
    headers = {name: answer.headers[name] for name in _FORWARDED_HEADERS if name in answer.headers}
    if "location" in answer.headers:
        headers["location"] = upstream.prefix + answer.headers["location"]
    return StreamingResponse(_body_chunks(answer), answer.status_code, headers)


async def _body_chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        with contextlib.suppress(httpx.TransportError):  # it has ended
            async for part in answer.aiter_raw():
                yield part
    finally:
        await answer.aclose()


def _unavailable() -> Response:
    return Response("the stream is not running\n", 503, media_type="text/plain")


async def forward_websocket(viewer: WebSocket, upstream: Upstream | None) -> None:
    """Forward messages both ways until one side closes. Close at once if there is no upstream."""
    if upstream is None:
        await viewer.close(_SERVICE_RESTART)
        return
    settings: dict[str, Any] = {
        "origin": f"http://{upstream.address}",
        "additional_headers": upstream.headers,
        "proxy": None,
        "compression": None,  # JPEG does not get smaller
        "max_size": None,
        "ping_interval": None,
    }
    try:
        room = await connect(f"ws://{upstream.address}/live", **settings)
    except (OSError, WebSocketException):
        await viewer.close(_SERVICE_RESTART)
        return
    async with room:
        await viewer.accept()
        directions = {
            asyncio.create_task(_send_to_room(viewer, room)),
            asyncio.create_task(_send_to_viewer(room, viewer)),
        }
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the viewer was the first to leave
        await viewer.close(_SERVICE_RESTART)


async def _send_to_room(viewer: WebSocket, room: ClientConnection) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionClosed, KeyError):  # a viewer who sends bytes
        while True:
            await room.send(await viewer.receive_text())


async def _send_to_viewer(room: ClientConnection, viewer: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, ConnectionClosed, RuntimeError):
        async for message in room:
            await (viewer.send_text(message) if isinstance(message, str) else viewer.send_bytes(message))
