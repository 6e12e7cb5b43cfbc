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

LARGEST_BODY = 64 * 1024
LARGEST_UPLOAD = 8 * 1024 * 1024

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Access:
    """port: that browsers name. token: the word that every request must know; None for a server of loopback
    that gives nothing but figures. hosts: names under which this machine may be asked, beside loopback.
    reachable: may other machines ask? Then every IP address may be the host as well, which no page of another
    site can make a browser say. open: paths that need no token. uploads: paths whose bodies may be large.
    kinds: the media types of bodies, by path, where they are not JSON.
    """

    port: int
    token: str | None
    hosts: Collection[str] = ()
    reachable: bool = False
    open: Collection[str] = ()
    uploads: Collection[str] = ()
    kinds: Mapping[str, Collection[str]] = field(default_factory=dict)

    def knows(self, host: str | None) -> bool:
        """Whether this machine is asked by a name of its own, so that no other site's name can lead here (DNS
        rebinding)."""
        name, colon, port = (host or "").rpartition(":")
        if not colon or port != str(self.port):
            return False
        return name in LOOPBACK or name in self.hosts or (self.reachable and _is_address(name))


class AccessGuard:
    """Stands before an ASGI application and lets through what `Access` allows; counts the rest in `refused`.

    A refusal is one plain sentence. A body that is longer than it may be is refused before it is read, or as
    soon as it is too long. Answers get the headers that keep other sites and caches out.
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
            await self._pass(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers, access = Headers(scope=scope), self._access
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not access.knows(hosts[0]):
            return HTTPStatus.MISDIRECTED_REQUEST, "this server is not asked by that name"
        web_socket = scope["type"] == "websocket"
        if (web_socket and not origins) or any(origin != f"http://{hosts[0]}" for origin in origins):
            return HTTPStatus.FORBIDDEN, "pages of other sites may not ask"
        changes = not web_socket and scope["method"] in _CHANGES
        if access.token is not None and scope["path"] not in access.open:
            given = _token(headers, "" if changes else scope["query_string"].decode("latin-1"))
            if not hmac.compare_digest(given.encode(), access.token.encode()):
                return HTTPStatus.FORBIDDEN, "the token is missing or wrong: use the address that was printed"
        return self._bad_body(scope, headers) if changes and scope["method"] != "DELETE" else None

    def _bad_body(self, scope: Scope, headers: Headers) -> tuple[HTTPStatus, str] | None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in self._access.kinds.get(scope["path"], ("application/json",)):
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a body of type '{kind:.40}' is not read here"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self._most(scope):
            return _too_long(self._most(scope))
        return None

    def _most(self, scope: Scope) -> int:
        return LARGEST_UPLOAD if scope["path"] in self._access.uploads else LARGEST_BODY

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        most, read = self._most(scope), 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                self.refused += 1
                raise HTTPException(*_too_long(most))  # answered by Starlette
            return message

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, counted, headed)

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


def _too_long(most: int) -> tuple[HTTPStatus, str]:
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {most // 1024} KiB is not read here"


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
