"""HDR films against the formulas of BT.2100: what was graded as SDR comes back, highlights are rolled off."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import make_video
from numpy.typing import NDArray

from streamstyle.cli.main import main
from streamstyle.media import hdr
from streamstyle.media.av_source import FileSource
from streamstyle.media.hdr import KNEE, Grading, shoulder
from streamstyle.media.live_url import LiveInput
from streamstyle.media.open import open_live
from streamstyle.types import Picture

Values = NDArray[np.float64]

WHITE = 203.0
PQ, HLG = 16, 18
BT2020, P3 = 9, 12
PATCH = 16

# BT.2087: linear BT.709 to linear BT.2020, and the inverse.
TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float64
)
TO_BT709 = np.linalg.inv(TO_BT2020)

# No channel of these is above the knee, 238 of 255.
GRADED = np.array(
    [
        *[(level,) * 3 for level in (0, 16, 64, 128, 192, 235)],
        *[(204, 26, 26), (40, 180, 60), (40, 60, 200), (230, 200, 60), (180, 90, 30), (90, 60, 45)],
        *[(235, 0, 0), (0, 235, 0), (0, 0, 235), (0, 235, 235), (235, 0, 235), (235, 235, 0)],
    ]
)


def light_of(levels: Values) -> Values:
    """cd/m2 in BT.2020 of levels that SDR shows, 255 as 203 cd/m2."""
    return WHITE * np.maximum((np.asarray(levels) / 255) ** 2.4 @ TO_BT2020.T, 0)


def pq(light: Values) -> Values:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    y = (np.asarray(light) / 10_000) ** m1
    return ((c1 + c2 * y) / (1 + c3 * y)) ** m2


def hlg(light: Values) -> Values:
    """HLG codes for the light of a screen of 1000 cd/m2."""
    shown = np.asarray(light) / 1000
    luminance = shown @ np.array([0.2627, 0.6780, 0.0593])
    scene = shown * np.maximum(luminance, 1e-12)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 1 - 4 * 0.17883277, 0.55991073
    bright = a * np.log(np.maximum(12 * scene - b, 1e-12)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


SCREEN = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
"""Metadata of a display of 4000 cd/m2."""

CURVES = {PQ: pq, HLG: hlg}


def chart(
    path: Path,
    signal: Values,
    transfer: int,
    *,
    pixel_format: str = "yuv444p10le",
    primaries: int = BT2020,
    matrix: int | None = 9,
    codec: str = "ffv1",
    size: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Patches of these samples (n, 3) in 0..1 beside each other, in limited range."""
    row = np.repeat(signal, PATCH, axis=0)
    samples = np.round(np.broadcast_to(row, (size or 32, *row.shape)) * 65535).astype(np.uint16)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(samples), format="rgb48le")
    frame = picture.reformat(format="gbrp16le").reformat(
        format=pixel_format, src_colorspace=9, dst_colorspace=9, src_color_range=2, dst_color_range=1
    )
    with av.open(str(path), "w") as container:
        fine = {"crf": "2", "preset": "ultrafast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=30, options=options or fine)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixel_format
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.color_range = transfer, primaries, 1
        if matrix is not None:
            context.colorspace = matrix
        for pts in range(2):
            frame.pts, frame.time_base = pts, Fraction(1, 30)
            frame.color_trc, frame.color_primaries = transfer, primaries
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def patches(picture: Picture) -> NDArray[np.int64]:
    return picture[picture.shape[0] // 2, PATCH // 2 :: PATCH].astype(np.int64)


def seen(path: Path) -> NDArray[np.int64]:
    with FileSource(str(path)) as source:
        return patches(next(iter(source)).pixels)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("ffv1", "yuv444p10le", ".mkv"),
        ("ffv1", "yuv420p10le", ".mkv"),
        ("ffv1", "yuv420p12le", ".mkv"),
        ("ffv1", "gbrp10le", ".mkv"),
        ("libx264", "yuv420p10le", ".mp4"),
    ],
)
@pytest.mark.parametrize("transfer", CURVES)
def test_what_was_graded_below_the_knee_comes_back(
    tmp_path: Path, transfer: int, codec: str, pixel_format: str, suffix: str
) -> None:
    signal = CURVES[transfer](light_of(GRADED))
    matrix = 0 if pixel_format.startswith("gbr") else 9
    path = chart(
        *(tmp_path / f"in{suffix}", signal, transfer), pixel_format=pixel_format, matrix=matrix, codec=codec
    )
    found = seen(path)
    saturated = np.ptp(GRADED, axis=1) > 200
    assert np.abs(found - GRADED)[~saturated].max() <= 4
    # A code of 10 bits is as much as 12 levels where a channel is black, so that only its light is told.
    assert np.abs((found / 255) ** 2.4 - (GRADED / 255) ** 2.4).max() <= 0.02


@pytest.mark.parametrize("transfer", CURVES)
def test_reference_white_is_white_and_highlights_roll_off(tmp_path: Path, transfer: int) -> None:
    nits = np.array([20, 100, 172, 203, 250, 300, 400, 600, 1000, 1000])
    signal = CURVES[transfer](np.repeat(nits[:, None], 3, axis=1).astype(float))
    found = seen(chart(tmp_path / "in.mkv", signal, transfer))
    assert np.ptp(found, axis=1).max() <= 1
    levels = found[:, 1].tolist()
    assert levels[0] == pytest.approx(255 * (20 / 203) ** (1 / 2.4), abs=1.5)
    assert levels[1] == pytest.approx(255 * (100 / 203) ** (1 / 2.4), abs=1.5)
    assert levels[2] == pytest.approx(238, abs=1.5)
    assert 245 <= levels[3] <= 249
    assert all(a < b for a, b in pairwise(levels[:7]))
    assert levels[6] <= levels[7] <= levels[8]
    assert levels[8] >= 254


@pytest.mark.parametrize("transfer", CURVES)
def test_no_grey_is_darker_than_a_darker_one(tmp_path: Path, transfer: int) -> None:
    ramp = np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1)
    levels = seen(chart(tmp_path / "in.mkv", ramp, transfer))[:, 1]
    assert np.all(np.diff(levels) >= 0)
    assert (levels[0], levels[-1]) == (0, 255)


@pytest.mark.parametrize("transfer", CURVES)
def test_bright_colours_keep_their_hue(tmp_path: Path, transfer: int) -> None:
    """The three channels stay in proportion, however bright they are."""
    orange = np.array([1.0, 0.45, 0.15])
    light = np.array([orange * nits for nits in (100, 300, 600, 900)]) @ TO_BT2020.T
    found = (seen(chart(tmp_path / "in.mkv", CURVES[transfer](light), transfer)) / 255) ** 2.4
    assert np.abs(found / found[:, :1] - orange).max() < 0.04
    assert np.all(np.diff(found[:, 0]) > 0)


@pytest.mark.parametrize("transfer", CURVES)
def test_colours_beyond_bt709_are_clipped(tmp_path: Path, transfer: int) -> None:
    light = np.array([[100.0, 0, 0], [0, 100, 0], [0, 0, 100]])
    expected = 255 * np.clip(light @ TO_BT709.T / WHITE, 0, KNEE) ** (1 / 2.4)
    found = seen(chart(tmp_path / "in.mkv", CURVES[transfer](light), transfer))
    assert np.abs((found / 255) ** 2.4 - (expected / 255) ** 2.4).max() < 0.02


def test_primaries_of_p3_are_told_from_those_of_bt2020(tmp_path: Path) -> None:
    to_p3 = np.array([[0.8225, 0.1774, 0], [0.0332, 0.9669, 0], [0.0171, 0.0724, 0.9108]])
    light = WHITE * (GRADED / 255) ** 2.4 @ to_p3.T
    found = seen(chart(tmp_path / "in.mkv", pq(light), PQ, primaries=P3))
    assert np.abs((found / 255) ** 2.4 - (GRADED / 255) ** 2.4).max() <= 0.02


def test_hdr_without_a_matrix_is_bt2020_whatever_its_size(tmp_path: Path) -> None:
    path = chart(tmp_path / "in.mkv", pq(light_of(GRADED)), PQ, matrix=None)
    assert np.abs((seen(path) / 255) ** 2.4 - (GRADED / 255) ** 2.4).max() <= 0.02


@pytest.mark.parametrize("peak", [203.0, 300.0, 1000.0, 10_000.0])
def test_the_shoulder_is_smooth_and_ends_at_the_peak(peak: float) -> None:
    light = np.linspace(0, 1.2 * peak / WHITE, 20_001, dtype=np.float32)
    shown = shoulder(light, peak / WHITE)
    below = light <= KNEE
    assert np.array_equal(shown[below], light[below])
    assert np.all(np.diff(shown) >= -1e-6)
    assert shown[light >= peak / WHITE].min() > 0.9999
    slope = np.diff(shown[light < 1]) / np.diff(light[light < 1])
    assert slope.max() < 1.02
    assert np.abs(np.diff(slope)).max() < 0.05


def test_a_film_that_tells_its_peak_is_mapped_to_it() -> None:
    """A film that is never brighter than white is not compressed at all."""
    grey = np.full((4, 4), round(pq(203.0) * 65535), np.uint16)
    for peak, expected in ((203.0, 255), (1000.0, 247), (4000.0, 247)):
        shown = Grading("PQ", BT2020, peak).shown((grey, grey, grey))
        assert np.abs(shown.astype(int) - expected).max() <= 1


@pytest.mark.skipif("libx265" not in av.codecs_available, reason="this FFmpeg makes no HEVC")
@pytest.mark.parametrize(
    ("told", "peak"), [("max-cll=600,200", 600), (SCREEN, 4000), (f"max-cll=0,0:{SCREEN}", 4000)]
)
def test_the_peak_is_the_one_that_the_film_tells(tmp_path: Path, told: str, peak: int) -> None:
    params = {"x265-params": f"{told}:log-level=none", "preset": "ultrafast"}
    signal = pq(np.full((4, 3), 203.0))
    path = chart(
        *(tmp_path / "in.mkv", signal, PQ), codec="libx265", pixel_format="yuv420p10le", options=params
    )
    with FileSource(str(path)) as source:
        assert f"up to {peak} cd/m2" in source.report().notes[0]


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_older_opencv_gives_the_same(transfer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    red, green, blue = (random.integers(0, 65536, (70, 33), dtype=np.uint16) for _ in range(3))
    found = Grading(transfer, BT2020, 1000.0).shown((red, green, blue))
    monkeypatch.setattr(hdr, "_WIDE_TABLES", False)
    assert np.array_equal(Grading(transfer, BT2020, 1000.0).shown((red, green, blue)), found)


@pytest.mark.parametrize("transfer", CURVES)
def test_a_run_writes_bt709_and_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], transfer: int
) -> None:
    path = chart(tmp_path / "in.mkv", CURVES[transfer](light_of(GRADED)), transfer, size=64)
    out = tmp_path / "out.mp4"
    options = ["--strength", "0", "--correct", "off", "--engine", "torch", "--style", "original"]
    assert main(["run", str(path), str(out), *options, "--json"]) == 0
    told = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert f"is HDR ({'PQ' if transfer == PQ else 'HLG'}, up to 1000 cd/m2)" in told
    with av.open(str(out)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    assert tags == (1, 1, 1, 1)
    with FileSource(str(out)) as source:
        assert source.report().notes == ()


@pytest.mark.parametrize("transfer", CURVES)
def test_live_sources_are_mapped_too(tmp_path: Path, transfer: int) -> None:
    path = chart(
        *(tmp_path / "in.mp4", CURVES[transfer](light_of(GRADED)), transfer),
        codec="libx264",
        pixel_format="yuv420p10le",
    )
    with open_live(LiveInput("http://127.0.0.1/in.mp4", str(path), film=True)) as source:
        found = patches(next(iter(source)).pixels)
        assert source.info.matrix == "bt709"
    assert np.abs((found / 255) ** 2.4 - (GRADED / 255) ** 2.4).max() <= 0.02
    assert "tone-mapped" in " ".join(source.report().notes)


def test_sdr_films_are_not_touched(tmp_path: Path) -> None:
    for matrix in ((1, 1), (9, 1)):
        path = make_video(tmp_path / "in.mp4", frames=2, matrix=matrix, pixel_format="yuv420p10le")
        with FileSource(str(path)) as source:
            assert source.report().notes == ()
            assert source.info.matrix == ("bt709" if matrix[0] == 1 else "bt2020")
