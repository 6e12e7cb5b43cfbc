"""Signals and sentences of commands that run for long."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamstyle.flow import StopRequest

EXIT_INTERRUPTED = 130

_ONE_PRESS = 0.2
"""Seconds within which signals are one."""


def notify(sentence: str) -> None:
    """Print a message on stderr, beside the progress bar."""
    from tqdm import tqdm

    with suppress(OSError):  # a full disk behind stderr is no reason to end a run
        tqdm.write(sentence, file=sys.stderr)
        sys.stderr.flush()


@contextmanager
def stopping_on_signals(stop: StopRequest) -> Iterator[None]:
    """Let SIGINT and SIGTERM finish the output; a second SIGINT aborts at once."""

    first = math.inf

    def on_signal(number: int, _frame: object) -> None:
        nonlocal first
        now = time.monotonic()
        # A terminal tells us and the command that waits for us, which passes it on: that is one.
        if stop.requested and number == signal.SIGINT and now - first > _ONE_PRESS:
            raise KeyboardInterrupt
        first = min(first, now)
        stop.request()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
