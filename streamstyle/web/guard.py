"""Access to the server: the one place that decides, for HTTP and for WebSockets."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

MAX_BODY = 64 * 1024
MAX_UPLOAD = 8 * 1024 * 1024

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Access:
    """Rules for access to a server."""

    port: int
    """Port that browsers name."""
    token: str | None
    """Word that every request must know; None for a server on loopback that gives nothing but figures."""
    hosts: Collection[str] = ()
    """Names of this machine besides loopback."""
    reachable: bool = False
    """True if other machines may ask. Then any IP address may be the host too, which no page of another site
    can make a browser say."""
    open: Collection[str] = ()
    """Paths that need no token."""
    uploads: Collection[str] = ()
    """Paths whose bodies may be large."""
    kinds: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Media types of bodies, by path, where they are not JSON."""

    def accepts_host(self, host: str | None) -> bool:
        """True if this `Host` header names this machine; any other name may be another site's that leads here
        (DNS rebinding)."""
        name, colon, port = (host or "").rpartition(":")
        if not colon or port != str(self.port):
            return False
        return name in LOOPBACK or name in self.hosts or (self.reachable and _is_address(name))


class AccessGuard:
    """Wraps an ASGI application, passes the requests that `Access` allows, and counts the others in
    `refused`.

    A refusal is one plain sentence. A body that is too long is refused before it is read, or as soon as it
    exceeds the limit. Responses get headers against other sites and caches.
    """

    def __init__(self, app: ASGIApp, access: Access, policy: str) -> None:
        """policy: the content security policy of every answer."""
        self._app = app
        self._access = access
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        why = self._refusal(scope)
        if why is not None:
            self.refused += 1
            await self._refuse(scope, receive, send, *why)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers, access = Headers(scope=scope), self._access
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not access.accepts_host(hosts[0]):
            return (
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server has another name: use the address that was printed, or start it with --name",
            )
        web_socket = scope["type"] == "websocket"
        if (web_socket and not origins) or any(origin != f"http://{hosts[0]}" for origin in origins):
            return HTTPStatus.FORBIDDEN, "requests of other sites' pages are refused"
        changes = not web_socket and scope["method"] in _METHODS_WITH_BODY
        if access.token is not None and scope["path"] not in access.open:
            given = _token(headers, "" if changes else scope["query_string"].decode("latin-1"))
            if not hmac.compare_digest(given.encode(), access.token.encode()):
                return HTTPStatus.FORBIDDEN, "the token is missing or wrong: use the address that was printed"
        return self._body_refusal(scope, headers) if changes and scope["method"] != "DELETE" else None

    def _body_refusal(self, scope: Scope, headers: Headers) -> tuple[HTTPStatus, str] | None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in self._access.kinds.get(scope["path"], ("application/json",)):
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a body of type '{kind:.40}' is not accepted"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self._body_limit(scope):
            return _too_long(self._body_limit(scope))
        return None

    def _body_limit(self, scope: Scope) -> int:
        return MAX_UPLOAD if scope["path"] in self._access.uploads else MAX_BODY

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit, read = self._body_limit(scope), 0

        async def receive_limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                self.refused += 1
                raise HTTPException(*_too_long(limit))  # answered by Starlette
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive_limited, send_with_headers)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: HTTPStatus, why: str) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": why})
            return
        body = (why + "\n").encode()
        headers = {
            **self._headers,
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": int(status), "headers": raw})
        await send({"type": "http.response.body", "body": body})


def _too_long(limit: int) -> tuple[HTTPStatus, str]:
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {limit // 1024} KiB is not accepted"


def _token(headers: Headers, query: str) -> str:
    kind, _, word = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return word
    return parse_qs(query).get("token", [""])[-1]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
