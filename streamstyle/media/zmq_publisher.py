"""The socket of a publisher, which sorts its subscribers itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import zmq

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media import wire
from streamstyle.media.zmq_address import Address, bind, connect, secure, set_up

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator


class PublishingSocket:
    """An XPUB socket at an address, and its subscribers.

    Subscribers of everything (imagezmq, NetGear) get pictures only. socket: to send with. endpoint: where
    subscribers find it, with the port if the address had port 0. subscriptions: so far. Raises ConfigError,
    SinkError; ZMQError passes through unchanged.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self.subscriptions = 0
        self._listeners: dict[str, int] = {}
        self._bound = False
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self.socket = self._context.socket(zmq.XPUB)
        self._authenticator: ThreadAuthenticator | None = None
        try:
            self.endpoint = self._open()
        except BaseException:
            self.close(0)
            raise

    def listens(self, topic: str) -> bool:
        """True if anybody has subscribed to this topic."""
        return bool(self._listeners.get(topic))

    @contextmanager
    def newcomer_alone(self, topic: str) -> Iterator[None]:
        """Inside the `with` block, repetitions go to the newest subscriber only."""
        again = wire.marked(topic, again=True)
        self.socket.setsockopt(zmq.SUBSCRIBE, again)
        yield
        self.socket.setsockopt(zmq.UNSUBSCRIBE, again)

    def close(self, linger: int) -> None:
        """Close everything. linger: milliseconds for unsent messages."""
        self.socket.close(linger)
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()
        if self._bound and self._address.transport != "tcp":
            self._address.path.unlink(missing_ok=True)

    def _open(self) -> str:
        address = self._address
        set_up(self.socket, address)
        # XPUB_MANUAL: we receive subscriptions and apply them ourselves, see `_subscribed`.
        self.socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, 4096)  # of what subscribers send
        binds = not address.flag("connect")
        self._authenticator = secure(self._context, self.socket, address, binds=binds)
        if binds:
            endpoint = bind(self.socket, address, SinkError)
            self._bound = True
            return endpoint
        if address.transport == "shm":
            raise ConfigError(
                f"{address.url}: shared memory is published where others call: leave connect out."
            )
        connect(self.socket, address, SinkError)
        return address.endpoint

    def newcomers(self) -> Iterator[str]:
        """Read subscriptions; yields each topic with a new subscriber."""
        while True:
            try:
                told = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if told[:1] not in {b"\0", b"\1"}:
                continue  # a peer may send anything
            joins, wanted = told[:1] == b"\1", told[1:]
            for topic in self._subscribed(wanted):
                count = self._listeners.get(topic, 0) + (1 if joins else -1)
                self._listeners[topic] = max(0, count)
                # The subscription that the peer sent is replaced by the ones that it gets.
                self.socket.setsockopt(
                    zmq.SUBSCRIBE if joins else zmq.UNSUBSCRIBE, wire.marked(topic, again=False)
                )
                if joins:
                    self.subscriptions += 1
                    yield topic

    def _subscribed(self, wanted: bytes) -> list[str]:
        """Topics of a subscription to this prefix: pictures for any matching prefix, the others only if it
        goes beyond the name of the pictures."""
        topics = [self._address.topic]
        beyond = wire.prefix(self._address.topic)[: -len('",')] + b"."
        if wanted.startswith(beyond) or self._address.flag("connect"):
            # A peer that we connect to, as NetGear, subscribes to everything, and needs the end as well.
            others = ("end",) if not wanted.startswith(beyond) else ("heat", "events", "end")
            topics += [f"{self._address.topic}.{name}" for name in others]
        return [t for t in topics if wire.prefix(t).startswith(wanted) or wanted.startswith(wire.prefix(t))]
