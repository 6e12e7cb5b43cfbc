"""The child process of one network output, and its pipes, which never block."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from streamstyle.children import package_environment

if sys.platform == "linux":
    import fcntl

_PIPE_BYTES = 256 * 1024  # a large key frame, but not seconds of stream
_COMMAND = (sys.executable, "-m", "streamstyle.media.net.relay")


class RelayProcess:
    """A running relay."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg prints addresses there, with their keys
            bufsize=0,
            env=package_environment(),
            start_new_session=True,  # its own process group, to be killed as one
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
        """Write as much as the pipe accepts now; returns the number of bytes. Raises BlockingIOError if it
        takes nothing, BrokenPipeError if the relay has ended."""
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

    def wait(self, seconds: float) -> None:
        """Wait so long for its end."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def kill(self) -> None:
        """End it by force, if it runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Close the pipes of a relay that has ended."""
        self._stdin.close()
        self._stdout.close()


def wait_for_relays(relays: Sequence[RelayProcess], full: Sequence[RelayProcess], seconds: float) -> None:
    """Wait so long until one of them says something or ends, or the pipe of one in `full` has room."""
    select.select([one._stdout for one in relays], [one._stdin for one in full], [], seconds)
