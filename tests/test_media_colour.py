"""RGB to YUV: the formula of H.273, and what is left of a picture that goes both ways."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, VideoReformatter
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import PATCHES, card, patch_colours
from numpy.typing import NDArray

from streamstyle.media.colour import MATRICES, ToRgb, from_rgb
from streamstyle.types import Picture

SHARES = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
"""Weights of red and blue in luma."""


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def expected(picture: Picture, matrix: str) -> tuple[NDArray[np.float64], ...]:
    """Y (H, W), Cb and Cr (H/2, W/2) in limited range; chroma as the mean of 2x2 pixels."""
    red, blue = SHARES[matrix]
    r, g, b = np.moveaxis(picture / 255, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    chroma = [(b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)]
    height, width = y.shape
    halves = (c.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for c in chroma)
    return 16 + 219 * y, *(128 + 224 * c for c in halves)


def planes(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Y, Cb and Cr without the unused ends of their lines."""
    lines = [
        np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size)[: p.height] for p in frame.planes
    ]
    luma = lines[0][:, : frame.width]
    if frame.format.name == "nv12":
        return [luma, *(lines[1][:, first : frame.width : 2] for first in range(2))]
    return [luma, *(plane[:, : frame.width // 2] for plane in lines[1:])]


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p", "yuv422p", "yuv444p10le"])
@pytest.mark.parametrize("reach", [ColorRange.MPEG, ColorRange.JPEG])
def test_ycgco_is_read_by_its_own_formula(pixel_format: str, reach: ColorRange) -> None:
    wanted = card()
    r, g, b = np.moveaxis(wanted / 255, -1, 0)
    signals = (g / 2 + (r + b) / 4, g / 2 - (r + b) / 4, (r - b) / 2)  # H.273, equations 54 to 56
    scales = [(255.0, 0), (255.0, 128), (255.0, 128)]
    if reach == ColorRange.MPEG:
        scales = [(219.0, 16), (224.0, 128), (224.0, 128)]
    coded = [(signal * gain + zero).round() for signal, (gain, zero) in zip(signals, scales, strict=True)]
    frame = av.VideoFrame.from_ndarray(np.stack(coded).clip(0, 255).astype(np.uint8), format="yuv444p")
    frame.color_range = reach
    frame = VideoReformatter().reformat(
        frame, format=pixel_format, src_color_range=reach, dst_color_range=reach
    )
    frame.colorspace, frame.color_range = 8, reach
    assert frame.format.name == pixel_format
    found = patch_colours(ToRgb()(frame, "bt601", 96, 64))
    assert np.abs(found - np.array(PATCHES)).max() <= 3


def test_a_matrix_that_cannot_be_read_is_told() -> None:
    frame = av.VideoFrame.from_ndarray(card(), format="rgb24").reformat(format="yuv420p")
    frame.colorspace = 14
    to_rgb = ToRgb()
    to_rgb(frame, "bt709", 96, 64)
    assert to_rgb.notes("a.mkv") == [
        "a.mkv is coded by a matrix that cannot be read (ICtCp): its colours are wrong."
    ]


@pytest.mark.parametrize(
    ("primaries", "matrix", "said"),
    [
        (12, "bt709", "P3"),
        (11, "bt601", "DCI-P3"),
        (9, "bt709", "BT.2020"),
        (9, "bt2020", ""),
        (1, "bt709", ""),
    ],
)
def test_a_wide_gamut_that_is_not_kept_is_told(primaries: int, matrix: str, said: str) -> None:
    frame = av.VideoFrame.from_ndarray(card(), format="rgb24").reformat(format="yuv420p")
    frame.color_primaries = primaries
    to_rgb = ToRgb()
    to_rgb(frame, matrix, 96, 64)
    assert to_rgb.notes("a.mkv") == (
        [f"a.mkv has the primaries of {said}, which are read as BT.709's: colours become a little paler."]
        if said
        else []
    )


@pytest.mark.parametrize("matrix", sorted(MATRICES))
@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12"])
@settings(max_examples=20)
@given(half=st.tuples(st.integers(1, 40), st.integers(2, 70)), seed=st.integers(0, 99))
def test_rgb_becomes_the_yuv_of_the_formula(
    pixel_format: str, matrix: str, half: tuple[int, int], seed: int
) -> None:
    picture = noise(2 * half[0], 2 * half[1], seed)
    frame = from_rgb(VideoReformatter(), picture, matrix, pixel_format)
    assert (frame.width, frame.height, frame.format.name) == (2 * half[1], 2 * half[0], pixel_format)
    for found, wanted in zip(planes(frame), expected(picture, matrix), strict=True):
        assert np.abs(found - wanted).max() <= 1.5
    assert (frame.colorspace, frame.color_range) == (MATRICES[matrix].tag, ColorRange.MPEG)
    assert (frame.color_primaries, frame.color_trc) == (MATRICES[matrix].primaries, MATRICES[matrix].transfer)


@pytest.mark.parametrize("matrix", sorted(MATRICES))
@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv444p"])
def test_a_picture_of_small_squares_comes_back_from_yuv(pixel_format: str, matrix: str) -> None:
    picture = noise(12, 17).repeat(4, axis=0).repeat(4, axis=1)
    frame = from_rgb(VideoReformatter(), picture, matrix, pixel_format)
    back = ToRgb()(frame, matrix, picture.shape[1], picture.shape[0])
    assert np.abs(back.astype(int) - picture).mean() < 2.5
