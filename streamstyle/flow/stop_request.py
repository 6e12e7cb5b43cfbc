"""A request to end a run, from a signal handler or another thread."""

from __future__ import annotations

from contextlib import suppress

from streamstyle.flow.future import Lock

_MAX_WAIT_SECONDS = 0.5
"""Seconds that one wait may take: it is not ended by a signal that another thread receives, or on Windows."""


class StopRequest:
    """A request to end the run after the frames that are already captured; safe in a signal handler."""

    def __init__(self) -> None:
        self.requested = False
        # Held until the request. An Event would not do: a handler that sets it while its own thread enters
        # `wait` waits for itself.
        self._gate = Lock()
        self._gate.acquire()

    def request(self) -> None:
        """End the run soon, and well."""
        first, self.requested = not self.requested, True
        if first:
            with suppress(RuntimeError):  # two threads requested at once
                self._gate.release()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the request, or so long; True once it was made."""
        while seconds is None and not self.wait(_MAX_WAIT_SECONDS):
            pass
        if seconds is not None and self._gate.acquire(timeout=seconds):
            self._gate.release()
        return self.requested
