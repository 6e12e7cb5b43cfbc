"""Display matrices: the eight orientations come out as players show them, and junk does no harm."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import card, passed_through

from streamstyle.media.av_source import FileSource
from streamstyle.media.open import open_source
from streamstyle.media.orientation import nearest_orientation, oriented
from streamstyle.types import Picture

ONE, UNIT = 1 << 16, 1 << 30

# By EXIF's number: a, b, c, d of the matrix, and what it makes of a picture. 6 is a phone held upright.
ORIENTATIONS = {
    1: ((1, 0, 0, 1), lambda p: p),
    2: ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    3: ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    4: ((1, 0, 0, -1), lambda p: p[::-1]),
    5: ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    6: ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    7: ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
    8: ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
}


def matrix_of(a: float, b: float, c: float, d: float) -> list[int]:
    return [round(a * ONE), round(b * ONE), 0, round(c * ONE), round(d * ONE), 0, 0, 0, UNIT]


def turn(degrees: float) -> list[int]:
    """Clockwise, as it is seen."""
    x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return matrix_of(x, y, -y, x)


def filmed(path: Path, matrix: Sequence[int], aspect: Fraction | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        stream.set_display_matrix(matrix)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(card())))
        container.mux(stream.encode(None))
    return path


def assert_seen(found: Picture, expected: Picture) -> None:
    assert found.shape == expected.shape
    assert found.flags.c_contiguous
    assert np.abs(found[4::24, 4::24].astype(int) - expected[4::24, 4::24]).max() <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("number", ORIENTATIONS)
def test_all_eight_orientations_come_out_as_players_show_them(
    tmp_path: Path, number: int, suffix: str
) -> None:
    numbers, seen = ORIENTATIONS[number]
    path = filmed(tmp_path / f"in{suffix}", matrix_of(*numbers), Fraction(4, 3))
    expected = seen(card())
    with FileSource(str(path)) as source:
        assert_seen(next(iter(source)).pixels, expected)
        assert (source.info.height, source.info.width) == expected.shape[:2]
        aspect = Fraction(3, 4) if number >= 5 else Fraction(4, 3)
        assert source.info.sample_aspect_ratio == aspect
        assert source.report().notes == ()


@pytest.mark.parametrize("number", [4, 6, 7])
def test_what_is_written_needs_no_matrix_any_more(tmp_path: Path, number: int) -> None:
    numbers, seen = ORIENTATIONS[number]
    passed_through(str(filmed(tmp_path / "in.mp4", matrix_of(*numbers))), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert len(frame.side_data) == 0 or frame.rotation == 0
        assert (frame.height, frame.width) == seen(card()).shape[:2]


@pytest.mark.parametrize(
    ("matrix", "nearest"),
    [
        ([0] * 9, 1),
        (matrix_of(1, 1, 1, 1), 1),
        (matrix_of(0, 1, 0, 1), 1),
        (turn(20), 1),
        (turn(45), 1),
        (turn(70), 6),
        (turn(170), 3),
        (turn(-100), 8),
        (matrix_of(1, 0.4, 0, 1), 1),
        (matrix_of(-1, 0.3, 0.3, 1), 2),
    ],
)
def test_what_is_no_quarter_turn_becomes_the_nearest_and_is_told(
    tmp_path: Path, matrix: list[int], nearest: int
) -> None:
    with FileSource(str(filmed(tmp_path / "in.mp4", matrix))) as source:
        assert_seen(next(iter(source)).pixels, ORIENTATIONS[nearest][1](card()))
        assert "not a multiple of 90 degrees" in source.report().notes[0]


@pytest.mark.parametrize("number", ORIENTATIONS)
@pytest.mark.parametrize("scale", [(1, 1), (0.001, 0.001), (2, 1), (30_000, 3)])
def test_the_size_of_a_matrix_does_not_count(number: int, scale: tuple[float, float]) -> None:
    a, b, c, d = ORIENTATIONS[number][0]
    found = nearest_orientation(matrix_of(a * scale[0], b * scale[1], c * scale[0], d * scale[1]))
    assert found.exact
    assert np.array_equal(oriented(card(), found), ORIENTATIONS[number][1](card()))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=9, max_size=9))
def test_any_nine_numbers_are_an_orientation(matrix: list[int]) -> None:
    found = oriented(card(), nearest_orientation(matrix))
    assert sorted(found.shape[:2]) == [64, 96]


@pytest.mark.parametrize("number", ORIENTATIONS)
def test_pictures_of_cameras_with_exif_come_out_upright(tmp_path: Path, number: int) -> None:
    """PyAV knows no EXIF data, and refuses all side data of such a frame."""
    _, jpeg = cv2.imencode(".jpg", card()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    tag = struct.pack("<HHIHHI", 0x112, 3, 1, number, 0, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag
    data = jpeg.tobytes()
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    with open_source(str(path)) as source:
        assert_seen(next(iter(source)).pixels, ORIENTATIONS[number][1](card()))


def test_the_test_card_has_no_symmetry() -> None:
    assert len({ORIENTATIONS[n][1](card()).tobytes() for n in ORIENTATIONS}) == 8
