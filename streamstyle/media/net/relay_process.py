"""The child process of one network output, and its pipes, which never block."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

if sys.platform == "linux":
    import fcntl

_PIPE_BYTES = 256 * 1024  # a large key frame, but not seconds of stream
_COMMAND = (sys.executable, "-m", "streamstyle.media.net.relay")
_PACKAGES = Path(__file__).parents[3]


class RelayProcess:
    """A running relay."""

    def __init__(self) -> None:
        paths = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg prints addresses there, with their keys
            bufsize=0,
            env=os.environ | {"PYTHONPATH": paths},
            start_new_session=True,  # a group of its own, to be killed as one
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)
        if sys.platform == "linux":
            fcntl.fcntl(self._stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._said = b""

    @property
    def ended(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def write(self, data: bytes | memoryview) -> int:
        """Write what the pipe takes now; returns the number of bytes. Raises BlockingIOError if it takes
        nothing, BrokenPipeError if the relay has ended."""
        return os.write(self._stdin.fileno(), data)

    def wait_writable(self, seconds: float) -> None:
        """Wait so long for room in the pipe."""
        select.select([], [self._stdin], [], seconds)

    def messages(self) -> list[dict[str, str]]:
        """Messages of the relay since the last call."""
        while said := self._stdout.read(4096):
            self._said += said
        *lines, self._said = self._said.split(b"\n")
        return [msgspec.json.decode(line, type=dict[str, str]) for line in lines]

    def hang_up(self) -> None:
        """End of packets."""
        self._stdin.close()

    def kill(self) -> None:
        """End it by force, if it runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Close the pipes of a relay that has ended."""
        self._stdin.close()
        self._stdout.close()
