"""The end of one inference, as a library's own thread reports it."""

from __future__ import annotations

from collections.abc import Callable


class Completion:
    """Calls a function once inference has ended, from whichever thread comes second.

    done: inference has ended. Needs no lock: of two threads that pop, one gets the function.
    """

    def __init__(self) -> None:
        self.done = False
        self._calls: list[Callable[[], None]] = []

    def finish(self) -> None:
        """Inference has ended; called by the library."""
        self.done = True
        self._fire()

    def then(self, call: Callable[[], None]) -> bool:
        """Call this once, now if inference has ended already. Returns True."""
        self._calls.append(call)
        if self.done:
            self._fire()
        return True

    def _fire(self) -> None:
        try:
            call = self._calls.pop()
        except IndexError:
            return
        call()
