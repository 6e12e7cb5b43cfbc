"""A server for one address, on its own thread."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Self, TypeAlias

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamstyle.errors import ConfigError, SinkError
from streamstyle.flow import Event, Future

App: TypeAlias = ASGIApp
"""An application that a server serves."""

ADDRESS_LINE = "control room: "
"""Beginning of the line with the address of the page, for people and for programs that start this one."""

MAX_CONNECTIONS = 128
REQUEST_TIMEOUT = 10.0
"""Seconds that a client may take to send its request."""

_SHUTDOWN_TIMEOUT = 2.0
"""Seconds that the last answers may take once the server is to end."""

_KERNEL_BUFFER = 64 * 1024  # old pictures must not wait there
_MAX_MESSAGE_BYTES = 64 * 1024


class _Connection(H11Protocol):
    """Let go where it says nothing for too long, or where there are too many."""

    _idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= MAX_CONNECTIONS:
            transport.abort()
            return
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        self._idle_timer = self.loop.call_later(REQUEST_TIMEOUT, self._drop_idle, transport)

    def _drop_idle(self, transport: asyncio.Transport) -> None:
        if self.cycle is None and transport.get_protocol() is self:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            super().connection_lost(exc)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.started_or_ended = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.started_or_ended.set()


class WebServer:
    """Serves an application inside its `with` block."""

    def __init__(self, listener: socket.socket, app: App) -> None:
        """listener: from `listening`; closed with the server."""
        self._listener = listener
        settings: dict[str, Any] = {
            "http": _Connection,
            "ws": "websockets-sansio",
            "ws_max_size": _MAX_MESSAGE_BYTES,
            "ws_per_message_deflate": False,  # JPEG does not get smaller
            "h11_max_incomplete_event_size": 16 * 1024,
        }
        self._server = _Server(
            uvicorn.Config(
                app,
                **settings,
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=int(REQUEST_TIMEOUT),
                timeout_graceful_shutdown=1,
            )
        )
        self._serving: Future[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Return once it answers. Raises SinkError."""
        self._serving = Future(self._serve, "web")
        self._server.started_or_ended.wait()
        if not self._server.started:
            self._serving.result()
            raise SinkError("the web server ended before it was ready")

    def close(self) -> None:
        """Leave every client."""
        self._server.should_exit = True
        if self._serving is not None:
            try:
                self._serving.result(_SHUTDOWN_TIMEOUT)
            except TimeoutError:
                self._server.force_exit = True
        self._listener.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        finally:
            self._server.started_or_ended.set()


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `8080`; port 0 takes a free one.

    Raises ConfigError for an invalid address.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"the address '{text}' cannot be read: write 127.0.0.1:8080")
    return "127.0.0.1" if host == "localhost" else host, int(port)
