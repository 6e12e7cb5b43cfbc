"""Run the work in a child, so that a crash inside a media library ends the command with one sentence.

FFmpeg is C, and hostile or damaged films find its faults. The pictures of a run stay in one process, which is
fastest, but the command that the user started is another one. It waits, forwards signals, and reports the end
if the child cannot.
"""

from __future__ import annotations

import glob
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

COMMANDS = {"run", "repair"}
"""Commands that read and write films for long, and so run in a child process."""

_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_CRASHES = {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP"}

_PASSED, _ENDED = 0, 1  # places in the memory that command and child share
_memory: mmap.mmap | None = None
"""The number of signals that were passed on, and 1 + the exit code of a child whose work is done."""


def contained(work: Callable[[], int], arguments: Sequence[str], complain: Callable[[str], None]) -> int:
    """The exit code of `work`, done in a child where the system can fork; it never returns there, but as
    `work` itself. arguments: of the command line. complain: prints one sentence."""
    if not hasattr(os, "fork") or not arguments or arguments[0] not in COMMANDS:
        return work()
    global _memory  # noqa: PLW0603 - a process is contained once
    began, parent = time.time(), os.getpid()
    _memory = memory = mmap.mmap(-1, 2)
    child = os.fork()
    if child == 0:
        from streamstyle.children import end_with  # the command itself does not need it

        end_with(parent)
        code = work()
        memory[_ENDED] = 1 + code
        return code

    def pass_on(number: int, _frame: object) -> None:
        memory[_PASSED] = min(memory[_PASSED] + 1, 255)
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    def stop_too(_number: int, _frame: object) -> None:
        os.kill(child, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # it returns when this process is continued
        signal.signal(signal.SIGTSTP, stop_too)
        os.kill(child, signal.SIGCONT)

    if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, stop_too)
    for number in (getattr(signal, name) for name in _PASSED_ON):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as under `nohup`
            signal.signal(number, pass_on)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0 and memory[_ENDED]:
        code = memory[_ENDED] - 1  # its work was done; only taking libraries down failed
    elif code < 0:
        complain(_last_word(signal.Signals(-code), arguments, began))
        code = 1
    sys.stdout = sys.stderr = None  # which are the child's
    os._exit(code)


def passed_on() -> int:
    """The number of signals that the command has passed on to this process, its child; 0 without one."""
    return _memory[_PASSED] if _memory is not None else 0


def _last_word(cause: signal.Signals, arguments: Sequence[str], began: float) -> str:
    if cause.name in _CRASHES:
        told = f"the run crashed inside a media library ({cause.name}), perhaps because of a damaged film"
    else:
        told = f"the run was ended by {cause.name}"
        told += ", probably because memory ran out" if cause == signal.SIGKILL else ""
    kept = [str(path) for name in arguments[1:] for path in _parts(Path(name), began)]
    if kept:
        return f"{told}: what was written is kept as {' and '.join(kept)}."
    return f"{told}: nothing was written."


def _parts(output: Path, began: float) -> list[Path]:
    """Partial files of an output of this name that were left by a run that began then."""
    try:
        pattern = f"{glob.escape(output.stem)}.partial*{glob.escape(output.suffix)}"
        return [
            part
            for part in sorted(Path(os.path.realpath(output)).parent.glob(pattern))
            if output.suffix and part.stat().st_size and part.stat().st_mtime >= began - 1
        ]
    except (OSError, ValueError):
        return []
