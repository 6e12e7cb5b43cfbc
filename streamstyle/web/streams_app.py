"""Several streams on one page. Each has a control room in a process of its own, reached through here.

/                    all streams: small pictures with their states
/streams/NAME/...    the control room of a stream, with all its paths
/metrics             the figures of all, with the label `stream`
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamstyle.web.app import KINDS, UPLOADS
from streamstyle.web.metrics_server import FORMAT
from streamstyle.web.openapi import document
from streamstyle.web.pages import open_paths, page_route, static_route
from streamstyle.web.passing_on import Place, passed_on, socket_passed_on
from streamstyle.web.stream_metrics import merged

PATIENCE = 2.0
"""Seconds that a stream may take to say how it stands."""

_METHODS = ["GET", "POST", "DELETE"]


@dataclass(frozen=True)
class StreamFacts:
    """State of a stream, as far as is known without asking it."""

    name: str
    """Of a-z, 0-9 and -."""
    source: str
    """Without its secrets."""
    style: str
    """That it begins with."""
    address: str | None
    """HOST:PORT of its control room; None while there is none."""
    token: str
    """Of that control room."""
    restarts: int
    """Number of times that its process was started again."""
    why: str | None
    """Why there is no control room, where it has ended."""
    again_in: float
    """Seconds until its process is started again."""

    @property
    def place(self) -> Place | None:
        """Address of its control room; None while there is none."""
        return None if self.address is None else Place(self.address, self.token, f"/streams/{self.name}")


@dataclass(frozen=True)
class StreamEvent:
    """An event in the life of a stream."""

    at: float
    """Seconds since 1970."""
    stream: str
    """Its name."""
    sentence: str
    """In words."""


class StreamsRoom:
    """The application that shows all streams. Routes alone: `AccessGuard` stands before them."""

    def __init__(
        self, streams: Callable[[], Sequence[StreamFacts]], events: Callable[[], Sequence[StreamEvent]]
    ) -> None:
        """streams, events: how they stand now; called from the server's loop."""
        self._streams, self._events = streams, events
        # Not by way of a proxy that the environment names: the streams are on this machine.
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(PATIENCE, read=None))

    def application(self) -> Starlette:
        """All routes."""
        below = "/streams/{stream}"
        return Starlette(
            routes=[
                page_route("/", "streams.html"),
                static_route(),
                Route("/streams.json", self._json),
                Route("/metrics", self._metrics),
                Route("/healthz", lambda _: JSONResponse({"ok": True})),
                Route("/openapi.json", lambda _: JSONResponse(document())),
                page_route(f"{below}/", "control.html"),
                page_route(f"{below}/obs", "picture.html"),
                static_route(below),
                WebSocketRoute(f"{below}/live", self._live),
                Route(below + "/{path:path}", self._pass_on, methods=_METHODS),
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    def _named(self, name: str) -> StreamFacts | None:
        return next((facts for facts in self._streams() if facts.name == name), None)

    async def _json(self, _: Request) -> Response:
        streams = await asyncio.gather(*(self._told(facts) for facts in self._streams()))
        return JSONResponse({"streams": streams, "events": [asdict(event) for event in self._events()]})

    async def _told(self, facts: StreamFacts) -> dict[str, Any]:
        """The facts that the page shows of a stream."""
        known = {
            "name": facts.name,
            "source": facts.source,
            "style": facts.style,
            "restarts": facts.restarts,
            "state": "starting",
            "why": facts.why,
            "again_in": round(facts.again_in, 1),
            "fps": None,
            "size": None,
        }
        if facts.place is None:
            return known | ({"state": "dead"} if facts.why else {})
        answer = await self._asked(facts.place, "/status.json")
        if answer is None:
            return known | {"state": "mute", "why": f"it has not answered for {PATIENCE:.0f} s"}
        status = answer.json()
        run = status["run"] or {}
        return known | {
            "source": status["source"] or facts.source,
            "style": status["settings"]["style"],
            "state": status["state"],
            "why": status["why"],
            "fps": run.get("fps"),
            "size": run.get("size"),
        }

    async def _metrics(self, _: Request) -> Response:
        streams = self._streams()
        answers = await asyncio.gather(*(self._asked(facts.place, "/metrics") for facts in streams))
        texts = {
            facts.name: None if answer is None else answer.text
            for facts, answer in zip(streams, answers, strict=True)
        }
        return Response(merged(texts, {facts.name: facts.restarts for facts in streams}), media_type=FORMAT)

    async def _asked(self, place: Place | None, path: str) -> httpx.Response | None:
        """The answer of a stream, in time; else None."""
        if place is None:
            return None
        try:
            answer = await self._client.get(place.url(path), headers=place.headers, timeout=PATIENCE)
        except httpx.TransportError:
            return None
        return answer if answer.is_success else None

    async def _pass_on(self, request: Request) -> Response:
        facts = self._named(request.path_params["stream"])
        if facts is None:
            return Response("there is no stream of that name\n", 404, media_type="text/plain")
        return await passed_on(request, self._client, facts.place)

    async def _live(self, viewer: WebSocket) -> None:
        facts = self._named(viewer.path_params["stream"])
        await socket_passed_on(viewer, None if facts is None else facts.place)


def paths_of(names: Sequence[str]) -> list[str]:
    """The path below which everything of each stream lies, and that of all."""
    return ["", *(f"/streams/{name}" for name in names)]


def open_stream_paths(names: Sequence[str]) -> frozenset[str]:
    """See `streamstyle.web.pages.open_paths`."""
    return frozenset(below + path for below in paths_of(names) for path in open_paths())


def stream_kinds(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """See `streamstyle.web.app.KINDS`."""
    return {below + path: kinds for below in paths_of(names) for path, kinds in KINDS.items()}


def stream_uploads(names: Sequence[str]) -> list[str]:
    """See `streamstyle.web.app.UPLOADS`."""
    return [below + path for below in paths_of(names) for path in UPLOADS]
