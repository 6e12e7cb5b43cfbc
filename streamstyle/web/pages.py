"""The files that browsers get, read once. No other file of this machine is served."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The content security policy: only files of this server."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_INCLUDE_HEAD = b'  <!--#include file="head.html" -->\n'


def static_files() -> dict[str, tuple[bytes, str]]:
    """Contents and media type by name."""
    files = (path for path in STATIC.iterdir() if path.suffix in _TYPES)
    return {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in files}


def page_route(path: str, name: str) -> Route:
    """One of the files as a page, with the common lines of `head.html`."""
    files = static_files()
    body, kind = files[name]
    body = body.replace(_INCLUDE_HEAD, files["head.html"][0])
    return Route(path, lambda _: Response(body, media_type=kind))


def static_route(below: str = "") -> Route:
    """All of the files, below a path."""
    files = static_files()

    def static(request: Request) -> Response:
        body, kind = files.get(request.path_params["name"], (b"", ""))
        return Response(body, media_type=kind) if kind else Response(status_code=404)

    return Route(below + "/static/{name}", static)


def open_paths() -> frozenset[str]:
    """Paths that need no token: the files, which contain nothing about a run, and the health check."""
    return frozenset(
        {*(f"/static/{name}" for name in static_files() if not name.endswith(".html")), "/healthz"}
    )
