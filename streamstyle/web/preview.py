"""Shows frames on a page of this machine: `preview:`, `preview:8080`, `preview:8080?token=WORD`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from streamstyle.errors import ConfigError, SinkError
from streamstyle.types import Frame, MediaReport
from streamstyle.web.guard import Access, AccessGuard
from streamstyle.web.pages import POLICY, open_paths, page_route, static_route
from streamstyle.web.pictures import PictureFeed, picture_routes
from streamstyle.web.server import WebServer, listening
from streamstyle.web.viewer import Viewer

_LONGEST_SIDE = 65_500  # of a JPEG


class _NoStatus:
    """Implements `StatusReports`: a preview has pictures alone."""

    def since(self, seen: dict[str, int], *, wall: bool) -> dict[str, Any]:  # noqa: ARG002
        """Return no changes."""
        return {}

    def watch_wall(self, *, on: bool) -> None:
        """Do nothing: nothing is painted for it."""


class PreviewSink:
    """A Sink that browsers show. A picture is encoded once for all viewers, and only when one waits for it.

    notify: gets the page's address. Counters: `frames`; `pictures` encoded; `shown` to viewers, one for
    each; `refused` requests.
    """

    def __init__(self, url: str, notify: Callable[[str], None] = lambda _: None) -> None:
        """Raises ConfigError, SinkError."""
        port, token = _parsed(url)
        try:
            listener = listening("127.0.0.1", port)
        except OSError as error:
            raise SinkError(
                f"The preview cannot use port {port} ({error.strerror}): name another, as preview:8081, or "
                f"none, as preview:, for any."
            ) from error
        self._feed = PictureFeed()
        access = Access(int(listener.getsockname()[1]), token, open=open_paths())
        self._guard = AccessGuard(_application(self._feed), access, POLICY)
        self._server = WebServer(listener, self._guard)
        self._server.start()
        self._closed = False
        self.address = f"http://127.0.0.1:{self._server.port}/?token={token}"
        notify(f"preview: {self.address}")

    def write(self, frame: Frame) -> None:
        """Show one frame to the waiting viewers. Raises SinkError after `close`."""
        if self._closed:
            raise SinkError("The preview is closed: no frame can follow.")
        if max(frame.pixels.shape) > _LONGEST_SIDE:
            raise SinkError("The preview shows frames of up to 65500 pixels a side: leave it out.")
        self._feed.write(frame)

    def close(self, *, complete: bool) -> None:
        """Leave every viewer."""
        if not self._closed:
            self._closed = True
            self._feed.close(complete=complete)
            self._server.close()

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({**self._feed.report().counters, "refused": self._guard.refused})


def _application(feed: PictureFeed) -> Starlette:
    async def live(connection: WebSocket) -> None:
        await Viewer(connection, feed, _NoStatus()).serve()

    return Starlette(
        routes=[
            page_route("/", "picture.html"),
            static_route(),
            *picture_routes(feed),
            WebSocketRoute("/live", live),
        ]
    )


def _parsed(url: str) -> tuple[int, str]:
    """Port (0: any) and token of `preview:8080?token=WORD`."""
    rest, _, query = url.partition(":")[2].partition("?")
    values = parse_qs(query)
    known = not query or set(values) == {"token"}
    if not known or not (not rest or (rest.isdecimal() and int(rest) < 65_536)):
        raise ConfigError(
            f"{url.partition('?')[0]}: write preview:, preview:PORT or preview:PORT?token=WORD."
        )
    return int(rest or 0), values["token"][-1] if query else secrets.token_urlsafe(16)
