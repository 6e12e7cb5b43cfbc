"""Inputs that the library cannot open, or whose reads cannot be stopped, read by a child process through a
pipe."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamstyle.children import killed_with_parent
from streamstyle.errors import SourceError
from streamstyle.media.live_url import QUICK, LiveInput
from streamstyle.urls import masked

STDIN = "pipe:0"
"""FFmpeg's name of its standard input."""

_PIPE_BYTES = 2**20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux's fcntl.h


@dataclass(frozen=True)
class Program:
    """A command line, which other users of the machine can read, and its standard input."""

    command: list[str]
    given: str = ""


def relay_program(opening: LiveInput) -> Program:
    """Python with `device_relay`, passing on a device as NUT."""
    asked = {"file": opening.file, "format": opening.format, "attempts": [dict(a) for a in opening.attempts]}
    return Program(
        [sys.executable, "-P", str(Path(__file__).with_name("device_relay.py")), json.dumps(asked)]
    )


def ffmpeg_program(url: str, timeout: float) -> Program:
    """The `ffmpeg` program, which forwards a stream as MPEG-TS. Raises SourceError if there is none."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise SourceError(
            f"{url} needs the ffmpeg program, since this library has no {url.partition(':')[0]}: install it "
            f"(Debian, Ubuntu: apt install ffmpeg; macOS: brew install ffmpeg)."
        )
    # It ends by itself some time after we could no longer end it.
    options = QUICK | {"rw_timeout": str(round(4e6 * timeout))}
    given = ""
    source = [text for name, value in options.items() for text in (f"-{name}", value)] + ["-i", url]
    if masked(url) != url:
        # FFmpeg reads presets for outputs only, but a list of films to be joined may hold this one alone.
        given = _joined(url, options)
        allowed = f"pipe,udp,{url.partition(':')[0]}"
        source = ["-f", "concat", "-safe", "0", "-protocol_whitelist", allowed, "-i", STDIN]
    copied = ["-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy", "-muxdelay", "0", "-muxpreload", "0"]
    out = ["-flush_packets", "1", "-f", "mpegts", "pipe:1"]
    return Program([program, "-nostdin", "-loglevel", "error", *source, *copied, *out], given)


def _joined(url: str, options: Mapping[str, str]) -> str:
    """A script for FFmpeg's concat demuxer (https://ffmpeg.org/ffmpeg-formats.html#concat-1)."""
    quoted = url.replace("'", r"'\''")
    lines = [f"option {name} {value}\n" for name, value in options.items()]
    return "".join(["ffconcat version 1.0\n", f"file '{quoted}'\n", *lines])


class ChildPipe:
    """A child's standard output, as a file that PyAV reads.

    The file ends when the child does, when nothing comes for `timeout` seconds, which may be changed, and
    when `stopped`: FFmpeg's demuxers go on reading after an error, but not after the end. timed_out: True if
    a time-out ended it. To be made on the thread that reads, with whose end the child is killed (Linux).
    Raises SourceError if the system cannot wait for pipes.
    """

    def __init__(self, program: Program, timeout: float, stopped: Callable[[], bool]) -> None:
        if sys.platform == "win32":
            raise SourceError(
                f"Windows has no pipes that can be waited for, which {program.command[0]} needs."
            )
        self.timeout = timeout
        self.timed_out = False
        self._stopped = stopped
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._child = subprocess.Popen(
            killed_with_parent(program.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError), self._child.stdin as stdin:
            stdin.write(program.given.encode())  # fits into the pipe
        self._pipe = self._child.stdout
        if sys.platform == "linux":
            import fcntl  # noqa: PLC0415 - there is none on Windows

            fcntl.fcntl(self._pipe, _SET_PIPE_SIZE, _PIPE_BYTES)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._pipe, selectors.EVENT_READ)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are some; none at the end."""
        deadline = time.monotonic() + self.timeout
        while not (self.timed_out or self._stopped()):
            if self._ready.select(timeout=0.05):
                return os.read(self._pipe.fileno(), size)
            self.timed_out = time.monotonic() > deadline
        return b""

    def complaint(self) -> str:
        """The last line of the child's error output; empty if there is none."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """End the child; calling it again does nothing."""
        if self._pipe.closed:
            return
        self._ready.close()
        self._child.kill()
        self._child.wait()
        self._pipe.close()
        self._errors.close()
