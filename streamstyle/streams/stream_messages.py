"""Messages between the command and the process of a stream: its initial state, and later changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from streamstyle.config import RunConfig
from streamstyle.web.room_state import RoomState


class StreamRequest(msgspec.Struct, frozen=True):
    """The first and only message to the process, on its standard input, because addresses may contain keys,
    which do not belong into arguments or files."""

    config: RunConfig
    """Settings of the file. The page may name only its source and sinks."""
    state: RoomState
    """Initial state."""
    mark: str
    """Secret beginning of lines with a state, because other lines may contain text of sources and servers."""


def read_request() -> StreamRequest:
    """Wait for the request on standard input."""
    return msgspec.json.decode(sys.stdin.buffer.read(), type=StreamRequest)


def state_writer(mark: str) -> Callable[[RoomState], None]:
    """A function that reports a state on standard output."""

    def write(state: RoomState) -> None:
        # A separate line, even after text without a line end.
        line = b"\n" + mark.encode() + msgspec.json.encode(state) + b"\n"
        with suppress(OSError):  # the reader has gone, and this process will end
            sys.stdout.flush()
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()

    return write


def parse_state(line: str, mark: str) -> RoomState | None:
    """The state in a line; None for other lines, and for an incomplete line of a killed process."""
    if not line.startswith(mark):
        return None
    try:
        return msgspec.json.decode(line.removeprefix(mark), type=RoomState)
    except msgspec.DecodeError:
        return None
