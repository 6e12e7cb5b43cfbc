"""The call that ends a live run's wait when the engine has painted a frame."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.types import InferenceFuture


def _nobody() -> None:
    """Do nothing: no thread waits yet."""


class Wakeup:
    """Connects the frames in an engine with the flow that waits for the first of them.

    polled: the engine of the last frame cannot call, so that it must be asked.
    """

    def __init__(self) -> None:
        self._wake: Callable[[], None] = _nobody
        self.polled = True

    def connect(self, wake: Callable[[], None]) -> None:
        """Name the function that ends the wait; it is called from any thread."""
        self._wake = wake

    def watch(self, future: InferenceFuture) -> None:
        """End the wait when this picture is painted, if its engine can call back."""
        self.polled = not future.on_ready(self._call)

    def _call(self) -> None:
        self._wake()
