"""The command line: arguments in, exit code out. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from streamstyle.cli import (
    bench,
    control,
    devices,
    doctor,
    engines,
    explain,
    keys,
    repair,
    run,
    serve,
    styles,
    train,
)
from streamstyle.cli import eval as evaluate
from streamstyle.errors import ConfigError, StreamStyleError

EXIT_FAILED = 1
EXIT_USAGE = 2


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="streamstyle", description="Video in a painter's style, at frame rate and without flicker."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run.add_command(commands)
    serve.add_command(commands)
    control.add_command(commands)
    repair.add_command(commands)
    styles.add_command(commands)
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
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except ConfigError as error:
        print(f"streamstyle: {error}", file=sys.stderr)
        return EXIT_USAGE
    except StreamStyleError as error:
        print(f"streamstyle: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return run.EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say to it.
        sys.stdout = None
        return EXIT_FAILED


def program() -> NoReturn:
    """The whole process: `main`, then the end, even with a thread that is blocked in a source or a sink."""
    code = main()
    if "streamstyle.flow" in sys.modules:
        from streamstyle.flow import anyone_left_behind

        if anyone_left_behind():
            # Taking the interpreter down around a thread inside a media library can crash it.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    program()
