"""Publication of frames over ZeroMQ, in the format of `wire`; never waits for a subscriber."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import zmq
from numpy.typing import NDArray

from streamstyle.errors import ConfigError, SinkError, nearest
from streamstyle.media import wire
from streamstyle.media.ring import RingWriter
from streamstyle.media.wire import Format, RingSlot
from streamstyle.media.wire_pixels import picture_bytes, raw_shape
from streamstyle.media.zmq_address import SECURITY, Address, parse_address
from streamstyle.media.zmq_publisher import PublishingSocket
from streamstyle.types import Frame, MediaReport

OPTIONS = SECURITY | {"format", "quality", "topic", "connect"}
_LINGER_MS = 500  # for the last frame and the news that it was the last
_KEPT_BUFFERS = 8


class ZmqSink:
    """A Sink that publishes on one XPUB socket. Counters: `frames`, `published`, `subscriptions`.

    Subscribers of everything (imagezmq, NetGear) get pictures only. Heat maps, events and the end go to
    subscribers that name their topics, NAME.heat, NAME.events and NAME.end. Without subscribers nothing is
    converted or sent. Raises ConfigError, SinkError.
    """

    def __init__(self, url: str) -> None:
        self._address = parse_address(url, OPTIONS)
        self._format = _format(self._address)
        self._quality = int(self._address.number("quality", 80, 1, 100))
        self._stream = secrets.token_hex(4)
        self._ring: RingWriter | None = None
        self._pool = _Pool()
        self._last: Frame | None = None
        self._seq = -1
        self._published = 0
        self._closed = False
        self._publisher = PublishingSocket(self._address)
        self.endpoint = self._publisher.endpoint

    @property
    def _topic(self) -> str:
        return self._address.topic

    def write(self, frame: Frame) -> None:
        """Publish one frame to the current subscribers."""
        if self._closed:
            raise SinkError(f"{self._address.url} is closed: no frame can follow.")
        with self._failing():
            self._seq += 1
            self._last = frame
            for _ in self._publisher.newcomers():
                pass  # the frame that follows is for them too
            if self._publisher.listens(self._topic):
                self._send_picture(frame, again=False)
                self._published += 1
            self._send_verdict(frame)

    def on_idle(self) -> None:
        """Send the last frame to new subscribers while none comes."""
        with self._failing():
            for topic in self._publisher.newcomers():
                if topic == self._topic and self._last is not None:
                    with self._publisher.newcomer_alone(topic):
                        self._send_picture(self._last, again=True)

    def _send_picture(self, frame: Frame, *, again: bool) -> None:
        if self._address.transport == "shm":
            self._send_slot(frame, again=again)
            return
        form = self._format
        header = self._header(frame, None, again=again)
        self._publisher.socket.send(header, zmq.SNDMORE)
        if form in {Format.BGR24, Format.GRAY}:
            buffer = self._pool.take(raw_shape(frame.pixels, form))
            data = picture_bytes(frame.pixels, form, self._quality, buffer)
            self._pool.lend(data, self._publisher.socket.send(data.data, copy=False, track=True))
        else:
            # Frames and this JPEG are never changed once they are made, so ZeroMQ may keep them.
            self._publisher.socket.send(picture_bytes(frame.pixels, form, self._quality).data, copy=False)

    def _send_slot(self, frame: Frame, *, again: bool) -> None:
        """Write the picture into the ring, and send its place."""
        if self._format is Format.JPEG:
            data = picture_bytes(frame.pixels, Format.JPEG, self._quality)
            room, slot = self._room(data.size, spare=2)
            room[:] = data
        else:
            shape = raw_shape(frame.pixels, self._format)
            room, slot = self._room(int(np.prod(shape)), spare=1)
            picture_bytes(frame.pixels, self._format, self._quality, room.reshape(shape))
        assert self._ring is not None
        self._ring.commit(slot)
        header = self._header(frame, slot, again=again)
        self._publisher.socket.send_multipart([header, b""])

    def _room(self, size: int, *, spare: int) -> tuple[NDArray[np.uint8], RingSlot]:
        """A slot of the ring; of a new ring, `spare` times as large as necessary, if the picture does not
        fit."""
        if self._ring is None or self._ring.size < size:
            if self._ring is not None:
                self._ring.close()
                self._ring = None
            self._ring = RingWriter(self._address.path, spare * size)
        return self._ring.begin(size)

    def _send_verdict(self, frame: Frame) -> None:
        quality = frame.quality
        if quality is None:
            return
        heat, events = f"{self._topic}.heat", f"{self._topic}.events"
        if self._publisher.listens(heat):
            parts = wire.heat_parts(frame, quality, topic=heat, seq=self._seq, stream=self._stream)
            self._publisher.socket.send_multipart(parts)
        if quality.kinds and self._publisher.listens(events):
            parts = wire.event_parts(frame, topic=events, seq=self._seq, stream=self._stream)
            self._publisher.socket.send_multipart(parts)

    def _header(self, frame: Frame, slot: RingSlot | None, *, again: bool) -> bytes:
        return wire.picture_header(
            frame,
            self._format,
            topic=self._topic,
            seq=self._seq,
            stream=self._stream,
            slot=slot,
            again=again,
        )

    def close(self, *, complete: bool) -> None:
        """Stop, within a second. After a successful run, subscribers get the message of the end. A failed run
        may return, so its subscribers wait."""
        if self._closed:
            return
        self._closed = True
        try:
            if complete:
                with self._failing():
                    self._send_end()
        finally:
            self._shut(_LINGER_MS if complete else 0)

    def _send_end(self) -> None:
        for _ in self._publisher.newcomers():
            pass
        # Wait for this message: subscribers would take its absence for a fault.
        self._publisher.socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._publisher.socket.setsockopt(zmq.SNDTIMEO, _LINGER_MS)
        with suppress(zmq.Again):
            self._publisher.socket.send_multipart(
                wire.end_parts(topic=f"{self._topic}.end", stream=self._stream)
            )

    def _shut(self, linger: int) -> None:
        self._publisher.close(linger)
        if self._ring is not None:
            self._ring.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except zmq.ZMQError as error:
            raise SinkError(f"cannot publish at {self._address.url}: {error.strerror}.") from error

    def report(self) -> MediaReport:
        """Counters so far."""
        counters = {
            "frames": self._seq + 1,
            "published": self._published,
            "subscriptions": self._publisher.subscriptions,
        }
        return MediaReport(counters=counters)


class _Pool:
    """Buffers that are reused once ZeroMQ has sent their content: allocating for every frame would cost more
    than filling. Slow subscribers make it larger, up to their queues."""

    def __init__(self) -> None:
        self._lent: list[tuple[NDArray[np.uint8], Callable[[], bool]]] = []

    def take(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A buffer of this shape that is not in use."""
        for at, (buffer, returned) in enumerate(self._lent):
            if buffer.shape == shape and returned():
                del self._lent[at]
                return buffer
        return np.empty(shape, np.uint8)

    def lend(self, buffer: NDArray[np.uint8], tracker: zmq.MessageTracker | None) -> None:
        """Mark the buffer as in use until this tracker is done."""
        assert tracker is not None
        self._lent.append((buffer, lambda: bool(tracker.done)))
        del self._lent[:-_KEPT_BUFFERS]  # ZeroMQ keeps references as long as it needs them


def _format(address: Address) -> Format:
    name = address.options.get("format", Format.BGR24)
    if name not in set(Format):
        raise ConfigError(
            f"{address.url}: there is no format '{name}'{nearest(name, Format)}: use {', '.join(Format)}."
        )
    return Format(name)
