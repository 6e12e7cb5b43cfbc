"""The promises of FileSource, on files made here."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import PATCHES, TICK, card, make_video, patch_colours

from streamstyle.errors import SourceError
from streamstyle.media.av_source import FileSource
from streamstyle.media.thread_priority import priority_kept
from streamstyle.types import Frame


def read(path: Path) -> tuple[list[Frame], FileSource]:
    with FileSource(str(path)) as source:
        return list(source), source


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_constant_rate_keeps_time_stamps_and_durations(tmp_path: Path, suffix: str) -> None:
    frames, source = read(make_video(tmp_path / f"a{suffix}"))
    assert [frame.index for frame in frames] == list(range(12))
    tolerance = 0 if suffix == ".mp4" else Fraction(1, 2000)
    for i, frame in enumerate(frames):
        assert abs(frame.pts * frame.time_base - Fraction(i, 30)) <= tolerance
        assert abs(frame.duration * frame.time_base - Fraction(1, 30)) <= Fraction(1, 1000)
    assert source.info.frames == 12
    assert source.info.rate == 30


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [
        (".swf", "flv", "yuv420p"),
        (".wtv", "mpeg2video", "yuv420p"),
        (".roq", "roqvideo", "yuvj444p"),
        (".mjpeg", "mjpeg", "yuvj420p"),
        (".apng", "apng", "rgb24"),
        (".mpg", "mpeg1video", "yuv420p"),
        (".vob", "mpeg2video", "yuv420p"),
        (".m2ts", "libx264", "yuv420p"),
        (".avif", "libsvtav1", "yuv420p"),
    ],
)
def test_films_of_other_programs_are_read_whole(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str
) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        with priority_kept():
            stream.codec_context.open()
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(card()).reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, source = read(path)
    assert len(frames) == 12
    steps = np.diff([frame.time for frame in frames])
    assert np.abs(steps - 1 / 25).max() < 0.002
    assert source.report().counters["truncated"] == 0


def test_variable_rate_and_a_late_start_are_kept(tmp_path: Path) -> None:
    times = [7001, 7500, 9000, 9100, 13000, 13512]
    options = {"movie_timescale": "15360", "video_track_timescale": "15360"}
    path = make_video(tmp_path / "v.mp4", frames=6, times=times, container_options=options)
    frames, _ = read(path)
    assert [frame.pts * frame.time_base for frame in frames] == [pts * TICK for pts in times]


@pytest.mark.parametrize(
    ("pixel_format", "matrix", "codec", "suffix"),
    [
        ("yuv420p", None, "libx264", ".mp4"),
        ("yuv420p", (1, 1), "libx264", ".mp4"),
        ("yuv420p", (6, 1), "libx264", ".mkv"),
        ("yuv420p", (9, 1), "libx264", ".mp4"),
        ("yuv420p", (1, 2), "libx264", ".mp4"),
        ("yuvj420p", (6, 2), "libx264", ".mp4"),
        ("yuv444p", (1, 1), "libx264", ".mp4"),
        ("yuv420p10le", (1, 1), "libx264", ".mp4"),
        ("yuv444p10le", (9, 2), "libx264", ".mkv"),
        ("bgr0", None, "ffv1", ".mkv"),
        ("rgb24", None, "png", ".mov"),
    ],
)
def test_colours_come_out_as_they_went_in(
    tmp_path: Path, pixel_format: str, matrix: tuple[int, int] | None, codec: str, suffix: str
) -> None:
    path = make_video(
        tmp_path / f"c{suffix}", frames=2, pixel_format=pixel_format, matrix=matrix, codec=codec
    )
    frames, source = read(path)
    assert np.abs(patch_colours(frames[0].pixels) - np.array(PATCHES)).max() <= 3
    expected = {1: "bt709", 9: "bt2020"}.get(matrix[0] if matrix else 5, "bt601")
    assert source.info.matrix == expected


@pytest.mark.parametrize("pixel_format", ["rgb555be", "rgb555le", "rgb565le"])
def test_colours_of_fifteen_bits_come_out_as_near_as_they_are(tmp_path: Path, pixel_format: str) -> None:
    """The first is that of old QuickTime films."""
    path = make_video(tmp_path / "c.mov", frames=2, pixel_format=pixel_format, codec="rawvideo")
    frames, _ = read(path)
    assert np.abs(patch_colours(frames[0].pixels) - np.array(PATCHES)).max() <= 9


def test_gray_video_gives_equal_channels(tmp_path: Path) -> None:
    frames, _ = read(make_video(tmp_path / "g.mkv", frames=2, pixel_format="gray", codec="ffv1"))
    pixels = frames[0].pixels
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert abs(int(pixels[48, 48, 0]) - 128) <= 3


def test_untagged_video_is_bt709_from_720_lines_up(tmp_path: Path) -> None:
    with FileSource(str(make_video(tmp_path / "h.mp4", frames=1, size=(64, 720)))) as source:
        assert source.info.matrix == "bt709"


@pytest.mark.parametrize(("rotation", "quarter_turns"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied_and_the_pixel_aspect_turns_along(
    tmp_path: Path, rotation: int, quarter_turns: int
) -> None:
    path = make_video(tmp_path / "r.mp4", frames=2, rotation=rotation, aspect=Fraction(4, 3))
    frames, source = read(path)
    upright = np.rot90(card(), quarter_turns)
    assert frames[0].pixels.shape == upright.shape
    assert frames[0].pixels.flags.c_contiguous
    assert np.abs(frames[0].pixels[::8, ::8].astype(int) - upright[::8, ::8]).max() <= 40
    assert np.abs(frames[0].pixels[4, 4].astype(int) - upright[4, 4]).max() <= 3
    turned = quarter_turns % 2 == 1
    assert source.info.sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))
    assert (source.info.width, source.info.height) == ((64, 96) if turned else (96, 64))


def test_odd_sizes_are_exact(tmp_path: Path) -> None:
    frames, source = read(make_video(tmp_path / "o.mp4", frames=2, size=(97, 63), pixel_format="yuv444p"))
    assert frames[0].pixels.shape == (63, 97, 3)
    assert (source.info.width, source.info.height) == (97, 63)


def test_a_change_of_size_is_scaled_to_the_first_size(tmp_path: Path) -> None:
    parts = []
    for name, size in (("a.ts", (96, 64)), ("b.ts", (64, 48))):
        make_video(tmp_path / name, frames=6, size=size)
        parts.append((tmp_path / name).read_bytes())
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    frames, _ = read(path)
    assert len(frames) == 12
    assert {frame.pixels.shape for frame in frames} == {(64, 96, 3)}
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


def test_a_damaged_middle_is_counted_and_decoding_goes_on(tmp_path: Path) -> None:
    path = make_video(tmp_path / "d.mkv", frames=24, codec="mpeg4", gop=4)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in (9, 10):
        at = data.find(packets[number])
        data[at : at + len(packets[number])] = bytes(len(packets[number]))
    path.write_bytes(data)
    frames, source = read(path)
    counters = source.report().counters
    assert counters["corrupt_packets"] >= 1
    assert len(frames) >= 20
    assert frames[-1].pts * frames[-1].time_base > Fraction(7, 10)
    assert counters["frames"] == len(frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_file_yields_what_it_has_and_says_so(tmp_path: Path, suffix: str) -> None:
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    path = make_video(tmp_path / f"t{suffix}", frames=90, gop=15, container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, source = read(path)
    assert 20 <= len(frames) < 80
    assert source.report().counters["truncated"] == 1
    assert "cut off" in source.report().notes[0]


def test_a_whole_file_is_not_called_truncated(tmp_path: Path) -> None:
    _, source = read(make_video(tmp_path / "w.mkv", frames=30, audio=["libopus"]))
    assert source.report().counters["truncated"] == 0
    assert source.info.audio_streams == 1


@pytest.mark.parametrize("rate", [Fraction(1, 5), Fraction(1, 2), 30])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("name", ["slow.mp4", "slow.mkv", "fragments.mp4"])
def test_a_whole_film_of_any_rate_is_not_called_truncated(
    tmp_path: Path, name: str, b_frames: int, rate: Fraction
) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"} if name == "fragments.mp4" else {}
    times = [round(i / rate / TICK) for i in range(7)]
    path = make_video(
        tmp_path / name, frames=7, times=times, b_frames=b_frames, container_options=options, gop=12
    )
    frames, source = read(path)
    assert len(frames) == 7
    assert source.report().counters["truncated"] == 0
    assert source.report().notes == ()


def test_what_is_no_video_is_refused_with_one_clear_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello world\n" * 50)
    playlist = tmp_path / "films.m3u"
    playlist.write_text("#EXTM3U\nhttp://127.0.0.1:9/a.ts\n")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    song = tmp_path / "song.mka"
    with av.open(str(song), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    unfinished = make_video(tmp_path / "u.mp4")
    whole = unfinished.read_bytes()
    unfinished.write_bytes(whole[: len(whole) // 2])
    for path, words in (
        (tmp_path / "missing.mp4", "does not exist"),
        (tmp_path, "is a directory"),
        (text, "not a media file"),
        (playlist, "playlist of whole films"),
        (empty, "is empty"),
        (song, "contains no video"),
        (unfinished, "damaged or cut off"),
    ):
        with pytest.raises(SourceError, match=words), FileSource(str(path)):
            pass


def test_a_name_with_a_colon_is_a_file_and_no_protocol(tmp_path: Path) -> None:
    frames, _ = read(make_video(tmp_path / "concat:a.mkv", frames=2))
    assert len(frames) == 2


def test_a_rate_that_no_clock_of_the_film_could_count_is_none(tmp_path: Path) -> None:
    path = tmp_path / "copied.mkv"
    with av.open(str(make_video(tmp_path / "in.mkv"))) as whole, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
    frames, source = read(path)
    assert len(frames) == 12
    assert source.info.rate is None or source.info.rate <= 1000
