"""`python -m streamstyle`, and the command."""

from __future__ import annotations

import signal
from typing import NoReturn


def start() -> NoReturn:
    """The whole process. Ctrl-C while it imports its modules ends it without a traceback."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from streamstyle.cli.main import program  # noqa: PLC0415 - what is slow, after Ctrl-C is provided for

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    program()


if __name__ == "__main__":
    start()
