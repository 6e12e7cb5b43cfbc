"""The wire format: what is written can be read, and what is not of it is refused in a sentence."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.errors import SourceError
from streamstyle.media import wire
from streamstyle.media.wire import Format, Header
from streamstyle.media.wire_pixels import bgr, native, picture_bytes, rgb
from streamstyle.types import Frame, FrameQuality, Kind, Picture

VERDICT = FrameQuality(1.25, (Kind.POP, Kind.DRIFT), np.array([[0, 0.5, 1]], np.float32), "tile gain")


def frame(pixels: Picture, quality: FrameQuality | None = VERDICT) -> Frame:
    return Frame(pixels, 3, -7, Fraction(1001, 30000), 1, time.monotonic() - 0.25, "great-wave", quality)


def noise(height: int, width: int) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def message(form: Format, pixels: Picture) -> tuple[bytes, bytes]:
    header = wire.picture_header(frame(pixels), form, topic="frame", seq=5, stream="ab")
    return header, picture_bytes(pixels, form, 90).tobytes()


def read(head: bytes, body: bytes) -> np.ndarray:
    header = wire.parse(head, len(body))
    assert header.format is not None
    return rgb(native(header, body), header.format)


@given(
    form=st.sampled_from([Format.BGR24, Format.RGB24]), height=st.integers(1, 40), width=st.integers(1, 40)
)
def test_a_raw_picture_comes_back_bit_for_bit(form: Format, height: int, width: int) -> None:
    pixels = noise(height, width)
    np.testing.assert_array_equal(read(*message(form, pixels)), pixels)


def test_gray_is_opencv_gray_and_jpeg_is_close() -> None:
    pixels = np.full((32, 48, 3), (200, 60, 20), np.uint8)
    head, body = message(Format.GRAY, pixels)
    assert native(wire.parse(head, len(body)), body).shape == (32, 48)
    assert np.ptp(read(head, body), axis=2).max() == 0
    assert np.abs(read(*message(Format.JPEG, pixels)).astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("form", Format)
def test_pictures_leave_in_opencv_order_too(form: Format) -> None:
    head, body = message(form, noise(16, 24))
    header = wire.parse(head, len(body))
    assert header.format is form
    np.testing.assert_array_equal(bgr(native(header, body), form)[..., ::-1], rgb(native(header, body), form))


def test_the_header_says_all_that_is_known_of_the_frame() -> None:
    head, body = message(Format.BGR24, noise(4, 6))
    assert head.startswith(b'{"topic":"frame",')
    header = wire.parse(head, len(body))
    assert (header.seq, header.stream, header.version) == (5, "ab", 1)
    assert (header.index, header.pts, header.time_base, header.duration) == (3, -7, (1001, 30000), 1)
    assert header.size == (6, 4)
    assert (header.style, header.score, header.kinds) == ("great-wave", 1.25, ["pop", "drift"])
    assert header.action == "tile gain"
    assert 0.25 <= header.age < 60
    assert header.published_at - header.captured_at == pytest.approx(header.age, abs=1e-3)


def test_the_keys_of_imagezmq_and_netgear_are_there() -> None:
    keys = json.loads(message(Format.BGR24, noise(4, 6))[0])
    assert (keys["msg"], keys["dtype"], keys["shape"]) == ("frame", "uint8", [4, 6, 3])
    assert (keys["terminate_flag"], keys["compression"], keys["message"]) == (False, False, None)
    assert json.loads(message(Format.JPEG, noise(4, 6))[0])["compression"]["colorspace"] == "BGR"


def test_a_heat_map_comes_back() -> None:
    head, body = wire.heat_parts(frame(noise(4, 6)), VERDICT, topic="frame.heat", seq=1, stream="a")
    header = wire.parse(head, len(body))
    assert header.kind == "heat"
    np.testing.assert_array_equal(wire.heat_map(header, body), VERDICT.heat)


@pytest.mark.parametrize(
    ("keys", "body", "form"),
    [
        ({"msg": "cam", "dtype": "uint8", "shape": [2, 4, 3]}, bytes(24), Format.BGR24),
        ({"msg": {"any": 1}, "dtype": "uint8", "shape": [2, 4]}, bytes(8), Format.GRAY),
        ({"terminate_flag": False, "dtype": "uint8", "shape": [2, 4, 1], "compression": False},
         bytes(8), Format.GRAY),
        ({"msg": "cam"}, b"\xff\xd8", Format.JPEG),
        ({"compression": {"dct": True, "ups": False, "colorspace": "BGR"}, "dtype": "", "shape": ""},
         b"\xff\xd8", Format.JPEG),
    ],
)  # fmt: skip
def test_foreign_headers_are_understood(keys: dict[str, object], body: bytes, form: Format) -> None:
    assert wire.parse(json.dumps(keys).encode(), len(body)).format is form


def test_netgear_says_farewell() -> None:
    assert wire.parse(b'{"terminate_flag": true, "compression": false}', 0).kind == "end"


WRONG = {
    "not JSON": (b"\x80\x04pickle", 1, "does not follow docs/wire-format.md"),
    "a list": (b"[1]", 1, "does not follow docs"),
    "a number too many": (b'{"seq": 1e400}', 1, "does not follow docs"),
    "another version": (b'{"version": 2}', 1, "version 2"),
    "short of bytes": (b'{"dtype":"uint8","shape":[2,2,3]}', 11, "12 bytes, 11 came"),
    "floats": (b'{"dtype":"float64","shape":[2,2,3]}', 96, "float64"),
    "objects": (b'{"dtype":"O","shape":[2,2,3]}', 96, "uint8"),
    "four channels": (b'{"dtype":"uint8","shape":[2,2,4]}', 16, "3 channels"),
    "an empty picture": (b'{"dtype":"uint8","shape":[0,2,3]}', 0, "empty"),
    "a huge one": (b'{"dtype":"uint8","shape":[16384,16384,3]}', 9, "larger than is allowed"),
    "negative": (b'{"dtype":"uint8","shape":[-1,2,3]}', 6, "does not follow docs"),
    "two sizes": (b'{"dtype":"uint8","shape":[1,1,3],"size":[2,2]}', 3, "two sizes"),
    "no picture": (b'{"msg":"x"}', 0, "no picture"),
    "a path for a ring": (
        b'{"slot":{"ring":"../etc/x","offset":0,"bytes":3,"serial":1}}', 0, "does not follow docs"),
    "a bottomless header": (b'{"message":' + b"[" * 100_000, 0, "does not follow docs"),
    "a time base of nothing": (b'{"time_base":[1,0]}', 1, "does not follow docs"),
    "a header without end": (b" " * (wire.MAX_HEADER_BYTES + 1), 1, "longer than"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    head, body, told = WRONG[name]
    with pytest.raises(SourceError, match=told):
        wire.parse(head, body)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(20),  # 65535x65535 in 32 bytes
        b"\xff\xd8\xff\xda" + bytes(64),
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"\xff\xd8" + b"\xff" * 64,
    ],
)
def test_a_hostile_jpeg_is_refused(data: bytes) -> None:
    header = wire.parse(b'{"msg":"x"}', len(data))
    with pytest.raises(SourceError, match="JPEG"):
        native(header, data)


# Without the clock, so that every run changes the same bytes.
FIXED = {
    form: (re.sub(rb'_at":[0-9.]+|age":[0-9.]+', b'age":1.5', head), body)
    for form in Format
    for head, body in [message(form, noise(8, 12))]
}


@given(st.data())
def test_bytes_changed_on_the_way_are_read_or_refused(data: st.DataObject) -> None:
    head, body = (bytearray(part) for part in FIXED[data.draw(st.sampled_from(list(Format)))])
    for part in (head, body):
        for _ in range(data.draw(st.integers(0, 4))):
            part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            del part[data.draw(st.integers(0, len(part))) :]
    with suppress(SourceError):
        header = wire.parse(bytes(head), len(body))
        if header.kind == "picture" and header.slot is None:
            assert header.format is not None
            picture = rgb(native(header, body), header.format)
            assert picture.dtype == np.uint8
            assert picture.ndim == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from([field.name for field in msgspec.structs.fields(Header)]), JSON),
    st.binary(max_size=64),
)
def test_any_json_is_read_or_refused(keys: dict[str, object], body: bytes) -> None:
    with suppress(SourceError):
        header = wire.parse(json.dumps(keys).encode(), len(body))
        if header.kind == "picture" and header.slot is None:
            native(header, body)
        elif header.kind == "heat":
            wire.heat_map(header, body)
