"""`--codec`, `--quality`, `--preset` and `--pixel-format`: what is written is what was asked for."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import PATCHES, TICK, frames_at, info_of, patch_colours

from streamstyle.cli.main import main
from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.codecs import CODECS
from streamstyle.media.encoding import Encoding
from streamstyle.media.formats import FORMATS
from streamstyle.media.thread_priority import real_time_threads
from streamstyle.types import Frame, MediaReport

HELD = [(suffix, codec) for suffix, format_ in FORMATS.items() for codec in format_.codecs]
TIMES = [512 * i for i in range(40)]


def written(path: Path, how: Encoding, frames: list[Frame], **info: object) -> MediaReport:
    height, width = frames[0].pixels.shape[:2]
    sink = FileSink(str(path), info_of(width, height, **info), how)  # type: ignore[arg-type]
    for frame in frames:
        sink.write(frame)
    sink.close(complete=True)
    return sink.report()


@pytest.mark.parametrize(("suffix", "codec"), HELD)
def test_every_codec_keeps_times_sizes_colours_and_key_frames(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    path = tmp_path / f"out{suffix}"
    best = {"quality": 4} if CODECS[codec].quality else {}
    written(path, Encoding(codec=codec, **best), frames_at(TIMES))  # type: ignore[arg-type]
    with av.open(str(path)) as film:
        packets = [p for p in film.demux(video=0) if p.size]
        assert film.streams.video[0].codec_context.codec.canonical_name == codec
    assert {0, 1} <= {round(float(p.pts * p.time_base), 3) for p in packets if p.is_keyframe}
    assert len(packets) == len(TIMES)
    with FileSource(str(path)) as source:
        got = list(source)
        assert (source.info.width, source.info.height) == (96, 64)
    assert [round(f.time, 3) for f in got] == [round(float(t * TICK), 3) for t in TIMES]
    assert np.abs(patch_colours(got[0].pixels) - np.array(PATCHES)).max() <= 6


@pytest.mark.parametrize(("suffix", "codec"), HELD)
def test_the_pixel_aspect_is_kept_or_said_to_be_lost(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"out{suffix}"
    report = written(path, Encoding(codec=codec), frames_at(TIMES[:2]), aspect=Fraction(4, 3))
    with FileSource(str(path)) as source:
        kept = source.info.sample_aspect_ratio == Fraction(4, 3)
    assert kept != any("pixel aspect 4:3 is lost" in note for note in report.notes)


@pytest.mark.parametrize("size", [(97, 65), (96, 65), (129, 64)])
@pytest.mark.parametrize("codec", CODECS)
def test_odd_sizes_come_back_exactly(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    path = tmp_path / "out.mkv"
    written(path, Encoding(codec=codec), frames_at(TIMES[:2], size=size))
    with FileSource(str(path)) as source:
        assert (source.info.width, source.info.height) == size


def test_ffv1_is_the_same_pictures_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (63, 97, 3), np.uint8) for _ in range(5)]
    frames = [Frame(picture, i, 512 * i, TICK, 512, 0.0) for i, picture in enumerate(pictures)]
    written(path, Encoding(codec="ffv1"), frames)
    with FileSource(str(path)) as source:
        assert all(np.array_equal(a, b.pixels) for a, b in zip(pictures, source, strict=True))


@pytest.mark.parametrize(
    ("codec", "asked", "suffix"),
    [
        ("h264", "yuv420p10le", ".mkv"),
        ("h264", "yuv444p", ".mov"),
        ("hevc", "yuv422p10le", ".mp4"),
        ("av1", "yuv420p10le", ".webm"),
        ("prores", "yuv444p10le", ".mov"),
        ("ffv1", "gbrp10le", ".mkv"),
    ],
)
def test_pixel_formats_are_what_was_asked_for(tmp_path: Path, codec: str, asked: str, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    written(path, Encoding(codec=codec, pixel_format=asked), frames_at(TIMES[:3]))
    with av.open(str(path)) as film:
        assert next(film.decode(video=0)).format.name == asked
    with FileSource(str(path)) as source:
        assert np.abs(patch_colours(next(iter(source)).pixels) - np.array(PATCHES)).max() <= 16


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root's threads are raised")
def test_no_encoder_takes_the_processors_from_all_else(tmp_path: Path) -> None:
    """Threads of real-time priority would, and so would all programs that they start."""
    assert not real_time_threads()
    for codec in CODECS:
        sink = FileSink(str(tmp_path / f"{codec}.mkv"), info_of(), Encoding(codec=codec))  # type: ignore[arg-type]
        for frame in frames_at(TIMES[:30]):
            sink.write(frame)
        assert not real_time_threads(), codec
        sink.close(complete=True)


def test_quality_and_preset_make_smaller_and_larger_films(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [Frame(rng.integers(0, 256, (64, 96, 3), np.uint8), i, 512 * i, TICK, 512, 0.0) for i in range(4)]

    def size(codec: str, suffix: str, **how: object) -> int:
        path = tmp_path / f"out{suffix}"
        written(path, Encoding(codec=codec, **how), noise)  # type: ignore[arg-type]
        return path.stat().st_size

    for codec in ("h264", "hevc", "av1", "vp9"):
        assert size(codec, ".mkv", quality=45) < size(codec, ".mkv", quality=5), codec
    assert size("prores", ".mov", preset="proxy") < size("prores", ".mov", preset="hq")


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        (
            "a.webm",
            Encoding(codec="h264"),
            r"cannot contain h264, only vp9 or av1: name .* \.mp4 or \.mov or",
        ),
        ("a.mp4", Encoding(codec="ffv1"), r"cannot contain ffv1.*name a film that ends with \.mkv"),
        ("a.mkv", Encoding(codec="ffv1", quality=3), "has no constant quality"),
        ("a.mkv", Encoding(codec="ffv1", preset="fast"), "has no presets"),
        ("a.mov", Encoding(codec="prores", quality=3), "--preset chooses it"),
        ("a.mp4", Encoding(preset="veryfats"), r"did you mean 'veryfast'"),
        ("a.mp4", Encoding(codec="av1", preset="veryfast"), "it is one of 0, 1, 2"),
        ("a.mp4", Encoding(quality=63), r"h264 is 0 \(best\) to 51, not 63"),
        ("a.mp4", Encoding(pixel_format="yuv420p11"), "pixel format 'yuv420p11' .did you mean 'yuv420p"),
        ("a.mov", Encoding(codec="prores", pixel_format="yuv420p"), "it takes yuv422p10le"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_what_does(
    tmp_path: Path, name: str, how: Encoding, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        FileSink(str(tmp_path / name), info_of(), how)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("av1", ".webm"), ("prores", ".mov")])
def test_a_size_that_no_encoder_takes_is_refused_with_one_that_does(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    with pytest.raises(SinkError, match=r"in 20000x200: .*16384.*--codec hevc or vp9 or ffv1"):
        FileSink(str(tmp_path / f"a{suffix}"), info_of(20_000, 200), Encoding(codec=codec))


def test_sizes_in_which_x265_would_crash_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"in 48x48: its sides are 64 to .*--codec h264 or av1"):
        FileSink(str(tmp_path / "a.mp4"), info_of(48, 48), Encoding(codec="hevc"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["null:", "--codec", "hevc"], "no SINK is one"),
        (["out.mp4", "--codec", "divx"], "it is one of h264, hevc"),
        (["out.mp4", "--quality", "64"], "quality"),
        (["out.mp4", "--codec", "hevc", "--encoder", "nvenc"], "encodes only H.264"),
    ],
)
def test_mistakes_on_the_command_line_get_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "test:?seconds=1&size=96x64", *options]) in {1, 2}
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())
