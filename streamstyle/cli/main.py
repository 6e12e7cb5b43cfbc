"""The command line: arguments in, exit code out. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from streamstyle.cli import (
    batch,
    bench,
    control,
    devices,
    doctor,
    engines,
    explain,
    keys,
    models,
    repair,
    run,
    serve,
    styles,
    train,
)
from streamstyle.cli import eval as evaluate
from streamstyle.cli.contained import contained
from streamstyle.cli.signals import ignore_signals, take_signals
from streamstyle.cli.terminal import EXIT_INTERRUPTED
from streamstyle.errors import ConfigError, StreamStyleError

EXIT_FAILED = 1
EXIT_USAGE = 2

_NO_MORE = ("can't start new thread", "cannot allocate memory", "failed to map segment", "bad allocation")
"""Words of Python, the loader and libraries where the system refuses memory or threads."""


class IntermixedParser(argparse.ArgumentParser):
    """Takes options before, between and after the other arguments, as `run in.mp4 a.mp4 --style udnie b.mp4`.
    After `--` there are no options, so a file's name may begin with a dash."""

    _inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See argparse, whose own way of it calls this again, and does not know of subcommands."""
        if self._inside or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        given = list(sys.argv[1:] if args is None else args)
        if "--" in given:
            at = given.index("--")
            given[at:] = [f"./{one}" if one[:1] == "-" != one else one for one in given[at + 1 :]]
        self._inside = True
        try:
            return self.parse_known_intermixed_args(given, namespace)
        finally:
            self._inside = False


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = IntermixedParser(
        prog="streamstyle", description="Video in a painter's style, at frame rate and without flicker."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run.add_command(commands)
    batch.add_command(commands)
    serve.add_command(commands)
    control.add_command(commands)
    repair.add_command(commands)
    styles.add_command(commands)
    models.add_command(commands)
    explain.add_command(commands)
    evaluate.add_command(commands)
    bench.add_command(commands)
    engines.add_command(commands)
    keys.add_command(commands)
    train.add_command(commands)
    devices.add_command(commands)
    doctor.add_command(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot show a painter's name shows it escaped.
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser().parse_args(argv)
        code = int(arguments.command(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except ConfigError as error:
        complain(str(error))
        return EXIT_USAGE
    except StreamStyleError as error:
        complain(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say to it.
        _silence(1)
        return EXIT_FAILED
    except Exception as error:
        fault = _system_fault(error)
        if not fault:
            raise
        complain(fault)
        _silence(1)
        return EXIT_FAILED
    return code


def _system_fault(error: Exception) -> str:
    """The sentence on an error of the system, or of a limit that it was given; empty for any other."""
    number = error.errno if isinstance(error, OSError) else None
    told = str(error).strip().splitlines()[-1:]
    if number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}:
        why = os.strerror(number or 0)
        return f"the standard output could not be written: {why}. All else is written whole."
    if (
        isinstance(error, MemoryError)
        or number in {errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE}
        or any(words in line.lower() for line in told for words in _NO_MORE)
    ):
        why = "".join(told).rstrip(".") or "out of memory"
        return (
            f"the system gives no more memory, threads or files ({why}): close other programs, or raise its "
            f"limits, which `ulimit -a` shows."
        )
    return ""


def complain(sentence: str) -> None:
    """One line on stderr, if that can be written to."""
    with contextlib.suppress(OSError):
        print(f"streamstyle: {sentence}", file=sys.stderr, flush=True)


def _silence(stream: int) -> None:
    """Discard the rest of the output, so that the interpreter's end does not fail on it."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream)
        os.close(nowhere)


def _standard_streams() -> None:
    """Open the null device in place of a closed standard stream. Otherwise the next file would get its
    number, and the stream's output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - as long as we run


def _only_command() -> int:
    """`main`, after which no signal changes how the process ends."""
    take_signals()
    code = main()
    ignore_signals()
    return code


def program() -> NoReturn:
    """The whole process: `main`, then an exit that does not wait for a thread blocked in a source or a
    sink."""
    _standard_streams()
    code = contained(_only_command, sys.argv[1:], complain)
    if "streamstyle.flow" in sys.modules:
        from streamstyle.flow import has_abandoned_threads

        if has_abandoned_threads():
            # Taking the interpreter down around a thread inside a media library can crash it.
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    program()
