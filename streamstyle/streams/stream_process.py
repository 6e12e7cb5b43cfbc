"""The control room of one stream, as a child process."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streamstyle.batch.workers import environment, shares, why_ended
from streamstyle.children import interrupts_blocked
from streamstyle.streams.stream_file import StreamEntry
from streamstyle.streams.stream_messages import StreamRequest, parse_state
from streamstyle.web.room_state import first_state
from streamstyle.web.server import ADDRESS_LINE

_COMMAND = (sys.executable, "-P", "-m", "streamstyle.streams.stream_child")
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Placing:
    """Share of the machine of one stream."""

    processors: tuple[int, ...]
    """Numbers of the processors that it keeps to; empty for all."""
    gpu: str | None
    """The only GPU that it sees, as in CUDA_VISIBLE_DEVICES; None for all."""


def placings(count: int) -> list[Placing]:
    """The shares of `count` streams: processors as equal as can be, GPUs in turn."""
    gpus = visible_gpus()
    return [
        Placing(tuple(share) if count > 1 else (), gpus[number % len(gpus)] if len(gpus) > 1 else None)
        for number, share in enumerate(shares(count))
    ]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; empty if that is unknown."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(_GPUS.glob("*"))] if _GPUS.is_dir() else []


class StreamProcess:
    """Runs `streamstyle serve` for a stream, on a free port of loopback and with its own token. Each process
    begins with the state of its predecessor."""

    def __init__(self, stream: StreamEntry, options: Sequence[str], placing: Placing) -> None:
        """options: of `serve`."""
        self._stream, self._options, self._placing = stream, options, placing
        self.state = first_state(stream.config)
        self._process: subprocess.Popen[str] | None = None
        self._over = False

    def run(self, on_address: Callable[[str], None], on_said: Callable[[str], None]) -> str:
        """Start the process and wait for its end: why it ended. on_address: gets the address of its page with
        the token, once it answers. on_said: gets each line that it prints. Raises OSError where it cannot be
        started. To be called on one thread: where that ends, Linux ends the process."""
        mark = f"{secrets.token_hex(16)} "
        request = msgspec.json.encode(StreamRequest(self._stream.config, self.state, mark))
        gpu = {} if self._placing.gpu is None else {"CUDA_VISIBLE_DEVICES": self._placing.gpu}
        with interrupts_blocked():
            self._process = subprocess.Popen(
                [
                    *(*_COMMAND, str(os.getpid()), ",".join(map(str, self._placing.processors))),
                    *("--stream-process", "--address", "127.0.0.1:0", "--restart", *self._options),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=environment(self._placing.processors) | gpu,
            )
        if self._over:
            self.end()  # which came before there was a process
        with self._process as process:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(OSError):  # it has ended, as its output also shows
                process.stdin.write(request.decode())
                process.stdin.close()
            for line in process.stdout:
                if (state := parse_state(line, mark)) is not None:
                    self.state = state
                elif line.startswith(ADDRESS_LINE):
                    on_address(line.removeprefix(ADDRESS_LINE).strip())
                elif line.strip():
                    on_said(line.strip())
            return why_ended(process.wait())

    def forget(self) -> bool:
        """Use the settings of the file at the next start; False if no others were set."""
        before, self.state = self.state, first_state(self._stream.config)
        return before != self.state

    def end(self) -> None:
        """Let it finish its outputs and end; returns at once."""
        self._signalled(subprocess.Popen.terminate)

    def kill(self) -> None:
        """End it at once."""
        self._signalled(subprocess.Popen.kill)

    def _signalled(self, send: Callable[[subprocess.Popen[str]], None]) -> None:
        self._over, process = True, self._process
        if process is not None:
            with suppress(OSError):  # it has ended
                send(process)
