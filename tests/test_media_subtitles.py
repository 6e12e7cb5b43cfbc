"""Subtitles and chapters of a film are copied, and what cannot be is told."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from media_files import make_video, passed_through

MILLISECOND = Fraction(1, 1000)
CHAPTERS = [("Morning", 0, 700), ("Noon", 700, 2000)]
LINES = [(200, 300, b"Good morning"), (900, 400, b"Good day"), (1600, 300, b"Good night")]
Line = tuple[int, int, bytes]


def subtitled(path: Path, codecs: Sequence[str]) -> Path:
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
                    "metadata": {"title": title},
                }
                for number, (title, start, end) in enumerate(CHAPTERS, start=1)
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
            (chapter["metadata"]["title"], *(in_milliseconds(chapter, key) for key in ("start", "end")))
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


def test_subtitles_that_the_output_cannot_hold_are_told_with_what_does(tmp_path: Path) -> None:
    source = subtitled(tmp_path / "in.mkv", ["subrip", "webvtt"])
    report = passed_through(str(source), tmp_path / "out.mp4")
    assert lines_of(tmp_path / "out.mp4") == []
    assert report.notes == (
        "The subtitles in subrip were left out, which mp4 files do not hold: .mkv files do.",
        "The subtitles in webvtt were left out, which mp4 files do not hold: .mkv and .webm files do.",
    )


def test_a_run_that_is_cut_short_brings_no_subtitles_from_after_its_end(tmp_path: Path) -> None:
    source = subtitled(tmp_path / "in.mkv", ["subrip"])
    passed_through(str(source), tmp_path / "out.mkv", frames=24)
    assert lines_of(tmp_path / "out.mkv") == [LINES[:1]]
