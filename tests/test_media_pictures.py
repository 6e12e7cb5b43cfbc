"""Sequences of pictures in and out, GIF and animated WebP."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media_files import PATCHES, TICK, card, frames_at, info_of, make_video, passed_through, patch_colours

from streamstyle.errors import ConfigError, SinkError, SourceError
from streamstyle.files import write_picture
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.encoding import Encoding
from streamstyle.media.image_sink import ImageSink
from streamstyle.media.open import open_sink, open_source
from streamstyle.types import Frame, Sink


def closed(sink: Sink, frames: list[Frame], *, complete: bool = True) -> str:
    for frame in frames:
        sink.write(frame)
    sink.close(complete=complete)
    return " ".join(sink.report().notes)


def test_pictures_that_are_known_by_their_suffix_are_read(tmp_path: Path) -> None:
    """FFmpeg knows no TGA by its content, and no JPEG where EXIF follows JFIF, as programs write it."""
    _, jpeg = cv2.imencode(".jpg", card()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    data, exif = jpeg.tobytes(), b"\xff\xe1\x00\x10Exif\0\0II*\0\x08\0\0\0\0\0\0\0"
    exif = b"\xff\xe1" + (2 + len(exif) - 4).to_bytes(2, "big") + exif[4:]
    (tmp_path / "a%d.jpg").write_bytes(data[:20] + exif + data[20:])
    with av.open(str(tmp_path / "a.tga"), "w", format="image2") as container:
        stream = container.add_stream("targa", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr24"
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(card())), *stream.encode(None)])
    for name in ("a%d.jpg", "a.tga"):
        with FileSource(str(tmp_path / name)) as source:
            (frame,) = source
        assert np.abs(patch_colours(frame.pixels) - PATCHES).max() <= 6, name


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_numbered_pictures_come_in_order_at_the_rate(tmp_path: Path, suffix: str) -> None:
    for number in (1, 2, 9, 10, 100):
        write_picture(tmp_path / f"ü {number}{suffix}", card(shift=number % 6))
    for named in (tmp_path / f"ü %d{suffix}", tmp_path):
        with open_source(str(named), rate=10) as source:
            assert (source.info.rate, source.info.frames) == (10, 5)
            frames = list(source)
        assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
        for frame, number in zip(frames, (1, 2, 9, 10, 100), strict=True):
            assert np.abs(patch_colours(frame.pixels) - patch_colours(card(shift=number % 6))).max() <= 12


def test_a_pattern_counts_its_digits(tmp_path: Path) -> None:
    for name in ("a0001.png", "a0002.png", "a12345.png", "a3.png", "b0001.png"):
        write_picture(tmp_path / name, card())
    with open_source(str(tmp_path / "a%04d.png")) as source:
        assert source.info.frames == 3
        assert source.info.rate == 25


def test_odd_pictures_of_a_sequence_are_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png", card())
    write_picture(tmp_path / "2.png", card(48, 64))
    (tmp_path / "3.png").write_bytes(b"no picture")
    write_picture(tmp_path / "4.png", card())
    with open_source(str(tmp_path)) as source:
        frames = list(source)
        report = source.report()
    assert [frame.pixels.shape for frame in frames] == [(64, 96, 3)] * 3
    assert [frame.pts for frame in frames] == [0, 1, 3]
    assert report.counters == {"frames": 3, "corrupt_packets": 1, "truncated": 0, "frames_letterboxed": 1}
    assert "cannot be read" in " ".join(report.notes)


@pytest.mark.parametrize(
    ("name", "said"), [("empty", "directory without pictures"), ("no%03d.png", "There is no picture")]
)
def test_sequences_without_a_picture_are_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=said), open_source(str(tmp_path / name)):
        pass


def test_a_rate_is_for_sequences_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--rate is only for"):
        open_source(str(make_video(tmp_path / "a.mp4")), rate=10)


@pytest.mark.parametrize(
    ("name", "first"), [("x%03d.png", "x001.png"), ("new/", "new/000001.png"), ("%d.bmp", "1.bmp")]
)
def test_a_film_becomes_pictures_bit_for_bit(tmp_path: Path, name: str, first: str) -> None:
    frames = frames_at([512 * i for i in range(11)])
    closed(open_sink(f"{tmp_path}/{name}", info_of()), frames)
    assert len(list((tmp_path / first).parent.iterdir())) == 11
    with open_source(str((tmp_path / first).parent)) as source:
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(source, frames, strict=True))


def test_a_failed_run_leaves_the_pictures_that_were_there(tmp_path: Path) -> None:
    old = tmp_path / "x1.png"
    old.write_bytes(b"old")
    (tmp_path / "x9.png").write_bytes(b"old")
    frames = frames_at([512 * i for i in range(3)])
    told = closed(open_sink(str(tmp_path / "x%d.png"), info_of()), frames, complete=False)
    assert old.read_bytes() == b"old"
    assert "x.partial" in told
    assert len(list((tmp_path / "x.partial").iterdir())) == 3
    frames = frames_at([512 * i for i in range(8)])
    told = closed(open_sink(str(tmp_path / "x%d.png"), info_of()), frames)
    assert "higher numbers than 8" in told
    assert old.read_bytes() != b"old"


def test_a_single_picture_takes_one_frame(tmp_path: Path) -> None:
    frames = frames_at([0, 512])
    closed(open_sink(str(tmp_path / "one.png"), info_of()), frames[:1])
    assert np.array_equal(cv2.imread(str(tmp_path / "one.png"))[..., ::-1], frames[0].pixels)
    sink = open_sink(str(tmp_path / "two.png"), info_of())
    with pytest.raises(SinkError, match=r"two%04d\.png, or take one with --frames 1"):
        closed(sink, frames)
    sink.close(complete=False)
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_pictures_take_no_codec_and_say_that_they_are_mute(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is written as pictures"):
        ImageSink(str(tmp_path / "x%d.png"), info_of(), Encoding(quality=3))
    film = make_video(tmp_path / "in.mkv", frames=3, audio=["libopus"])
    assert "sound was left out" in " ".join(passed_through(str(film), tmp_path / "x%d.png").notes)
    with pytest.raises(SinkError, match="does not exist"):
        ImageSink(str(tmp_path / "no" / "x%d.png"), info_of())


@pytest.mark.parametrize("size", [(96, 64), (97, 63)])
def test_a_gif_keeps_times_and_colours(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "out.gif"
    frames = frames_at([512 * i for i in range(10)], size=size)  # the card changes at the fourth and eighth
    closed(FileSink(str(path), info_of(*size)), frames)
    with FileSource(str(path)) as source:
        got = list(source)
    assert [frame.time for frame in got] == [round(i / 30, 2) for i in range(10)]
    for frame, wanted in zip(got, frames, strict=True):
        assert np.abs(patch_colours(frame.pixels) - patch_colours(wanted.pixels)).max() <= 6


@pytest.mark.parametrize("times", [[0], [0, 1500, 1900, 3200], [0, 4]])
@pytest.mark.parametrize("rate", [None, Fraction(1, 20), Fraction(25)])
def test_a_gif_keeps_each_delay_whatever_the_rate(
    tmp_path: Path, times: list[int], rate: Fraction | None
) -> None:
    path, tick = tmp_path / "out.gif", Fraction(1, 100)
    frames = frames_at(times, time_base=tick, last=2000)
    closed(FileSink(str(path), info_of(rate=rate, time_base=tick)), frames)
    with FileSource(str(path)) as source:
        assert [(frame.pts, frame.duration) for frame in source] == [(f.pts, f.duration) for f in frames]


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "new/", "x%d.png"])
def test_a_pixel_aspect_that_pictures_lose_is_told(tmp_path: Path, name: str) -> None:
    sink = open_sink(f"{tmp_path}/{name}", info_of(aspect=Fraction(4, 3)))
    assert "pixel aspect 4:3 is lost" in closed(sink, frames_at([0, 512]))


def test_a_webp_that_moves_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "moves.webp"
    closed(FileSink(str(path), info_of()), frames_at([512 * i for i in range(10)]))
    with pytest.raises(SourceError, match="convert it to GIF, APNG or AVIF first"):
        FileSource(str(path)).__enter__()


def test_a_gif_leaves_out_what_browsers_would_slow_down(tmp_path: Path) -> None:
    path = tmp_path / "out.gif"
    sink = FileSink(str(path), info_of(rate=Fraction(120)))
    told = closed(sink, frames_at([128 * i for i in range(24)]))
    assert sink.report().counters["frames_skipped"] == 16
    assert "16 frames were left out" in told
    with FileSource(str(path)) as source:
        assert [frame.time for frame in source] == pytest.approx([i * 0.025 for i in range(8)], abs=0.0051)


def test_an_animated_webp_keeps_times_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "out.webp"
    frames = frames_at([512 * i for i in range(10)])
    told = closed(FileSink(str(path), info_of()), frames)
    assert told == ""
    ok, animation = cv2.imdecodeanimation(np.fromfile(path, np.uint8))
    assert ok
    lasts = np.cumsum(animation.durations) / 1000
    assert lasts[:-1] == pytest.approx([i / 30 for i in range(1, len(lasts))], abs=0.21)
    first = cv2.cvtColor(animation.frames[0], cv2.COLOR_BGRA2RGB)
    assert np.abs(patch_colours(np.asarray(first, np.uint8)) - np.array(PATCHES)).max() <= 12


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_says_what_it_does_not_hold(tmp_path: Path, suffix: str) -> None:
    film = make_video(tmp_path / "in.mkv", frames=3, audio=["libopus"])
    (note,) = passed_through(str(film), tmp_path / f"out{suffix}").notes
    assert "sound was left out" in note
    assert TICK
