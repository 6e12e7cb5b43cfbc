"""An output for measuring: takes frames and discards them."""

from __future__ import annotations

from streamstyle.errors import SinkError
from streamstyle.types import Frame, MediaReport


class NullSink:
    """A Sink that only counts. Counter: `frames`."""

    def __init__(self) -> None:
        self._frames = 0
        self._closed = False

    def write(self, frame: Frame) -> None:  # noqa: ARG002  # the protocol's name
        """Count one frame."""
        if self._closed:
            raise SinkError("null: is closed: no frame can follow.")
        self._frames += 1

    def close(self, *, complete: bool) -> None:  # noqa: ARG002
        """Do nothing: there is nothing to finish."""
        self._closed = True

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport(counters={"frames": self._frames})
