"""The receiving side of `wire`: checked messages of streamstyle, imagezmq and NetGear from one socket."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import zmq
from numpy.typing import NDArray

from streamstyle.errors import ConfigError, SourceError
from streamstyle.media import wire
from streamstyle.media.ring import RingReader
from streamstyle.media.wire import Header
from streamstyle.media.wire_pixels import native
from streamstyle.media.zmq_address import SECURITY, Address, bind, connect, parse_address, secure, set_up

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

OPTIONS = SECURITY | {"topic", "bind", "timeout"}
RECEIVE_TIMEOUT = 5.0
_MAX_MESSAGE_BYTES = 4 * wire.MAX_PIXELS
_POLL_MS = 100  # after which `receive` looks whether it is interrupted
_MAX_BATCH = 64  # a flood must not keep the reader from returning frames


@dataclass(frozen=True)
class Message:
    """A received message."""

    header: Header
    """Checked, see `wire.Header`."""
    pixels: NDArray[np.uint8] | None = None
    """RGB (H, W, 3) of a picture, from `wire_pixels.native`; else None."""
    heat: NDArray[np.float32] | None = None
    """(rows, cols) of a heat map; else None."""


@dataclass
class Counters:
    """Counts of a subscription."""

    pictures: int = 0
    """Pictures that were returned."""
    skipped: int = 0
    """Pictures that were published, but replaced by newer ones before they were read."""
    corrupt: int = 0
    """Messages that could not be read; `fault` describes the last of them."""
    fault: str = ""


class _Sockets:
    """The sockets of a subscription: each is a connection of its own to the publisher."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._poller = zmq.Poller()
        self._all: list[zmq.Socket[bytes]] = []
        self._authenticator: ThreadAuthenticator | None = None

    def open(self, *topics: bytes) -> str:
        """Subscribe to these prefixes; returns the endpoint. Raises ConfigError, SourceError."""
        address = self._address
        socket = self._context.socket(zmq.SUB)
        self._all.append(socket)
        set_up(socket, address)
        socket.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
        self._authenticator = secure(self._context, socket, address, binds=address.flag("bind"))
        for topic in topics:
            socket.subscribe(topic)
        self._poller.register(socket, zmq.POLLIN)
        if address.flag("bind"):
            return bind(socket, address, SourceError)
        connect(socket, address, SourceError)
        return address.endpoint

    def ready(self, milliseconds: int) -> list[zmq.Socket[bytes]]:
        """Wait so long for messages; returns the sockets that have some. Raises ZMQError."""
        return [socket for socket, _ in self._poller.poll(milliseconds)]

    def close(self) -> None:
        """Close everything."""
        for socket in self._all:
            socket.close(0)
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()


class Subscription:
    """Messages from a publisher. `receive` returns the latest picture, so that a slow reader sees the
    present.

    kinds: topics besides pictures: "heat", "events". latest: False returns every picture that arrives.
    Without `topic` in the url everything is subscribed to, which any publisher understands. A context
    manager, for one thread. Raises ConfigError, SourceError.
    """

    def __init__(self, url: str, *, kinds: Collection[str] = (), latest: bool = True) -> None:
        self.address = parse_address(url, OPTIONS)
        self.timeout = self.address.number("timeout", RECEIVE_TIMEOUT, 0.1, 3600)
        self.counters = Counters()
        self.interrupted = False
        self._latest = latest
        self._ring = RingReader()
        self._stream, self._seq = "", -1
        self._waiting: deque[Message] = deque()
        unknown = set(kinds) - {"heat", "events"}
        if unknown:
            raise ConfigError(f"nothing publishes {', '.join(sorted(unknown))}: ask for heat or events.")
        if kinds and self.address.flag("bind"):
            raise ConfigError(f"{url}: heat and events come from publishers that wait for calls: no bind=1.")
        self._sockets = _Sockets(self.address)
        topic = self.address.topic
        pictures = wire.prefix(topic) if "topic" in self.address.options else b""
        try:
            self.endpoint = self._sockets.open(pictures, wire.prefix(f"{topic}.end"))
            if kinds:
                # A separate connection, because the publisher keeps only two messages for each.
                self._sockets.open(*(wire.prefix(f"{topic}.{kind}") for kind in kinds))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the publisher."""
        self._sockets.close()

    def interrupt(self) -> None:
        """Make `receive` raise soon; from any thread."""
        self.interrupted = True

    def receive(self, timeout: float | None = None) -> Message:
        """The next message; of pictures the newest that has arrived. timeout: seconds, None for the url's.

        Raises SourceError if nothing readable arrives in time, or after `interrupt`.
        """
        wait = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + wait
        while not self._waiting:
            left = deadline - time.monotonic()
            if left <= 0 or self.interrupted:
                raise self._silence(wait)
            try:
                for socket in self._sockets.ready(min(_POLL_MS, max(1, int(left * 1000)))):
                    self._read(socket)
            except zmq.ZMQError as error:
                raise SourceError(f"cannot read {self.address.url}: {error.strerror}.") from error
        return self._waiting.popleft()

    def _read(self, socket: zmq.Socket[bytes]) -> None:
        """Read the messages that have arrived; of pictures keep the newest, if the latest is wanted."""
        newest: tuple[Header, zmq.Frame] | None = None
        ending: list[Message] = []
        for _ in range(_MAX_BATCH):
            parts = _parts(socket)
            if parts is None:
                break
            head, body = parts
            with self._counting():
                header = wire.parse(head.bytes, len(body))
                if header.kind == "end":
                    ending = [Message(header)]
                    break
                if header.kind != "picture":
                    heat = wire.heat_map(header, body.buffer) if header.kind == "heat" else None
                    self._waiting.append(Message(header, heat=heat))
                elif not self._known(header):
                    if newest is not None and header.seq is None:
                        self.counters.skipped += 1
                    newest = header, body
                    if not self._latest:
                        break
        if newest is not None:
            with self._counting():
                self._deliver(*newest)
        self._waiting.extend(ending)

    def _known(self, header: Header) -> bool:
        """True if this very picture was seen already: it is sent again for new subscribers."""
        return header.seq is not None and header.stream == self._stream and header.seq <= self._seq

    def _deliver(self, header: Header, body: zmq.Frame) -> None:
        if header.slot is None:
            pixels = native(header, body.buffer)
        else:
            if self.address.transport != "shm":
                raise SourceError("the pictures are in shared memory: subscribe with zmq+shm://.")
            copy = self._ring.read(header.slot)
            if copy is None:
                return  # overwritten: the next message is a later picture
            pixels = native(header, copy)
        if header.seq is not None:
            if header.stream == self._stream:
                self.counters.skipped += header.seq - self._seq - 1
            self._stream, self._seq = header.stream, header.seq
        self.counters.pictures += 1
        self._waiting.append(Message(header, pixels))

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            self.counters.corrupt += 1
            self.counters.fault = str(error)

    def _silence(self, wait: float) -> SourceError:
        url, counters = self.address.url, self.counters
        if counters.corrupt:
            return SourceError(
                f"no readable message came from {url} within {wait:g} s; {counters.corrupt} messages "
                f"were refused, the last because {counters.fault}"
            )
        keys = " and does its folder hold this reader's public key" if "key" in self.address.options else ""
        return SourceError(f"nothing came from {url} within {wait:g} s: does it publish there{keys}?")


def _parts(socket: zmq.Socket[bytes]) -> tuple[zmq.Frame, zmq.Frame] | None:
    try:
        parts = socket.recv_multipart(zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None
    # NetGear says farewell in one part.
    return parts[0], parts[1] if len(parts) == 2 else zmq.Frame(b"")
