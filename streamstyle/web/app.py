"""The control room's application: pages, pictures, and the verbs as a JSON API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamstyle.config import RunConfig
from streamstyle.control.requests import parse
from streamstyle.errors import ConfigError, StreamStyleError
from streamstyle.web.metrics_server import metrics_route
from streamstyle.web.openapi import OWN, ForgetSink, SavePreset, Start, Stop, document
from streamstyle.web.pages import page_route, static_route
from streamstyle.web.pictures import PictureFeed, picture_routes
from streamstyle.web.policy import Policy
from streamstyle.web.record import FindingsHistory
from streamstyle.web.service import Service
from streamstyle.web.training import Training
from streamstyle.web.viewer import Viewer
from streamstyle.web.wall import StyleWall
from streamstyle.web.webrtc import IncomingPictures, PeerConnections
from streamstyle.web.whip import KINDS as SDP_KINDS
from streamstyle.web.whip import Signalling

UPLOADS = ("/api/train",)
KINDS = {**dict.fromkeys(UPLOADS, ("image/jpeg", "image/png", "image/webp")), **SDP_KINDS}
"""Media types of bodies that are not JSON, by path."""


@dataclass(frozen=True)
class ControlRoom:
    """The requests of the page. sources, styles: JSON values for its lists. save_preset: stores settings,
    source and outputs under a name, and returns the file. training: None if this installation cannot train.
    incoming: pictures from browsers."""

    service: Service
    feed: PictureFeed
    record: FindingsHistory
    wall: StyleWall
    policy: Policy
    training: Training | None
    incoming: IncomingPictures
    sources: Callable[[], list[dict[str, Any]]]
    styles: Callable[[], list[dict[str, Any]]]
    save_preset: Callable[[str, RunConfig], str]

    def since(self, seen: dict[str, int], *, wall: bool) -> dict[str, Any]:
        """See `streamstyle.web.viewer.StatusReports`."""
        point, points = self.record.points_after(seen.get("point", 0))
        findings = self.record.findings_after(seen.get("told", 0))
        seen |= {
            "point": point,
            "told": max((one["number"] for one in findings), default=seen.get("told", 0)),
        }
        thumbnails: list[list[str]] = []
        webrtc = find_spec("aiortc") is not None
        if wall:
            version = self.wall.version
            thumbnails = [[name, _base64(data)] for name, data in self.wall.after(seen.get("wall", 0))]
            seen["wall"] = version
        return {
            "status": self.service.status(),
            "points": points,
            "events": findings,
            "thumbnails": thumbnails,
            "wall": self.wall.to_json(),
            "allows": {"any": self.policy.allow_any, "training": self.training is not None, "webrtc": webrtc},
            "training": None if self.training is None else self.training.to_json(),
        }

    def watch_wall(self, *, on: bool) -> None:
        """See `streamstyle.web.viewer.StatusReports`."""
        self.wall.watch(on=on)

    def begin(self) -> None:
        """Start the source of the command line; an error is shown on the page."""
        with contextlib.suppress(StreamStyleError):
            self.service.start()

    def close(self) -> None:
        """End all that goes on."""
        self.wall.close()
        if self.training is not None:
            self.training.close()
        self.service.close()

    def ask(self, verb: str, values: dict[str, Any]) -> dict[str, Any]:
        """Execute a verb. Raises StreamStyleError."""
        if verb in OWN:
            return self._ask_own(_own(verb, values))
        request = parse({**values, "do": verb})
        self.policy.check(request)
        return self.service.answer(request)

    def _ask_own(self, request: msgspec.Struct) -> dict[str, Any]:
        match request:
            case Start():
                if request.source is not None:
                    self.policy.check_source(request.source)
                return self.service.start(request.source)
            case Stop():
                return self.service.stop()
            case ForgetSink():
                return self.service.forget(request.sink)
            case SavePreset():
                return {"file": self.save_preset(request.name, self.service.config)}
        raise AssertionError(request)


def application(room: ControlRoom, more: list[BaseRoute] | None = None) -> Starlette:
    """Routes alone: `AccessGuard` stands before them. more: of other rooms."""

    peers = PeerConnections(room.incoming, room.feed)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await peers.close_all()

    async def live(connection: WebSocket) -> None:
        await Viewer(connection, room.feed, room).serve()

    async def status(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(room.service.status))

    async def listed(of: Callable[[], list[dict[str, Any]]], _: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(of))

    return Starlette(
        routes=[
            page_route("/", "control.html"),
            page_route("/obs", "picture.html"),
            static_route(),
            Route("/status.json", status),
            metrics_route(lambda: room.service.metrics),
            Route("/healthz", lambda _: JSONResponse({"ok": True})),
            Route("/openapi.json", lambda _: JSONResponse(document())),
            Route("/api/sources", partial(listed, room.sources)),
            Route("/api/styles", partial(listed, room.styles)),
            Route("/api/train", partial(_train, room), methods=["POST"]),
            *Signalling(room.service, peers).routes,
            Route("/api/{verb}", partial(_ask, room), methods=["POST"]),
            *picture_routes(room.feed),
            WebSocketRoute("/live", live),
            *(more or []),
        ],
        lifespan=lifespan,
    )


async def _ask(room: ControlRoom, request: Request) -> Response:
    verb, body = request.path_params["verb"], await request.body()
    try:
        values = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return _refused(ConfigError("the body is not a JSON object"))
    return await _answered(partial(room.ask, verb, values))


async def _train(room: ControlRoom, request: Request) -> Response:
    training, name = room.training, request.query_params.get("name", "")
    upload = await request.body()
    if training is None:
        return _refused(ConfigError("this server cannot train styles"))
    network = room.service.config.network
    return await _answered(
        lambda: {"training": training.start(upload, name, "lite" if network == "auto" else network)}
    )


async def _answered(work: Callable[[], dict[str, Any]]) -> Response:
    try:
        return JSONResponse({"ok": True, **await asyncio.to_thread(work)})
    except StreamStyleError as error:
        return _refused(error)


def _refused(error: StreamStyleError) -> Response:
    return JSONResponse({"ok": False, "error": str(error)}, 400)


def _own(verb: str, values: dict[str, Any]) -> msgspec.Struct:
    try:
        return msgspec.convert(values, OWN[verb])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{verb} cannot be done: {error}") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
