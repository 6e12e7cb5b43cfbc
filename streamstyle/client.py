"""Frames of a streamstyle that publishes over ZeroMQ, in another program.

    from streamstyle.client import subscribe

    for frame in subscribe("zmq+tcp://127.0.0.1:5555"):
        cv2.imshow("streamstyle", frame.bgr)
        cv2.waitKey(1)

Needs numpy, OpenCV, msgspec and pyzmq only. Pictures of imagezmq and NetGear publishers are read as well.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamstyle.media.wire import Format, Header
from streamstyle.media.wire_pixels import bgr, rgb
from streamstyle.media.zmq_subscription import Counters, Message, Subscription

__all__ = ["Event", "Heat", "Received", "Stream", "subscribe"]


@dataclass(frozen=True)
class Received:
    """One picture."""

    header: Header
    """Everything that came with it, see docs/wire-format.md."""
    pixels: NDArray[np.uint8]
    """Pixels as they were sent, in `format`: (H, W) for gray, (H, W, 3) RGB for rgb24, else BGR; may be
    read-only."""
    format: Format
    """Layout of `pixels`."""
    received_at: float
    """Unix time in seconds."""

    @property
    def bgr(self) -> NDArray[np.uint8]:
        """Picture (H, W, 3) for OpenCV; no copy if it was sent in BGR."""
        return bgr(self.pixels, self.format)

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """Picture (H, W, 3) in red, green, blue; no copy if it was sent in RGB."""
        return rgb(self.pixels, self.format)

    @property
    def time(self) -> float | None:
        """Presentation time in seconds; None if the publisher sends none."""
        return None if self.header.pts is None else float(self.header.pts * Fraction(*self.header.time_base))

    @property
    def age(self) -> float:
        """Seconds from capture to arrival; between machines as exact as their clocks agree."""
        return self.header.age + max(0.0, self.received_at - self.header.published_at)


@dataclass(frozen=True)
class Heat:
    """Distance of each tile of a frame from what its input explains: float32 (rows, cols) in 0..1 luma."""

    header: Header
    tiles: NDArray[np.float32]


@dataclass(frozen=True)
class Event:
    """An anomaly in a frame; the header has its kinds, score and repair."""

    header: Header


class Stream:
    """Result of `subscribe`: iterate over it; `with` or `close` leaves the publisher early."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    @property
    def counters(self) -> Counters:
        """Numbers of received, skipped and refused pictures so far."""
        return self._subscription.counters

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the publisher."""
        self._subscription.close()

    def __iter__(self) -> Iterator[Received | Heat | Event]:
        """Messages until the publisher ends. Raises SourceError if nothing comes in time."""
        while True:
            message = self._subscription.receive()
            if message.header.kind == "end":
                return
            yield _given(message)


def subscribe(url: str, *, kinds: Collection[str] = (), latest: bool = True) -> Stream:
    """Frames published at `zmq+tcp://HOST:PORT`, `zmq+ipc://PATH` or `zmq+shm://PATH`.

    kinds: "heat" and "events" add `Heat` and `Event` to the pictures. latest: a slow reader gets the newest
    picture, and `counters.skipped` counts those it missed; False delivers all that still exist. Options of
    the url: `timeout=S` (default 5), `topic=NAME`, `bind=1` (wait for a publisher that connects, as NetGear
    does), `key=` and `server=` (encryption), `insecure=1`. Raises ConfigError, SourceError.
    """
    return Stream(Subscription(url, kinds=kinds, latest=latest))


def _given(message: Message) -> Received | Heat | Event:
    if message.pixels is not None:
        assert message.header.format is not None
        return Received(message.header, message.pixels, message.header.format, time.time())
    if message.heat is not None:
        return Heat(message.header, message.heat)
    return Event(message.header)
