"""What the library cannot open here, or could not be stopped reading, read by a child and piped to us."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from streamstyle.errors import SourceError
from streamstyle.media.live_url import QUICK, Opening

_PIPE_BYTES = 2**20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux's fcntl.h


def relay_command(opening: Opening) -> list[str]:
    """Python, passing on a device as NUT."""
    asked = {"file": opening.file, "format": opening.format, "attempts": [dict(a) for a in opening.attempts]}
    return [sys.executable, "-P", str(Path(__file__).with_name("relay.py")), json.dumps(asked)]


def ffmpeg_command(url: str, timeout: float) -> list[str]:
    """The `ffmpeg` program, passing on a stream as MPEG-TS. Raises SourceError where there is none."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise SourceError(
            f"{url} needs the ffmpeg program, since this library has no {url.partition(':')[0]}: install it "
            f"(Debian, Ubuntu: apt install ffmpeg; macOS: brew install ffmpeg)."
        )
    quick = [text for name, value in QUICK.items() for text in (f"-{name}", value)]
    # It ends by itself some time after we could no longer end it.
    alone = ["-rw_timeout", str(round(4e6 * timeout))]
    copied = ["-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy", "-muxdelay", "0", "-muxpreload", "0"]
    out = ["-flush_packets", "1", "-f", "mpegts", "pipe:1"]
    return [program, "-nostdin", "-loglevel", "error", *quick, *alone, "-i", url, *copied, *out]


class ChildPipe:
    """What a child writes to its standard output, as a file that PyAV reads.

    The file ends when the child does, when nothing comes for `timeout` seconds, which may be changed, and
    when `stopped`: FFmpeg's demuxers go on reading after an error, but not after the end. timed_out: is that
    why it ended?
    Raises SourceError where pipes cannot be waited for.
    """

    def __init__(self, command: Sequence[str], timeout: float, stopped: Callable[[], bool]) -> None:
        if sys.platform == "win32":
            raise SourceError(f"Windows has no pipes that can be waited for, which {command[0]} needs.")
        self.timeout = timeout
        self.timed_out = False
        self._stopped = stopped
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors
        )
        assert self._child.stdout is not None
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
        """What the child said went wrong, in its last line; empty if nothing."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """End the child; again does nothing."""
        if self._pipe.closed:
            return
        self._ready.close()
        self._child.kill()
        self._child.wait()
        self._pipe.close()
        self._errors.close()
