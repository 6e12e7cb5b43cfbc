"""Child processes that end with their parent, even if that is killed (Linux).

A parent starts any program by `killed_with_parent`, which runs this file before it. A child of this package
gets its parent as an argument, and calls `end_with` itself. In both cases the thread that starts the child
must live as long as the child: Linux takes that thread for the parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1


def killed_with_parent(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as a child of this process, with SIGKILL as its parent death
    signal (prctl(2)); elsewhere than on Linux `command` itself."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def end_with(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Get this signal when the thread that started this process ends in any way, even killed (Linux);
    elsewhere this process goes on. parent: the process that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(1)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block SIGINT in this thread, and for good in a child that is started in the `with` block: Ctrl-C in a
    terminal also tells children, which then end by their parent, in order, even while they start. This
    process gets one that comes meanwhile afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def package_environment() -> dict[str, str]:
    """The environment of a child that runs `python -m streamstyle...`, with the path of this package."""
    from pathlib import Path  # noqa: PLC0415 - above, each program that `main` becomes would wait for it

    paths = filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def main() -> None:
    """Become the program of the command line `PARENT PROGRAM ARGUMENT...`."""
    end_with(int(sys.argv[1]))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and a program would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
