"""Films read from their middle on, and films that are joined of parts: the same as in one piece."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2  # noqa: F401 - before av, see docs/architecture.md
import numpy as np
import pytest
from clips import CLIPS, ODD, needs_clips
from media_files import card, frames_at, info_of, make_video

from streamstyle.errors import SinkError, SourceError
from streamstyle.media.encoding import Encoding
from streamstyle.media.film_index import film_index
from streamstyle.media.film_part import FilmPart, FilmRange
from streamstyle.media.join import join_parts
from streamstyle.media.open import open_sink, open_source
from streamstyle.media.part_sink import PartSink
from streamstyle.types import Frame

DAMAGED = {"corrupt_bytes_flower.mp4"}


def frames_of(path: Path) -> list[Frame]:
    with open_source(str(path)) as source:
        return list(source)


def assert_same(part: list[Frame], whole: list[Frame]) -> None:
    assert [(f.index, f.pts, f.duration) for f in part] == [(f.index, f.pts, f.duration) for f in whole]
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(part, whole, strict=True))


def part_of(path: Path, first: int, end: int, whole: list[Frame]) -> list[Frame]:
    index = film_index(str(path))
    last = index.end if end == len(whole) else whole[end].pts
    begin = whole[first].pts
    with FilmPart(str(path), FilmRange(begin, last, first, index.key_before(begin))) as source:
        return list(source)


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        *(("film.mp4", "libx264", 0), ("film.mp4", "libx264", 3), ("film.mkv", "libx264", 3)),
        *(("film.ts", "libx264", 3), ("film.webm", "libvpx-vp9", 0), ("film.avi", "mpeg4", 0)),
    ],
)
def test_every_part_of_a_film_has_the_frames_of_the_whole(
    tmp_path: Path, name: str, codec: str, b_frames: int
) -> None:
    path = make_video(tmp_path / name, frames=60, codec=codec, gop=6, b_frames=b_frames)
    whole = frames_of(path)
    index = film_index(str(path))
    assert (index.irregular, index.pts.tolist()) == ("", [frame.pts for frame in whole])
    for first, end in ((0, 1), (0, 60), (5, 7), (23, 41), (30, 60), (59, 60)):
        assert_same(part_of(path, first, end, whole), whole[first:end])


@needs_clips
@pytest.mark.parametrize("clip", [*CLIPS, *ODD], ids=lambda p: p.name)
def test_the_second_half_of_a_real_clip_is_that_of_the_whole(clip: Path) -> None:
    whole = frames_of(clip)
    index = film_index(str(clip))
    assert (index.irregular, index.pts.tolist()) == ("", [frame.pts for frame in whole])
    middle = len(whole) // 2
    part = part_of(clip, middle, len(whole), whole)
    if clip.name in DAMAGED:
        # Not even two readings of the whole conceal the damage with the same pixels: threads race.
        assert [(f.index, f.pts) for f in part] == [(f.index, f.pts) for f in whole[middle:]]
    else:
        assert_same(part, whole[middle:])


def test_a_part_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = make_video(tmp_path / "film.mp4", frames=12)
    with (
        FilmPart(str(path), FilmRange(700, 5000, 1, None)) as source,
        pytest.raises(SourceError, match="middle"),
    ):
        list(source)


def test_a_film_whose_times_are_damaged_says_why_it_is_not_split(tmp_path: Path) -> None:
    path = make_video(tmp_path / "film.ts", frames=40, gop=4)
    data = path.read_bytes()
    twice = tmp_path / "twice.ts"
    twice.write_bytes(data + data)  # its clock jumps back
    assert film_index(str(twice)).irregular == "its clock jumps"
    early = make_video(tmp_path / "early.mkv", frames=8, times=[512 * n - 1024 for n in range(8)])
    pts = [frame.pts for frame in frames_of(early)]
    assert film_index(str(early)).irregular == ("it begins before zero" if pts[0] < 0 else "")


def told(path: Path) -> tuple[Any, ...]:
    """All that is in a film but how its video is compressed."""
    with av.open(str(path)) as container:
        (video,) = container.streams.video
        tags = {key: value for key, value in video.metadata.items() if key != "encoder"}
        head = (
            *(container.duration, container.start_time, container.metadata, container.chapters()),
            *(video.time_base, video.average_rate, video.guessed_rate, video.sample_aspect_ratio, tags),
            *(video.codec_context.colorspace, video.codec_context.color_range, video.codec_context.codec_tag),
            video.codec_context.extradata,
        )
        packets: dict[int, list[Any]] = {}
        for packet in container.demux():
            if packet.size:
                of_video = packet.stream_index == video.index
                what = packet.is_keyframe if of_video else hashlib.sha256(bytes(packet)).hexdigest()
                packets.setdefault(packet.stream_index, []).append(
                    (packet.pts, packet.dts, packet.duration, what)
                )
    return head, packets


@pytest.mark.parametrize(
    ("suffix", "codec", "lossless"),
    [
        *((".mp4", "h264", False), (".mkv", "h264", False), (".mkv", "ffv1", True), (".mkv", "hevc", False)),
        *((".mp4", "hevc", False), (".webm", "vp9", False), (".mp4", "av1", False), (".mov", "prores", True)),
    ],
)
@pytest.mark.parametrize("uneven", [False, True])
def test_a_joined_film_is_that_of_one_run(
    tmp_path: Path, suffix: str, codec: str, lossless: bool, uneven: bool
) -> None:
    """Key frames come every second, so parts that begin there have the key frames of the whole."""
    source = make_video(tmp_path / "in.mkv", frames=90, audio=["libopus"])
    times = [512 * n + (n * n % 200 if uneven else 0) for n in range(90)]
    info = info_of(url=str(source))
    info = replace(info, audio_streams=1)
    frames, how = frames_at(times), Encoding(codec=codec)
    whole, joined = tmp_path / f"whole{suffix}", tmp_path / f"joined{suffix}"
    sink = open_sink(str(whole), info, how)
    for frame in frames:
        sink.write(frame)
    sink.close(complete=True)
    parts = []
    for number, (first, end) in enumerate(((0, 30), (30, 31), (31, 90))):
        parts.append(tmp_path / f"{number}.segment")
        part = PartSink(parts[-1], info, how, str(whole))
        for frame in frames[first:end]:
            part.write(frame)
        part.close(complete=True)
        assert part.report().counters["frames"] == end - first
    report = join_parts(parts, joined, info, how, frames[-1].pts + frames[-1].duration)
    assert report.counters["video_packets"] == 90
    (head, packets), (head_joined, packets_joined) = told(whole), told(joined)
    assert head_joined == head
    assert packets_joined.keys() == packets.keys()
    for stream, expected in packets.items():
        seen = packets_joined[stream]
        assert [p[:3] for p in seen] == [p[:3] for p in expected]
        assert [p[3] for p in seen if p[3] not in {True, False}] == [
            p[3] for p in expected if p[3] not in {True, False}
        ]
    if lossless:
        assert_same(frames_of(joined), frames_of(whole))


def test_parts_of_two_encoders_are_not_joined(tmp_path: Path) -> None:
    info, film = info_of(), tmp_path / "film.mkv"
    paths = []
    for number, codec in enumerate(("h264", "hevc")):
        paths.append(tmp_path / f"{number}.segment")
        part = PartSink(paths[-1], info, Encoding(codec=codec), str(film))
        for frame in frames_at([512 * n + 5120 * number for n in range(10)]):
            part.write(frame)
        part.close(complete=True)
    with pytest.raises(SinkError, match="encoded differently"):
        join_parts(paths, film, info, Encoding(), 10_240)


def test_a_part_takes_frames_of_one_size_only(tmp_path: Path) -> None:
    part = PartSink(tmp_path / "0.segment", info_of(), Encoding(), str(tmp_path / "film.mp4"))
    with pytest.raises(SinkError, match="another size"):
        part.write(Frame(card(64, 64), 0, 0, Fraction(1, 30), 1, 0.0))
    part.close(complete=False)
    assert part.report().counters["frames"] == 0
