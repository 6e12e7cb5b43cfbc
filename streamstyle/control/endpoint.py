"""Control requests from other programs: each message gets one answer."""

from __future__ import annotations

import json
from typing import Any, Protocol

from streamstyle.control.requests import VERSION, from_json
from streamstyle.control.run_controller import RunController
from streamstyle.errors import StreamStyleError

_RECEIVE_TIMEOUT = 0.1
"""Seconds between two checks whether the run has ended."""


class Wire(Protocol):
    """Carries messages between this program and others."""

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        """The sender and its message; None if nothing came within `timeout` seconds."""

    def send(self, peer: bytes, data: bytes) -> None:
        """Answer a peer; does not wait for one that has gone."""

    def close(self) -> None:
        """Stop answering."""


def serve(wire: Wire, controller: RunController) -> None:
    """Answer requests, one after another, until the controller is closed."""
    try:
        while not controller.closed:
            message = wire.receive(_RECEIVE_TIMEOUT)
            if message is not None:
                wire.send(message[0], reply(controller, message[1]))
    finally:
        wire.close()


def reply(controller: RunController, data: bytes) -> bytes:
    """The answer to one request, valid or not, as JSON."""
    request, mark = from_json(data)
    answer: dict[str, Any] = {"version": VERSION, "ok": False}
    if mark is not None:
        answer["id"] = mark
    if isinstance(request, StreamStyleError):
        return json.dumps({**answer, "error": str(request)}).encode()
    try:
        return json.dumps({**answer, "ok": True, **controller.answer(request)}).encode()
    except StreamStyleError as error:
        return json.dumps({**answer, "error": str(error)}).encode()
