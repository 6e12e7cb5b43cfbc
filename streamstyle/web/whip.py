"""WebRTC by HTTP: the page's own verb, WHIP (RFC 9725) for senders and WHEP for players."""

from __future__ import annotations

import asyncio
import contextlib
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from streamstyle.errors import ConfigError, StreamStyleError
from streamstyle.flow import Future
from streamstyle.web.service import Service
from streamstyle.web.webrtc import BROWSER, PeerConnections

SDP = "application/sdp"
KINDS = dict.fromkeys(("/whip", "/whep"), (SDP,))
"""Media types of bodies by path."""


class Signalling:
    """Answers offers; a sender becomes the source."""

    def __init__(self, service: Service, peers: PeerConnections) -> None:
        self._service, self._peers = service, peers

    @property
    def routes(self) -> list[BaseRoute]:
        """Routes of the page, and of WHIP and WHEP."""
        return [
            Route("/api/webrtc", self._page, methods=["POST"]),
            *(Route(path, self._offered, methods=["POST"]) for path in KINDS),
            *(Route(f"{path}/{{name}}", self._closed, methods=["DELETE"]) for path in KINDS),
        ]

    async def _page(self, request: Request) -> Response:
        try:
            offer = json.loads(await request.body())
        except (ValueError, RecursionError):
            offer = None
        sdp = offer.get("sdp") if isinstance(offer, dict) else None
        if not isinstance(sdp, str):
            return JSONResponse({"ok": False, "error": "webrtc needs the field sdp, a text"}, 400)
        try:
            name, answer = await self._peers.answer(sdp, sends=True, receives=True)
        except ConfigError as error:
            return JSONResponse({"ok": False, "error": str(error)}, 400)
        await asyncio.to_thread(self._begin)
        return JSONResponse({"ok": True, "connection": name, "sdp": answer})

    async def _offered(self, request: Request) -> Response:
        sends = request.url.path == "/whip"
        try:
            offer = (await request.body()).decode("utf-8", errors="replace")
            name, answer = await self._peers.answer(offer, sends=sends, receives=not sends)
        except ConfigError as error:
            return PlainTextResponse(f"{error}\n", 400)
        if sends:
            await asyncio.to_thread(self._begin)
        place = {"Location": f"{request.url.path}/{name}"}
        return Response(answer, 201, media_type=SDP, headers=place)

    async def _closed(self, request: Request) -> Response:
        known = await self._peers.close(request.path_params["name"])
        return Response(status_code=200 if known else 404)

    def _begin(self) -> None:
        if self._service.source != BROWSER or self._service.status()["state"] not in {"running", "starting"}:
            Future(self._start, "start")  # a source waits for its first picture

    def _start(self) -> None:
        with contextlib.suppress(StreamStyleError):  # the page says why
            self._service.start(BROWSER)
