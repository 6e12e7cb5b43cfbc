"""Messages through the pipe to a relay: an order, a sample of the streams, then encoded packets.

    order    JSON: what to open, see `RelayOrder`
    sample   a NUT file of one packet: codecs, sizes, time bases and extradata of the streams
    parcels  packets in order, until the pipe is closed

Each begins with its length in bytes, 32 bit little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

TS_PACKETS = 7 * 188
"""Bytes of transport stream that fit a datagram, and an SRT message."""

PICTURE, SOUND = 0, 1
"""Numbers of the streams in sample and parcels."""

_LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<BBqq")


class Readable(Protocol):
    """A blocking file."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class RelayOrder:
    """The task of a relay. It holds secrets, so it is sent through the pipe and never in a command line."""

    url: str
    """FFmpeg's address."""
    muxer: str
    """FFmpeg's name."""
    options: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's options."""
    program: str = ""
    """Path of `ffmpeg` if the library in PyAV lacks the protocol, else empty."""
    streams: tuple[int, ...] = (PICTURE, SOUND)
    """Streams to send."""
    timeout: float = 0.0
    """Seconds that opening, one packet or closing may take before the relay ends itself; 0 waits for ever."""


@dataclass(frozen=True)
class Parcel:
    """One encoded packet. There are no B-frames: dts is pts."""

    stream: int
    """Number of its stream."""
    key: bool
    """True for a key frame."""
    pts: int
    """Presentation time stamp in the stream's time base."""
    duration: int
    """Duration in the stream's time base."""
    data: bytes
    """The packet."""


def pack_start(order: RelayOrder, sample: bytes) -> bytes:
    """The first messages to a relay: order and sample."""
    return _sized(msgspec.json.encode(order)) + _sized(sample)


def pack(parcel: Parcel) -> bytes:
    """The parcel as bytes for the pipe."""
    head = _HEAD.pack(parcel.stream, parcel.key, parcel.pts, parcel.duration)
    return _sized(head + parcel.data)


def read_start(file: Readable) -> tuple[RelayOrder, bytes]:
    """The order and the sample. Raises EOFError where the pipe ends before."""
    order, sample = _read(file), _read(file)
    if order is None or sample is None:
        raise EOFError("no order came")
    return msgspec.json.decode(order, type=RelayOrder), sample


def read_parcels(file: Readable) -> Iterator[Parcel]:
    """Parcels until the pipe is closed."""
    while (message := _read(file)) is not None:
        stream, key, pts, duration = _HEAD.unpack_from(message)
        yield Parcel(stream, bool(key), pts, duration, message[_HEAD.size :])


def _sized(message: bytes) -> bytes:
    return _LENGTH.pack(len(message)) + message


def _read(file: Readable) -> bytes | None:
    """One message; None at the end, also if it is cut short."""
    length = file.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(length)
    message = file.read(size)
    return message if len(message) == size else None
