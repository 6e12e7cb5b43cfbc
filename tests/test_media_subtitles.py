"""Subtitles and chapters of a film are copied, and what cannot be is told."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from media_files import make_video, passed_through

from streamstyle.config import RunConfig
from streamstyle.flow import StopRequest
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.run_job import repair_job

MILLISECOND = Fraction(1, 1000)
CHAPTERS = [("Morning", 0, 700), ("Noon", 700, 2000)]
LINES = [(200, 300, b"Good morning"), (900, 400, b"Good day"), (1600, 300, b"Good night")]
Line = tuple[int, int, bytes]


def subtitled(
    path: Path, codecs: Sequence[str], chapters: Sequence[tuple[str | None, int, int]] = CHAPTERS
) -> Path:
    """60 frames at 30 a second with chapters, and LINES in each of the codecs: (ms, ms long, bytes)."""
    plain = make_video(path.with_name("plain.mkv"), frames=60)
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        words = [target.add_mux_stream(codec) for codec in codecs]
        target.set_chapters(
            [
                {
                    "id": number,
                    "start": start,
                    "end": end,
                    "time_base": MILLISECOND,
                    "metadata": {} if title is None else {"title": title},
                }
                for number, (title, start, end) in enumerate(chapters, start=1)
            ]
        )
        for packet in source.demux():
            if packet.size:
                packet.stream = video
                target.mux(packet)
        for stream in words:
            for start, duration, text in LINES:
                line = av.Packet(text)
                line.stream, line.time_base = stream, MILLISECOND
                line.pts = line.dts = start
                line.duration = duration
                target.mux(line)
    return path


def lines_of(path: Path) -> list[list[Line]]:
    with av.open(str(path)) as container:
        streams = container.streams.subtitles
        found: dict[int, list[Line]] = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams) if streams else ():
            if packet.size:
                start, duration = (
                    round(ticks * packet.time_base / MILLISECOND) for ticks in (packet.pts, packet.duration)
                )
                found[packet.stream_index].append((start, duration, bytes(packet)))
    return list(found.values())


def chapters_of(path: Path) -> list[tuple[str, int, int]]:
    with av.open(str(path)) as container:
        return [
            (
                chapter["metadata"].get("title", ""),
                *(in_milliseconds(chapter, key) for key in ("start", "end")),
            )
            for chapter in container.chapters()
        ]


def in_milliseconds(chapter: Any, key: str) -> int:
    return round(chapter[key] * chapter["time_base"] / MILLISECOND)


@pytest.mark.parametrize("codecs", [["subrip"], ["subrip", "webvtt"]])
def test_subtitles_are_copied_with_their_times(tmp_path: Path, codecs: list[str]) -> None:
    source = subtitled(tmp_path / "in.mkv", codecs)
    report = passed_through(str(source), tmp_path / "out.mkv")
    assert lines_of(tmp_path / "out.mkv") == lines_of(source) == [LINES] * len(codecs)
    assert report.counters["subtitle_packets_copied"] == len(LINES) * len(codecs)
    assert report.notes == ()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_chapters_are_copied_with_their_titles(tmp_path: Path, suffix: str) -> None:
    source = subtitled(tmp_path / "in.mkv", [])
    passed_through(str(source), tmp_path / f"out{suffix}")
    assert chapters_of(tmp_path / f"out{suffix}") == chapters_of(source) == CHAPTERS


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_chapters_without_titles_keep_their_places_and_end_with_the_film(tmp_path: Path, suffix: str) -> None:
    told = [(None, 0, 400), ("b", 400, 900), (None, 900, 3_600_000)]
    source = subtitled(tmp_path / "in.mkv", [], told)
    passed_through(str(source), tmp_path / f"out{suffix}")
    assert chapters_of(tmp_path / f"out{suffix}") == [("", 0, 400), ("b", 400, 900), ("", 900, 2000)]
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.duration == pytest.approx(2_000_000, abs=50_000)


@pytest.mark.parametrize("limit", [{"frames": 24}, {"duration": 0.8}])
def test_a_run_that_is_cut_short_brings_no_chapters_from_after_its_end(
    tmp_path: Path, limit: dict[str, Any]
) -> None:
    source = subtitled(tmp_path / "in.mkv", [], [("a", 0, 500), ("b", 500, 1500), ("c", 1500, 2000)])
    job = Job(str(source), (str(tmp_path / "out.mp4"),), **limit)
    repair_job(str(source), job, RunConfig(), stop=StopRequest())
    assert chapters_of(tmp_path / "out.mp4") == [("a", 0, 500), ("b", 500, 800)]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration == pytest.approx(800_000, abs=50_000)


def test_subtitles_that_the_output_cannot_hold_are_told_with_what_does(tmp_path: Path) -> None:
    source = subtitled(tmp_path / "in.mkv", ["subrip", "webvtt"])
    report = passed_through(str(source), tmp_path / "out.mp4")
    assert lines_of(tmp_path / "out.mp4") == []
    assert report.notes == (
        "The subtitles in subrip were left out, because mp4 files cannot hold them: .mkv files can.",
        "The subtitles in webvtt were left out, because mp4 files cannot hold them: "
        ".mkv and .webm files can.",
    )


def test_a_run_that_is_cut_short_brings_no_subtitles_from_after_its_end(tmp_path: Path) -> None:
    source = subtitled(tmp_path / "in.mkv", ["subrip"])
    passed_through(str(source), tmp_path / "out.mkv", frames=24)
    assert lines_of(tmp_path / "out.mkv") == [LINES[:1]]


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "out%d.png", "new/"])
def test_pictures_hold_neither_subtitles_nor_chapters_nor_tags_and_say_so(tmp_path: Path, name: str) -> None:
    source = subtitled(tmp_path / "in.mkv", ["subrip", "ass"])
    notes = passed_through(str(source), f"{tmp_path}/{name}").notes
    said = [
        note for note in notes if f"these of {source} were left out: 2 subtitle tracks, 2 chapters" in note
    ]
    assert len(said) == 1
    plain = make_video(tmp_path / "bare.mkv", frames=2)
    assert not any("left out" in note for note in passed_through(str(plain), f"{tmp_path}/{name}").notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(("line", "ends"), [((100, 200), 400), ((100, 300), 400), ((300, 300), 600)])
def test_a_film_ends_with_its_pictures_or_its_last_line(
    tmp_path: Path, suffix: str, line: tuple[int, int], ends: int
) -> None:
    """Milliseconds. An empty line after the last one, which MP4 asks for, makes no film longer."""
    plain, source, out = (tmp_path / name for name in ("plain.mkv", "in.mp4", f"out{suffix}"))
    make_video(plain, frames=12)
    with av.open(str(plain)) as film, av.open(str(source), "w") as target:
        video = target.add_stream_from_template(film.streams.video[0])
        words = target.add_mux_stream("mov_text")
        text = av.Packet(b"\0\2Hi")
        text.stream, text.time_base = words, MILLISECOND
        text.pts, text.dts, text.duration = line[0], line[0], line[1]
        target.mux(text)
        for packet in film.demux():
            if packet.size:
                packet.stream = video
                target.mux(packet)
    report = passed_through(str(source), out)
    with av.open(str(out)) as film:
        assert film.duration / 1000 == pytest.approx(ends, abs=2)
        (told,) = [packet for packet in film.demux(subtitles=0) if packet.size > 2]
        assert [round(1000 * ticks * told.time_base) for ticks in (told.pts, told.duration)] == [*line]
    assert report.counters["subtitle_packets_copied"] >= 1
