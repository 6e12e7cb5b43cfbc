"""A web server without a thread: it does what can be done at once, whenever it is called."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus

from streamstyle.media.preview.http import (
    END,
    LARGEST_REQUEST,
    Request,
    parse,
    part,
    refusal,
    response,
    stream_head,
)
from streamstyle.media.preview.preview_page import page

MOST_VIEWERS = 32
PATIENCE = 10.0
"""Seconds that a viewer may take to say what it wants, or to take anything of what it is sent."""

_BOUNDARY = "frame"
_KERNEL_BUFFER = 64 * 1024  # old pictures must not wait there
_GONE = (ConnectionError, TimeoutError)


class _Wants(Enum):
    NOTHING = auto()
    PICTURE = auto()  # the next one
    STREAM = auto()  # all it can take


class _Viewer:
    """One connection. heard: bytes of requests; to_send: what it has not taken of the answer."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = b""
        self.to_send = memoryview(b"")
        self.wants = _Wants.NOTHING
        self.leaves = False
        self.heard_of = time.monotonic()


class Viewers:
    """All who look on, on 127.0.0.1. counts: `shown` pictures and `refused` requests."""

    def __init__(self, port: int, token: str) -> None:
        """port: 0 takes any. Raises OSError."""
        self._listener = socket.create_server(("127.0.0.1", port), backlog=MOST_VIEWERS)
        self._listener.setblocking(False)
        self._token = token
        self._viewers: list[_Viewer] = []
        self.port = int(self._listener.getsockname()[1])
        self.counts = {"shown": 0, "refused": 0}
        self._listened = time.monotonic()
        self._answers: dict[str, Callable[[_Viewer], None]] = {
            "/": _answer_page,
            "/frame.jpg": _answer_picture,
            "/stream.mjpg": _answer_stream,
        }

    @property
    def waiting(self) -> bool:
        """Does anybody want a picture now?"""
        return any(_ready(viewer) for viewer in self._viewers)

    def listen(self) -> None:
        """Take new connections and requests."""
        silence = time.monotonic() - self._listened
        if silence > PATIENCE / 10:  # nobody was served while no frame came
            for viewer in self._viewers:
                viewer.heard_of += silence
        self._listened += silence
        with contextlib.suppress(BlockingIOError, *_GONE):
            while len(self._viewers) < MOST_VIEWERS:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
                self._viewers.append(_Viewer(connection))
        self._each(self._hear)

    def show(self, picture: bytes, state: str) -> None:
        """A picture (JPEG) for everybody who is ready for one. state: JSON about it, ASCII."""
        single = response(HTTPStatus.OK, "image/jpeg", picture, {"Frame-State": state})
        streamed = part(_BOUNDARY, picture)
        for viewer in filter(_ready, self._viewers):
            viewer.to_send = memoryview(single if viewer.wants is _Wants.PICTURE else streamed)
            if viewer.wants is _Wants.PICTURE:
                viewer.wants = _Wants.NOTHING
            self.counts["shown"] += 1

    def send(self) -> None:
        """Send what goes."""
        self._each(_send)

    def close(self) -> None:
        """Leave everybody."""
        for viewer in self._viewers:
            viewer.connection.close()
        self._viewers.clear()
        self._listener.close()

    def _each(self, act: Callable[[_Viewer], bool]) -> None:
        """Keep the viewers for whom `act` says so."""
        kept = []
        for viewer in self._viewers:
            try:
                stays = act(viewer)
            except _GONE:
                stays = False
            if stays and time.monotonic() - viewer.heard_of < PATIENCE:
                kept.append(viewer)
            else:
                viewer.connection.close()
        self._viewers = kept

    def _hear(self, viewer: _Viewer) -> bool:
        with contextlib.suppress(BlockingIOError):
            said = viewer.connection.recv(LARGEST_REQUEST)
            if not said:
                return False
            viewer.heard += said
        if viewer.wants is not _Wants.NOTHING or viewer.to_send:
            viewer.heard = viewer.heard[:LARGEST_REQUEST]
            return True
        if END in viewer.heard:
            head, _, viewer.heard = viewer.heard.partition(END)
            viewer.heard_of = time.monotonic()
            self._answer(viewer, head)
        return len(viewer.heard) < LARGEST_REQUEST

    def _answer(self, viewer: _Viewer, head: bytes) -> None:
        try:
            request: Request | None = parse(head)
        except ValueError:
            request = None
        status = HTTPStatus.BAD_REQUEST if request is None else refusal(request, self.port, self._token)
        if status is None and request is not None:
            answer = self._answers.get(request.path)
            if answer is not None:
                answer(viewer)
                return
            status = HTTPStatus.NOT_FOUND
        assert status is not None
        self.counts["refused"] += 1
        viewer.to_send = memoryview(
            response(status, "text/plain", status.phrase.encode(), {"Connection": "close"})
        )
        viewer.leaves = True


def _ready(viewer: _Viewer) -> bool:
    return viewer.wants is not _Wants.NOTHING and not viewer.to_send


def _answer_page(viewer: _Viewer) -> None:
    body, policy = page()
    more = {"Content-Security-Policy": policy}
    viewer.to_send = memoryview(response(HTTPStatus.OK, "text/html; charset=utf-8", body, more))


def _answer_picture(viewer: _Viewer) -> None:
    viewer.wants = _Wants.PICTURE


def _answer_stream(viewer: _Viewer) -> None:
    viewer.wants = _Wants.STREAM
    viewer.to_send = memoryview(stream_head(_BOUNDARY) + f"--{_BOUNDARY}\r\n".encode())


def _send(viewer: _Viewer) -> bool:
    with contextlib.suppress(BlockingIOError):
        while viewer.to_send:
            sent = viewer.connection.send(viewer.to_send)
            viewer.to_send = viewer.to_send[sent:]
            viewer.heard_of = time.monotonic()
    return bool(viewer.to_send) or not viewer.leaves
