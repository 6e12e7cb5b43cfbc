"""Several streams on one page. Each has a control room in its own process, which this server forwards to.

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
from streamstyle.web.proxy import Upstream, forward_request, forward_websocket
from streamstyle.web.stream_metrics import merged

ANSWER_TIMEOUT = 2.0
"""Seconds that a stream may take to say how it stands."""

_METHODS = ["GET", "POST", "DELETE"]


@dataclass(frozen=True)
class StreamFacts:
    """State of a stream, as far as is known without asking it."""

    name: str
    """A word of a-z, 0-9 and -."""
    source: str
    """Its address without secrets."""
    style: str
    """The style that was set last."""
    address: str | None
    """HOST:PORT of its control room; None without one."""
    token: str
    """Token of that control room."""
    restarts: int
    """Number of times that its process was started again."""
    why: str | None
    """The reason if the process of its control room has ended, otherwise None."""
    again_in: float
    """Seconds until its process is started again."""

    @property
    def upstream(self) -> Upstream | None:
        """Address of its control room; None without one."""
        return None if self.address is None else Upstream(self.address, self.token, f"/streams/{self.name}")


@dataclass(frozen=True)
class StreamEvent:
    """An event in the life of a stream."""

    at: float
    """Seconds since 1970."""
    stream: str
    """Its name."""
    sentence: str
    """The message, one sentence."""


class StreamsRoom:
    """The application that shows all streams. Routes alone: `AccessGuard` stands before them."""

    def __init__(
        self, streams: Callable[[], Sequence[StreamFacts]], events: Callable[[], Sequence[StreamEvent]]
    ) -> None:
        """streams, events: how they stand now; called from the server's loop."""
        self._streams, self._events = streams, events
        # Not by way of a proxy that the environment names: the streams are on this machine.
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(ANSWER_TIMEOUT, read=None))

    def application(self) -> Starlette:
        """All routes."""
        prefix = "/streams/{stream}"
        return Starlette(
            routes=[
                page_route("/", "streams.html"),
                static_route(),
                Route("/streams.json", self._json),
                Route("/metrics", self._metrics),
                Route("/healthz", lambda _: JSONResponse({"ok": True})),
                Route("/openapi.json", lambda _: JSONResponse(document())),
                page_route(f"{prefix}/", "control.html"),
                page_route(f"{prefix}/obs", "picture.html"),
                static_route(prefix),
                WebSocketRoute(f"{prefix}/live", self._live),
                Route(prefix + "/{path:path}", self._forward, methods=_METHODS),
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    def _find(self, name: str) -> StreamFacts | None:
        return next((facts for facts in self._streams() if facts.name == name), None)

    async def _json(self, _: Request) -> Response:
        streams = await asyncio.gather(*(self._status_of(facts) for facts in self._streams()))
        return JSONResponse({"streams": streams, "events": [asdict(event) for event in self._events()]})

    async def _status_of(self, facts: StreamFacts) -> dict[str, Any]:
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
        if facts.upstream is None:
            return known | ({"state": "dead"} if facts.why else {})
        answer = await self._get(facts.upstream, "/status.json")
        if answer is None:
            return known | {"state": "mute", "why": f"it has not answered for {ANSWER_TIMEOUT:.0f} s"}
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
        answers = await asyncio.gather(*(self._get(facts.upstream, "/metrics") for facts in streams))
        texts = {
            facts.name: None if answer is None else answer.text
            for facts, answer in zip(streams, answers, strict=True)
        }
        return Response(merged(texts, {facts.name: facts.restarts for facts in streams}), media_type=FORMAT)

    async def _get(self, upstream: Upstream | None, path: str) -> httpx.Response | None:
        """The answer of a stream; None if it comes too late."""
        if upstream is None:
            return None
        try:
            answer = await self._client.get(
                upstream.url(path), headers=upstream.headers, timeout=ANSWER_TIMEOUT
            )
        except httpx.TransportError:
            return None
        return answer if answer.is_success else None

    async def _forward(self, request: Request) -> Response:
        facts = self._find(request.path_params["stream"])
        if facts is None:
            return Response("there is no stream with this name\n", 404, media_type="text/plain")
        return await forward_request(request, self._client, facts.upstream)

    async def _live(self, viewer: WebSocket) -> None:
        facts = self._find(viewer.path_params["stream"])
        await forward_websocket(viewer, None if facts is None else facts.upstream)


def paths_of(names: Sequence[str]) -> list[str]:
    """The path below which everything of each stream lies, and that of all."""
    return ["", *(f"/streams/{name}" for name in names)]


def open_stream_paths(names: Sequence[str]) -> frozenset[str]:
    """See `streamstyle.web.pages.open_paths`."""
    return frozenset(prefix + path for prefix in paths_of(names) for path in open_paths())


def stream_kinds(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """See `streamstyle.web.app.KINDS`."""
    return {prefix + path: kinds for prefix in paths_of(names) for path, kinds in KINDS.items()}


def stream_uploads(names: Sequence[str]) -> list[str]:
    """See `streamstyle.web.app.UPLOADS`."""
    return [prefix + path for prefix in paths_of(names) for path in UPLOADS]
