"""The parent's end of a relay: feeds it without ever waiting, and starts it again when it has ended.

    down --(back-off over)--> opening --(relay says so)--> open --(key frame)--> streaming
     ^                                                      ^                        |
     '--(relay ended, at any time)                          '--(taken)-- behind <----'

Only `streaming` sends. What the relay has not taken waits here, up to BACKLOG seconds of stream; then all
that waits is dropped, and counted, and what comes until the next key frame.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

import msgspec

from streamstyle.media.net.parcel import PICTURE, Parcel, pack, pack_start
from streamstyle.media.net.relay import FAILED, OPEN
from streamstyle.media.net.targets import Target
from streamstyle.types import MediaReport

if sys.platform == "linux":
    import fcntl

BACKLOG = 1.0
"""Seconds of stream that may wait for a slow peer."""
_BACK_OFF = (0.2, 0.5, 1.0)
_STEADY_SECONDS = 10.0  # a relay that ran for this long was fine: the back-off begins anew
_PIPE_BYTES = 256 * 1024  # a large key frame, but not seconds of stream
_COMMAND = (sys.executable, "-m", "streamstyle.media.net.relay")
_PACKAGES = Path(__file__).parents[3]


class _State(Enum):
    DOWN = auto()
    OPENING = auto()
    OPEN = auto()
    STREAMING = auto()
    BEHIND = auto()


@dataclass
class _Message:
    """Bytes for the pipe. seconds: stream time. packet: does it count as one?"""

    data: bytes | memoryview
    seconds: float
    packet: bool


class Sender:
    """Keeps one network output going in a child process.

    notify: called when the output fails and when it is back. Counters: `packets` taken by the relay,
    `restarts` of it, `dropped` packets since it was open for the first time.
    """

    def __init__(self, target: Target, notify: Callable[[str], None]) -> None:
        self.name = target.name
        self._target = target
        self._notify = notify
        self._state = _State.DOWN
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: deque[_Message] = deque()
        self._said = b""
        self._reason = ""
        self._retry_at = 0.0
        self._failures = 0
        self._began_at: float | None = None
        self._outage = False
        self._lost = 0
        self._was_open = False
        self._starts = 0
        self._packets = 0
        self._dropped = 0

    @property
    def wants_key(self) -> bool:
        """True if it is open, and can begin with the next key frame."""
        return self._state is _State.OPEN

    @property
    def ready(self) -> bool:
        """True once the peer has answered."""
        return self._state not in {_State.DOWN, _State.OPENING}

    def send(self, parcels: Sequence[Parcel], sample: bytes, seconds: float, *, silent: bool) -> None:
        """Hand over what it can take. Returns at once.

        sample: see `parcel`. seconds: stream time. silent: the sound is mere silence, which is sent only
        where it is wanted.
        """
        self._flush()
        self._listen()
        if self._state is _State.DOWN and time.monotonic() >= self._retry_at:
            self._start(sample, silent=silent)
        if self._state is _State.STREAMING and self._waiting and seconds - self._waiting[0].seconds > BACKLOG:
            self._fall_behind()
        if self._state is _State.BEHIND and not self._waiting:
            self._state = _State.OPEN
        for parcel in parcels:
            if self._state is _State.OPEN and parcel.key and parcel.stream == PICTURE:
                self._begin()
            if self._state is _State.STREAMING:
                self._waiting.append(_Message(pack(parcel), seconds, packet=True))
            else:
                self._drop(1)
        self._flush()

    def hang_up(self) -> None:
        """End of packets: let the relay finish, without waiting for it."""
        self._flush()
        if self._process is not None and self._process.stdin is not None and not self._waiting:
            self._process.stdin.close()

    def close(self, deadline: float) -> None:
        """End the relay: by itself until `deadline` (`time.monotonic()`), then by force."""
        if self._process is None:
            return
        stdin = self._process.stdin
        assert stdin is not None
        connected = self.ready
        while connected and self._waiting and time.monotonic() < deadline:
            select.select([], [stdin], [], 0.02)
            self._flush()
        whole = not self._waiting
        stdin.close()
        while connected and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if connected and not (whole and self._process.poll() is not None):
            self._reason, self._outage = "the peer did not take the end of the stream", True
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._hear()
        if connected and self._process.returncode:
            self._outage = True
        self._forget()

    def report(self) -> MediaReport:
        """Counters so far, and what went wrong."""
        restarts = max(self._starts - 1, 0)
        counts = {"packets": self._packets, "restarts": restarts, "dropped": self._dropped}
        told = f"{self._dropped} packets were dropped"
        notes = []
        if not self._was_open:
            notes.append(f"Nothing was sent to {self.name}: {self._reason or 'it never answered'}.")
        elif restarts or self._outage:
            notes.append(
                f"{self.name} was cut off and called again {restarts} times; {told} ({self._reason})."
            )
        elif self._dropped:
            notes.append(f"{self.name} was too slow: {told}. A smaller picture or lower quality needs less.")
        return MediaReport(counters=counts, notes=tuple(notes))

    def _start(self, sample: bytes, *, silent: bool) -> None:
        order = self._target.order
        if silent and not self._target.wants_sound:
            order = replace(order, streams=(PICTURE,))
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
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        os.set_blocking(stdin.fileno(), False)
        os.set_blocking(stdout.fileno(), False)
        if sys.platform == "linux":
            fcntl.fcntl(stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._waiting.append(_Message(pack_start(order, sample), 0.0, packet=False))
        self._starts += 1
        self._said = b""
        self._began_at = None
        self._state = _State.OPENING

    def _begin(self) -> None:
        self._state = _State.STREAMING
        self._was_open = True
        self._began_at = time.monotonic() if self._began_at is None else self._began_at
        if self._outage:
            self._notify(f"{self.name} is back; {self._lost} packets were dropped meanwhile.")
        self._outage = False
        self._lost = 0

    def _fall_behind(self) -> None:
        """Drop what waits, except a message that was sent in part."""
        kept = [m for m in self._waiting if isinstance(m.data, memoryview)]
        self._drop(len(self._waiting) - len(kept))
        self._waiting = deque(kept)
        self._state = _State.BEHIND

    def _drop(self, packets: int) -> None:
        if self._was_open:
            self._dropped += packets
            self._lost += packets

    def _flush(self) -> None:
        """Write what the pipe takes now."""
        if self._process is None or self._process.stdin is None:
            return
        while self._waiting:
            message = self._waiting[0]
            try:
                written = os.write(self._process.stdin.fileno(), message.data)
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._drop(sum(m.packet for m in self._waiting))
                self._waiting.clear()  # `_listen` finds that the relay has ended
                return
            if written < len(message.data):
                message.data = memoryview(message.data)[written:]
                return
            self._packets += message.packet
            self._waiting.popleft()

    def _listen(self) -> None:
        """Read the relay's messages, and notice its end."""
        if self._process is None:
            return
        ended = self._process.poll()
        self._hear()
        if ended is None:
            return
        if ended == -signal.SIGALRM:
            self._reason = f"the peer was mute for {self._target.order.patience:g} s"
        elif not self._reason:
            self._reason = f"its relay ended with {ended}"
        if self._began_at is not None and time.monotonic() - self._began_at > _STEADY_SECONDS:
            self._failures = 0
        pause = _BACK_OFF[min(self._failures, len(_BACK_OFF) - 1)]
        self._failures += 1
        self._retry_at = time.monotonic() + pause * random.uniform(0.8, 1.2)
        if not self._outage:
            self._notify(f"{self.name} is cut off: {self._reason}; it is called again until it answers.")
        self._outage = True
        self._drop(sum(m.packet for m in self._waiting))
        self._forget()

    def _hear(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while said := self._process.stdout.read(4096):
            self._said += said
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            told = msgspec.json.decode(line, type=dict[str, str])
            if OPEN in told and self._state is _State.OPENING:
                self._state = _State.OPEN
            self._reason = told.get(FAILED, self._reason)

    def _forget(self) -> None:
        """Close the pipes of a relay that has ended."""
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None
        self._waiting.clear()
        self._state = _State.DOWN
