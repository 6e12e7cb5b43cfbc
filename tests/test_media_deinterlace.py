"""Interlaced films: each field shows its own moment, so that woven frames have combs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import make_video

from streamstyle.cli.main import main
from streamstyle.media.av_source import FileSource
from streamstyle.media.deinterlace import Deinterlacer, Deinterlacing
from streamstyle.media.live_url import LiveInput
from streamstyle.media.open import open_live
from streamstyle.types import Frame, Picture

WIDTH, HEIGHT, FRAMES, STEP = 128, 64, 10, 4
FRAME = Fraction(1, 25)


def moment(field: int) -> Picture:
    """The scene when this field is taken: a bright bar that moves STEP pixels from field to field."""
    picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    picture[:, 16 + STEP * field : 32 + STEP * field] = 200
    return picture


def woven(frame: int, *, top_first: bool) -> Picture:
    picture = moment(2 * frame)
    picture[1 if top_first else 0 :: 2] = moment(2 * frame + 1)[::2]
    return picture


def marked(frame: av.VideoFrame, *, top_first: bool) -> av.VideoFrame:
    """The frame with the order of its fields, which PyAV has no way to set."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    order = graph.add("setfield", f"mode={'tff' if top_first else 'bff'}")
    graph.link_nodes(source, order, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def interlaced(
    path: Path, codec: str = "libx264", *, top_first: bool = True, times: Iterable[int] = ()
) -> Path:
    """FRAMES frames at 25 a second, in ticks of 1/12800 s."""
    stamps = list(times) or [512 * i for i in range(FRAMES)]
    with av.open(str(path), "w") as container:
        options = {"crf": "2"} if codec == "libx264" else {"b": "20M"}
        options["flags"] = "+ilme+ildct"
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25) if codec == "mpeg2video" else Fraction(1, 12800)
        for i, pts in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(woven(i, top_first=top_first)).reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = pts, Fraction(1, 12800)
            container.mux(stream.encode(marked(frame, top_first=top_first)))
        container.mux(stream.encode(None))
    return path


def read(path: Path, how: Deinterlacing = "auto") -> tuple[list[Frame], FileSource]:
    with FileSource(str(path), deinterlace=how) as source:
        return list(source), source


def error(found: Picture, expected: Picture) -> float:
    """Mean difference in levels, without the rim, where there are no neighbours to take lines from."""
    return float(np.abs(found[4:-4].astype(int) - expected[4:-4]).mean())


def seconds(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


def told_duration(suffix: str, duration: Fraction) -> Fraction:
    """MPEG-TS tells none."""
    return Fraction(0) if suffix == ".ts" else duration


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_each_frame_is_the_moment_of_its_first_field(tmp_path: Path, suffix: str, top_first: bool) -> None:
    frames, source = read(interlaced(tmp_path / f"in{suffix}", top_first=top_first))
    assert len(frames) == FRAMES
    for i, frame in enumerate(frames):
        assert error(frame.pixels, moment(2 * i)) < 3
        assert error(frame.pixels, woven(i, top_first=top_first)) > 5
    assert all(later - now == FRAME for now, later in pairwise(seconds(frames)))
    assert {frame.duration * frame.time_base for frame in frames} == {told_duration(suffix, FRAME)}
    assert source.info.rate == 25
    assert source.report().counters["frames"] == FRAMES
    assert f"{FRAMES} frames of {tmp_path}/in{suffix} are interlaced" in source.report().notes[0]


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_field_makes_a_picture_of_each_field_at_its_own_time(
    tmp_path: Path, suffix: str, top_first: bool
) -> None:
    frames, source = read(interlaced(tmp_path / f"in{suffix}", top_first=top_first), "field")
    assert len(frames) == 2 * FRAMES
    for i, frame in enumerate(frames):
        assert error(frame.pixels, moment(i)) < 3
    assert all(later - now == FRAME / 2 for now, later in pairwise(seconds(frames)))
    assert {frame.duration * frame.time_base for frame in frames} == {told_duration(suffix, FRAME / 2)}
    assert source.info.rate == 50
    assert source.info.frames in {0, 2 * FRAMES, 2 * FRAMES + 2}
    assert frames[0].time_base == source.info.time_base


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", ".mp4"), ("libx264", ".mkv"), ("mpeg2video", ".ts")]
)
def test_the_fields_of_a_single_frame_have_their_own_times_too(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    frames, source = read(interlaced(tmp_path / f"in{suffix}", codec, times=[0]), "field")
    assert [error(frame.pixels, moment(i)) < 8 for i, frame in enumerate(frames)] == [True, True]
    begin, second = seconds(frames)
    assert second - begin == FRAME / 2
    assert "repaired_pts" not in source.report().counters


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg2video", ".ts"), ("prores_ks", ".mov")])
def test_other_codecs_of_broadcast_too(tmp_path: Path, codec: str, suffix: str) -> None:
    path = interlaced(tmp_path / f"in{suffix}", codec, top_first=False)
    frames, _ = read(path)
    combs = [np.abs(np.diff(frame.pixels[4:-4].astype(int), axis=0)).mean() for frame in frames]
    kept = [np.abs(np.diff(f.pixels[4:-4].astype(int), axis=0)).mean() for f in read(path, "off")[0]]
    assert len(frames) == FRAMES
    assert max(combs) < 2 < min(kept)


def test_time_stamps_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    times = [0, 512, 1100, 1500, 4000, 4512, 5024, 5536, 6048, 9000]
    path = interlaced(tmp_path / "in.mp4", times=times)
    assert seconds(read(path)[0]) == [Fraction(pts, 12800) for pts in times]
    twice = seconds(read(path, "field")[0])
    assert twice[::2] == [Fraction(pts, 12800) for pts in times]
    assert twice[1:-1:2] == [Fraction(a + b, 25600) for a, b in pairwise(times)]


def test_off_leaves_the_frames_and_says_so(tmp_path: Path) -> None:
    frames, source = read(interlaced(tmp_path / "in.mp4"), "off")
    assert all(error(frame.pixels, woven(i, top_first=True)) < 3 for i, frame in enumerate(frames))
    assert "painted as they are" in source.report().notes[0]


@pytest.mark.parametrize("how", ["auto", "field", "off"])
def test_progressive_films_are_the_same_bit_for_bit(tmp_path: Path, how: Deinterlacing) -> None:
    path = make_video(tmp_path / "in.mp4")
    frames, source = read(path, how)
    plain = [frame for frame, _ in zip(decoded(path), range(12), strict=True)]
    assert [frame.pixels.tobytes() for frame in frames] == [
        frame.pixels.tobytes() for frame in read(path, "off")[0]
    ]
    assert seconds(frames) == [frame.pts * frame.time_base for frame in plain]
    assert source.info.rate == 30
    assert source.info.frames == 12
    assert source.report().notes == ()


def decoded(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_progressive_frames_are_not_even_copied(tmp_path: Path) -> None:
    frames = list(decoded(make_video(tmp_path / "in.mp4")))
    passed = list(Deinterlacer("auto")(iter(frames)))
    assert all(mine is theirs for mine, theirs in zip(passed, frames, strict=True))


@pytest.mark.parametrize("how", ["auto", "field"])
def test_a_film_of_both_kinds_and_sizes_keeps_order_and_times(tmp_path: Path, how: Deinterlacing) -> None:
    parts: list[av.VideoFrame] = []
    for made in (
        make_video(tmp_path / "a.ts", frames=3, size=(WIDTH, HEIGHT)),
        interlaced(tmp_path / "b.ts"),
        make_video(tmp_path / "c.ts", frames=3, size=(WIDTH, HEIGHT)),
        make_video(tmp_path / "d.ts", frames=3, size=(64, 48)),
    ):
        for frame in decoded(made):
            frame.pts, frame.duration = 3600 * len(parts), 3600
            parts.append(frame)
    pictures = list(Deinterlacer(how)(iter(parts)))
    unit = pictures[0].time_base
    assert len(pictures) == 9 + FRAMES * (2 if how == "field" else 1)
    times = [picture.pts * picture.time_base for picture in pictures]
    ends = [(picture.pts + picture.duration) * picture.time_base for picture in pictures]
    assert {picture.time_base for picture in pictures} == {unit}
    assert times[1:] == ends[:-1]
    assert ends[-1] == len(parts) * FRAME
    assert np.array_equal(pictures[-1].to_ndarray(), parts[-1].to_ndarray())


@pytest.mark.parametrize("how", ["auto", "field"])
def test_live_sources_are_deinterlaced_too(tmp_path: Path, how: Deinterlacing) -> None:
    path = interlaced(tmp_path / "in.mp4")
    opening = LiveInput("http://127.0.0.1/in.mp4", str(path), film=True)
    with open_live(opening, deinterlace=how) as source:
        frames = list(source)
        assert source.info.rate == (50 if how == "field" else 25)
    step = 1 if how == "field" else 2
    assert len(frames) == 2 * FRAMES // step
    assert all(error(frame.pixels, moment(step * i)) < 3 for i, frame in enumerate(frames))
    assert "deinterlaced" in " ".join(source.report().notes)


def test_a_run_says_it_and_the_output_has_no_combs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = interlaced(tmp_path / "in.mp4")
    for how, count in (("auto", FRAMES), ("field", 2 * FRAMES)):
        out = tmp_path / f"{how}.mp4"
        options = ["--style", "original", "--correct", "off", "--engine", "torch", "--deinterlace", how]
        assert main(["run", str(path), str(out), *options, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert any("deinterlaced by bwdif" in note for note in told["notes"])
        frames = list(decoded(out))
        assert len(frames) == count
        assert not any(frame.interlaced_frame for frame in frames)
        assert [f.pts * f.time_base for f in frames] == [
            Fraction(i, 25) * FRAMES / count for i in range(count)
        ]
