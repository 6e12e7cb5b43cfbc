"""Signals that ask a command to end: SIGINT, SIGTERM and SIGHUP, each request counted once.

A terminal and `timeout` signal a whole process group: the run, and the command that waits for it and forwards
signals to it (`contained`). The run then gets two signals for one request, and the second may come late.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamstyle.cli.contained import passed_on

if TYPE_CHECKING:
    from streamstyle.flow import StopRequest

_ONE_PRESS = 0.2
"""Seconds within which signals count as one request: `timeout` signals the command twice."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Requests:
    """Counts requests to end, once each, whether they are signals or forwarded."""

    def __init__(self) -> None:
        self.known = 0
        """The number of requests so far."""
        self._received = 0

    def is_new(self) -> bool:
        """Count a signal that this process has just received. False where it repeats a known request."""
        self._received += 1
        passed = passed_on()
        # A signal from elsewhere reached the command too, unless it was for this process alone.
        count = max(passed, self._received - passed)
        new, self.known = count > self.known, max(count, self.known)
        return new


_requests = Requests()
_whole_process = False


def take_signals() -> None:
    """Let a SIGINT that is passed on as well be one KeyboardInterrupt. For a process that ends with its one
    command, which calls `ignore_signals` then."""
    global _whole_process  # noqa: PLW0603 - a process has one set of signals
    _whole_process = True
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def ignore_signals() -> None:
    """Ignore requests, since the run has ended. The interpreter's end keeps this, unlike other handlers."""
    for number in _asking():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stopping_on_signals(stop: StopRequest) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP finish the output; a SIGINT that follows aborts at once. All are
    ignored afterwards in a process of `take_signals`: its output is finished."""
    requests = _requests if _whole_process else Requests()
    first = math.inf

    def on_signal(number: int, _frame: object) -> None:
        nonlocal first
        if not requests.is_new():
            return
        now = time.monotonic()
        if stop.requested and number == signal.SIGINT and now - first > _ONE_PRESS:
            raise KeyboardInterrupt
        first = min(first, now)
        stop.request()

    before = {number: signal.signal(number, on_signal) for number in _asking()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if _whole_process else handler)


def _asking() -> list[signal.Signals]:
    """Signals that end this command: not the loss of the terminal under `nohup`."""
    known = [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
    return [
        number for number in known if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
    ]


def _interrupt(_number: int, _frame: object) -> None:
    if _requests.is_new():
        raise KeyboardInterrupt
