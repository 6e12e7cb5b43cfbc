"""A run's figures for Prometheus, at http://127.0.0.1:PORT/metrics."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streamstyle.errors import ConfigError
from streamstyle.web.guard import Access, AccessGuard
from streamstyle.web.pages import POLICY
from streamstyle.web.server import WebServer, listening, parse_address

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""https://prometheus.io/docs/instrumenting/exposition_formats/"""


def metrics_route(text: Callable[[], str]) -> Route:
    """Returns the metrics as text; called on a thread."""

    async def metrics(_: Request) -> Response:
        return Response(await asyncio.to_thread(text), media_type=FORMAT)

    return Route("/metrics", metrics)


def metrics_server(address: tuple[str, int], text: Callable[[], str]) -> WebServer:
    """Serves the text of `text` inside its `with` block. Raises ConfigError if the address is in use."""
    host, port = address
    try:
        listener = listening(host, port)
    except OSError as error:
        raise ConfigError(f"metrics cannot be served at {host}:{port}: {error.strerror}") from error
    access = Access(int(listener.getsockname()[1]), token=None)
    elsewhere = Route(
        "/{path:path}", lambda _: PlainTextResponse("the metrics are at /metrics\n", status_code=404)
    )
    application = Starlette(routes=[metrics_route(text), elsewhere])
    return WebServer(listener, AccessGuard(application, access, POLICY))


def loopback_address(text: str) -> tuple[str, int]:
    """(host, port) of `127.0.0.1:9100`, `[::1]:9100` or `localhost:9100`; port 0 takes a free one.

    Raises ConfigError for an invalid address, and for one that other machines could reach.
    """
    if ":" not in text or text.startswith(":"):
        raise ConfigError(f"the address '{text}' cannot be read: write 127.0.0.1:9100")
    host, port = parse_address(text)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(f"metrics at {host} could be read by anyone: choose 127.0.0.1:{port}")
    return host, port
