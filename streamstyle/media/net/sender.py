"""The parent's end of a relay: feeds it without ever waiting, and starts it again when it has ended.

    down --(back-off over)--> opening --(relay says so)--> open --(key frame)--> streaming
     ^                                                      ^                        |
     '--(relay ended, at any time)                          '--(taken)-- behind <----'

Only `streaming` sends. Packets that the relay has not taken wait here, up to MAX_BACKLOG seconds of stream.
Then all of them are dropped, and counted, and so are those that come until the next key frame.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from streamstyle.media.backoff import Backoff, Retries
from streamstyle.media.net.parcel import PICTURE, Parcel, pack, pack_start
from streamstyle.media.net.relay import FAILED, OPEN
from streamstyle.media.net.relay_process import RelayProcess, wait_for_relays
from streamstyle.media.net.targets import Target
from streamstyle.types import MediaReport

MAX_BACKLOG = 1.0
"""Seconds of stream that may wait for a slow peer."""
_BACKOFF = Backoff(pauses=(0.2, 0.5, 1.0), jitter=(0.8, 1.2), steady=10.0)


class _State(Enum):
    DOWN = auto()
    OPENING = auto()
    OPEN = auto()
    STREAMING = auto()
    BEHIND = auto()


@dataclass
class _Message:
    """Bytes for the pipe. seconds: stream time. packet: True for a packet, False for the start message."""

    data: bytes | memoryview
    seconds: float
    packet: bool


@dataclass
class _Counts:
    """Counts of an output."""

    starts: int = 0
    """Number of times that its relay was started."""
    packets: int = 0
    """Number of packets that the relay took."""
    dropped: int = 0
    """Number of packets dropped since it was open for the first time."""
    lost: int = 0
    """Number of packets dropped since it was last cut off."""


class Sender:
    """Keeps one network output going in a child process.

    notify: called when the output fails and when it is back. Counters: `packets` taken by the relay,
    `restarts` of it, `dropped` packets since it was open for the first time.
    """

    def __init__(self, target: Target, notify: Callable[[str], None]) -> None:
        self._target = target
        self._notify = notify
        self._state = _State.DOWN
        self._relay: RelayProcess | None = None
        self._waiting: deque[_Message] = deque()
        self._reason = ""
        self._retries = Retries(_BACKOFF)
        self._retry_at = 0.0
        self._began_at: float | None = None
        self._was_open = False
        self._outage = False
        self._counts = _Counts()

    @property
    def name(self) -> str:
        """The target's name, without stream keys."""
        return self._target.name

    @property
    def wants_key(self) -> bool:
        """True if it is open, and can begin with the next key frame."""
        return self._state is _State.OPEN

    @property
    def ready(self) -> bool:
        """True once the peer has answered."""
        return self._state not in {_State.DOWN, _State.OPENING}

    @property
    def relay(self) -> RelayProcess | None:
        """The child process that sends; None without one."""
        return self._relay

    @property
    def blocked(self) -> bool:
        """True if messages wait for room in the relay's pipe."""
        return bool(self._waiting)

    @property
    def retry_at(self) -> float:
        """Time (`time.monotonic()`) of the next start of a relay, while there is none."""
        return self._retry_at

    def send(self, parcels: Sequence[Parcel], sample: bytes, seconds: float, *, silent: bool) -> None:
        """Send as much as it accepts. Returns at once.

        sample: see `parcel`. seconds: stream time. silent: the sound is only silence, which is sent only to
        targets that require it.
        """
        self._flush()
        self._listen()
        if self._state is _State.DOWN and time.monotonic() >= self._retry_at:
            self._start(sample, silent=silent)
        if (
            self._state is _State.STREAMING
            and self._waiting
            and seconds - self._waiting[0].seconds > MAX_BACKLOG
        ):
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
        if self._relay is not None and not self._waiting:
            self._relay.hang_up()

    def close(self, deadline: float) -> None:
        """End the relay: by itself until `deadline` (`time.monotonic()`), then by force."""
        relay = self._relay
        if relay is None:
            return
        connected = self.ready
        while connected and self._waiting and time.monotonic() < deadline:
            relay.wait_writable(0.02)
            self._flush()
        whole = not self._waiting
        relay.hang_up()
        if connected:
            relay.wait(max(deadline - time.monotonic(), 0.0))
        if connected and not (whole and relay.ended is not None):
            self._reason, self._outage = "the peer did not accept the end of the stream", True
        relay.kill()
        self._read_messages(relay)
        if connected and relay.ended:
            self._outage = True
        self._forget()

    def report(self) -> MediaReport:
        """Counters so far, and errors."""
        dropped, restarts = self._counts.dropped, max(self._counts.starts - 1, 0)
        counts = {"packets": self._counts.packets, "restarts": restarts, "dropped": dropped}
        told = f"{dropped} packets were dropped"
        notes = []
        if not self._was_open:
            notes.append(f"Nothing was sent to {self.name}: {self._reason or 'it never answered'}.")
        elif restarts or self._outage:
            notes.append(f"{self.name} was lost and reconnected {restarts} times; {told} ({self._reason}).")
        elif dropped:
            notes.append(
                f"{self.name} was too slow: {told}. A smaller picture or lower quality reduces the rate."
            )
        return MediaReport(counters=counts, notes=tuple(notes))

    def _start(self, sample: bytes, *, silent: bool) -> None:
        order = self._target.order
        if silent and not self._target.wants_sound:
            order = replace(order, streams=(PICTURE,))
        self._relay = RelayProcess()
        self._waiting.append(_Message(pack_start(order, sample), 0.0, packet=False))
        self._counts.starts += 1
        self._began_at = None
        self._state = _State.OPENING

    def _begin(self) -> None:
        self._state = _State.STREAMING
        self._was_open = True
        self._began_at = time.monotonic() if self._began_at is None else self._began_at
        if self._outage:
            self._notify(f"{self.name} is back; {self._counts.lost} packets were dropped in between.")
        self._outage = False
        self._counts.lost = 0

    def _fall_behind(self) -> None:
        """Drop waiting packets, except a message that was sent in part."""
        kept = [m for m in self._waiting if isinstance(m.data, memoryview)]
        self._drop(len(self._waiting) - len(kept))
        self._waiting = deque(kept)
        self._state = _State.BEHIND

    def _drop(self, packets: int) -> None:
        if self._was_open:
            self._counts.dropped += packets
            self._counts.lost += packets

    def _flush(self) -> None:
        """Write as much as the pipe accepts now."""
        if self._relay is None:
            return
        while self._waiting:
            message = self._waiting[0]
            try:
                written = self._relay.write(message.data)
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._drop(sum(m.packet for m in self._waiting))
                self._waiting.clear()  # `_listen` finds that the relay has ended
                return
            if written < len(message.data):
                message.data = memoryview(message.data)[written:]
                return
            self._counts.packets += message.packet
            self._waiting.popleft()

    def _listen(self) -> None:
        """Read the relay's messages, and notice its end."""
        if self._relay is None:
            return
        ended = self._relay.ended
        self._read_messages(self._relay)
        if ended is None:
            return
        if ended == -signal.SIGALRM:
            self._reason = f"the peer did not answer for {self._target.order.timeout:g} s"
        elif not self._reason:
            self._reason = f"its relay ended with {ended}"
        if self._began_at is not None:
            self._retries.lasted(time.monotonic() - self._began_at)
        self._retry_at = time.monotonic() + self._retries.pause()
        if not self._outage:
            self._notify(f"{self.name} is lost: {self._reason}; reconnecting until it answers.")
        self._outage = True
        self._drop(sum(m.packet for m in self._waiting))
        self._forget()

    def _read_messages(self, relay: RelayProcess) -> None:
        for told in relay.messages():
            if OPEN in told and self._state is _State.OPENING:
                self._state = _State.OPEN
            self._reason = told.get(FAILED, self._reason)

    def _forget(self) -> None:
        """Close the pipes of a relay that has ended."""
        assert self._relay is not None
        self._relay.close()
        self._relay = None
        self._waiting.clear()
        self._state = _State.DOWN


def wait_for_any(senders: Sequence[Sender], deadline: float) -> None:
    """Wait until `send` has something to do for a sender whose peer has not answered, or until the deadline
    (`time.monotonic()`). Returns at once if all have answered."""
    waiting = [sender for sender in senders if not sender.ready]
    relays = [sender.relay for sender in waiting if sender.relay is not None]
    full = [sender.relay for sender in waiting if sender.relay is not None and sender.blocked]
    retries = [sender.retry_at for sender in waiting if sender.relay is None]
    until = min([deadline, *retries]) if waiting else 0.0
    wait_for_relays(relays, full, max(until - time.monotonic(), 0.0))
