"""As much of HTTP/1.1 as the preview needs: requests without a body, and who may make them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

LARGEST_REQUEST = 8192
END = b"\r\n\r\n"

_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Request:
    """method, path as sent; token from the query; header names in lower case."""

    method: str
    path: str
    token: str
    headers: Mapping[str, str]


def parse(head: bytes) -> Request:
    """A request's lines, without the empty one. Raises ValueError for what is none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise ValueError("no HTTP/1 request")
    pairs = [line.split(":", 1) for line in lines]
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    if len(headers) < len(pairs) or "content-length" in headers or "transfer-encoding" in headers:
        raise ValueError("a header twice, or a body")
    parts = urlsplit(target)
    return Request(method, parts.path, parse_qs(parts.query).get("token", [""])[-1], headers)


def refusal(request: Request, port: int, token: str) -> HTTPStatus | None:
    """Why a request is not served: the one place that decides.

    The host must be this machine by name, which no page of another site can make a browser say (DNS
    rebinding); a page of another origin may not ask at all; and the token must be known.
    """
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    if request.method != "GET":
        return HTTPStatus.METHOD_NOT_ALLOWED
    if request.headers.get("host") not in hosts:
        return HTTPStatus.MISDIRECTED_REQUEST
    if request.headers.get("origin", "http://" + request.headers["host"]) not in {
        f"http://{h}" for h in hosts
    }:
        return HTTPStatus.FORBIDDEN
    if not hmac.compare_digest(request.token.encode(), token.encode()):
        return HTTPStatus.FORBIDDEN
    return None


def response(status: HTTPStatus, kind: str, body: bytes, more: Mapping[str, str] | None = None) -> bytes:
    """A whole answer. kind: its media type."""
    headers = {"Content-Type": kind, "Content-Length": str(len(body))} | _ALWAYS | dict(more or {})
    return head(status, headers) + body


def head(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    """The lines before a body."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + END


def stream_head(boundary: str) -> bytes:
    """What goes before a stream of pictures that never ends."""
    kind = f"multipart/x-mixed-replace; boundary={boundary}"
    return head(HTTPStatus.OK, {"Content-Type": kind, "Connection": "close"} | _ALWAYS)


def part(boundary: str, picture: bytes) -> bytes:
    """One picture of such a stream. The boundary after it lets browsers show it at once."""
    lines = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    return lines + picture + f"\r\n--{boundary}\r\n".encode()
