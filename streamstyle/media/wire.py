"""Frames as messages of two parts: docs/wire-format.md, version 1.

The first part is a JSON object whose first key is `topic`, so that a subscription to a prefix works; the
second is raw bytes. The object also has the keys of imagezmq (`msg`, `dtype`, `shape`) and of vidgear's
NetGear (`terminate_flag`, `compression`, `message`, `pattern`), so that their receivers read it, and their
messages are read here.

Received messages are not trusted: every header is checked for types, ranges and the length of the second
part.
"""

from __future__ import annotations

import re
import time
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamstyle.errors import SourceError
from streamstyle.types import Frame, FrameQuality

VERSION = 1
MAX_HEADER_BYTES = 1 << 20  # bytes; NetGear lets a program send any data with the picture
MAX_SIDE = 16384
MAX_PIXELS = 1 << 26  # pixels

SCHEMES = ("zmq+tcp", "zmq+ipc", "zmq+shm")
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Format(StrEnum):
    """Layout of a picture's bytes. `bgr24` is OpenCV's order."""

    BGR24 = "bgr24"
    RGB24 = "rgb24"
    GRAY = "gray"
    JPEG = "jpeg"


_Kind: TypeAlias = Literal["picture", "heat", "event", "end"]
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 62)]
_Ticks: TypeAlias = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]
_Length: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Part: TypeAlias = Annotated[int, Meta(ge=1, le=1 << 31)]
_Clock: TypeAlias = Annotated[float, Meta(ge=0, le=1e12)]
_Text: TypeAlias = Annotated[str, Meta(max_length=256)]


class RingSlot(msgspec.Struct, frozen=True):
    """Place of a picture in a shared-memory ring, see `ring`."""

    ring: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
    """Name of the ring's file."""
    offset: _Count
    """Start of the slot in bytes."""
    bytes: _Count
    """Length of the picture."""
    serial: _Count
    """Distinguishes this picture from later ones in the same place."""


class Compression(msgspec.Struct, frozen=True):
    """NetGear's description of a JPEG."""

    dct: bool = False
    ups: bool = False
    colorspace: str = "BGR"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first part of a message. The keys from `msg` on are for other programs."""

    topic: _Text = ""
    """Topic of the message."""
    again: bool = False
    """True if it is a repetition for a new subscriber."""
    seq: _Count | None = None
    """Counts the publisher's frames, sent or not; None from other programs."""
    version: int | None = None
    """Version of the wire format; None from other programs."""
    stream: _Text = ""
    """Identifies one run of the publisher: `seq` and `pts` restart with it."""
    kind: _Kind = "picture"
    """Content of the second part: a picture, a heat map (float32, tiles), or nothing for an event or the
    end."""
    format: Format | None = None
    """Layout of the picture; None if there is none."""
    size: tuple[_Length, _Length] | None = None
    """(width, height) of the picture."""
    index: _Count = 0
    """See `Frame`."""
    pts: _Ticks | None = None
    """Presentation time in units of `time_base`; None if unknown."""
    time_base: tuple[_Part, _Part] = (1, 1)
    """Seconds per unit, as (numerator, denominator)."""
    duration: _Count = 0
    """Duration in units of `time_base`; 0 if unknown."""
    captured_at: _Clock = 0.0
    """Unix time in seconds, by the publisher's wall clock."""
    published_at: _Clock = 0.0
    """Unix time in seconds, by the publisher's wall clock."""
    age: _Clock = 0.0
    """Seconds from capture to publishing, by the publisher's monotonic clock."""
    style: _Text = ""
    """See `Frame`."""
    score: _Clock | None = None
    """See `FrameQuality`; None without detection."""
    kinds: list[_Text] = []
    """See `FrameQuality`."""
    action: _Text = ""
    """See `FrameQuality`."""
    slot: RingSlot | None = None
    """Place of the picture in shared memory; None if it is in the second part."""
    msg: Any = ""
    dtype: str = ""
    shape: tuple[Annotated[int, Meta(ge=0, le=MAX_SIDE)], ...] | str = ""
    terminate_flag: bool = False
    compression: bool | Compression = False
    message: Any = None
    pattern: Any = "2"

    @property
    def ours(self) -> bool:
        """True if streamstyle wrote it."""
        return self.version is not None


def prefix(topic: str) -> bytes:
    """First bytes of every message of a topic: subscribe to these."""
    return f'{{"topic":"{topic}",'.encode()


def marked(topic: str, *, again: bool) -> bytes:
    """First bytes of every message of a topic that is sent for the first time, or again. A publisher that
    sorts its subscribers by these can send a frame again to one of them."""
    return prefix(topic) + b'"again":' + (b"true" if again else b"false")


def picture_header(
    frame: Frame,
    form: Format,
    *,
    topic: str,
    seq: int,
    stream: str,
    slot: RingSlot | None = None,
    again: bool = False,
) -> bytes:
    """The first part for a frame that is published now."""
    height, width = frame.pixels.shape[:2]
    shape = (height, width) if form is Format.GRAY else (height, width, 3)
    jpeg = Compression() if form is Format.JPEG else False
    header = _header(frame, topic, seq, stream)
    return _encoded(
        header,
        kind="picture",
        format=form,
        shape=shape,
        dtype="uint8",
        slot=slot,
        compression=jpeg,
        again=again,
    )


def heat_parts(
    frame: Frame, quality: FrameQuality, *, topic: str, seq: int, stream: str
) -> tuple[bytes, bytes]:
    """Both parts of a heat map: float32, little endian, (rows, cols)."""
    heat = np.ascontiguousarray(quality.heat, "<f4")
    header = _header(frame, topic, seq, stream)
    return _encoded(header, kind="heat", shape=heat.shape, dtype="float32"), heat.tobytes()


def event_parts(frame: Frame, *, topic: str, seq: int, stream: str) -> tuple[bytes, bytes]:
    """Both parts of an event, a frame with an anomaly; the second is empty."""
    return _encoded(_header(frame, topic, seq, stream), kind="event", shape=(0,), dtype="uint8"), b""


def end_parts(*, topic: str, stream: str) -> tuple[bytes, bytes]:
    """Both parts of the end of a stream; the second is empty."""
    ending = Header(
        topic=topic,
        version=VERSION,
        stream=stream,
        kind="end",
        terminate_flag=True,
        dtype="uint8",
        shape=(0,),
    )
    return msgspec.json.encode(ending), b""


def _header(frame: Frame, topic: str, seq: int, stream: str) -> Header:
    """The header of a frame that is published now, for any second part."""
    now, age = time.time(), max(0.0, time.monotonic() - frame.captured_at)
    quality = frame.quality
    return Header(
        topic=topic,
        seq=seq,
        version=VERSION,
        stream=stream,
        size=(frame.pixels.shape[1], frame.pixels.shape[0]),
        index=frame.index,
        pts=frame.pts,
        time_base=(frame.time_base.numerator, frame.time_base.denominator),
        duration=frame.duration,
        captured_at=now - age,
        published_at=now,
        age=age,
        style=frame.style[:256],
        score=None if quality is None else round(quality.score, 5),
        kinds=[] if quality is None else [str(kind) for kind in quality.kinds],
        action="" if quality is None else quality.action,
        msg=topic,
    )


def _encoded(header: Header, **content: Any) -> bytes:
    """The message of a header, with the fields that describe the second part."""
    return msgspec.json.encode(msgspec.structs.replace(header, **content))


def parse(data: bytes, body: int) -> Header:
    """The checked header of a message whose second part has `body` bytes; `format` is set for a picture.

    Raises SourceError with one sentence on the fault.
    """
    if len(data) > MAX_HEADER_BYTES:
        raise SourceError(
            f"the header of {len(data)} bytes is longer than {MAX_HEADER_BYTES}: no picture header."
        )
    try:
        header = msgspec.json.decode(data, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"the header does not follow docs/wire-format.md: {error}.") from error
    if header.version not in {None, VERSION}:
        raise SourceError(
            f"the publisher writes version {header.version} of the wire format, this program reads "
            f"{VERSION}: use the same version of streamstyle on both sides."
        )
    if header.kind == "end" or header.terminate_flag:
        return msgspec.structs.replace(header, kind="end")
    if header.kind == "heat":
        _expect(header, "float32", 2)
        _fits(header, 4, body)
    elif header.kind == "picture":
        return _picture(header, body)
    return header


def _picture(header: Header, body: int) -> Header:
    """Find the format of a picture from another program, and check the number of its bytes."""
    form = header.format or _foreign_format(header)
    if form is not Format.JPEG:
        channels = header.shape[2:]
        if form is Format.GRAY:
            _expect(header, "uint8", 3 if channels == (1,) else 2)
        else:
            _expect(header, "uint8", 3)
            if channels != (3,):
                raise SourceError(f"a picture of shape {header.shape} is no {form}: it needs 3 channels.")
        _fits(header, 1, body if header.slot is None else header.slot.bytes)
        size = (int(header.shape[1]), int(header.shape[0]))
        if header.size not in {None, size}:
            raise SourceError(f"the header gives two sizes, {header.size} and {size}.")
        return msgspec.structs.replace(header, format=form, size=size)
    if not (body if header.slot is None else header.slot.bytes):
        raise SourceError("the message has no picture in it.")
    return msgspec.structs.replace(header, format=form)


def _foreign_format(header: Header) -> Format:
    """Format of pictures from imagezmq and NetGear: OpenCV's order, or a JPEG, which has no shape."""
    if header.compression or not header.shape:
        return Format.JPEG
    return Format.GRAY if len(header.shape) == 2 or header.shape[2:] == (1,) else Format.BGR24


def _expect(header: Header, dtype: str, axes: int) -> None:
    if header.dtype != dtype or isinstance(header.shape, str) or len(header.shape) != axes:
        raise SourceError(
            f"the message holds {header.dtype or 'no type'} of shape {header.shape}: "
            f"a {header.kind} is {dtype} with {axes} axes."
        )


def _fits(header: Header, item: int, body: int) -> None:
    assert not isinstance(header.shape, str)
    count = int(np.prod(header.shape, dtype=object))
    if not count or count > 4 * MAX_PIXELS:
        raise SourceError(f"a {header.kind} of shape {header.shape} is empty or larger than is allowed.")
    if count * item != body:
        raise SourceError(f"a {header.kind} of shape {header.shape} has {count * item} bytes, {body} came.")


def heat_map(header: Header, body: Any) -> NDArray[np.float32]:
    """The heat map of a message: float32 (rows, cols)."""
    assert not isinstance(header.shape, str)
    return np.frombuffer(body, "<f4").astype(np.float32).reshape(header.shape)


def time_base(header: Header) -> Fraction:
    """Seconds per unit of `pts`."""
    return Fraction(*header.time_base)
