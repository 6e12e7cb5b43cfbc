"""The desk for other programs: requests come as messages, and each gets an answer."""

from __future__ import annotations

import json
from typing import Any, Protocol

from streamstyle.control.desk import Desk
from streamstyle.control.requests import VERSION, from_json
from streamstyle.errors import StreamStyleError

_PATIENCE = 0.1
"""Seconds between two looks whether the run is over."""


class Wire(Protocol):
    """Carries messages between this program and others."""

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        """Who sends and what; None where nothing came within `timeout` seconds."""

    def send(self, peer: bytes, data: bytes) -> None:
        """Answer; one who has gone is not waited for."""

    def close(self) -> None:
        """Nobody is answered any more."""


def serve(wire: Wire, desk: Desk) -> None:
    """Answer requests until the desk is closed, one after another."""
    try:
        while not desk.closed:
            message = wire.receive(_PATIENCE)
            if message is not None:
                wire.send(message[0], reply(desk, message[1]))
    finally:
        wire.close()


def reply(desk: Desk, data: bytes) -> bytes:
    """The answer to one request as JSON, whatever the request is."""
    request, mark = from_json(data)
    answer: dict[str, Any] = {"version": VERSION, "ok": False}
    if mark is not None:
        answer["id"] = mark
    if isinstance(request, StreamStyleError):
        return json.dumps({**answer, "error": str(request)}).encode()
    try:
        return json.dumps({**answer, "ok": True, **desk.answer(request)}).encode()
    except StreamStyleError as error:
        return json.dumps({**answer, "error": str(error)}).encode()
