"""The time of a film that begins late or breaks: it counts from 0 and goes on, with picture and sound
together."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import make_video

from streamstyle.media.av_source import FileSource
from streamstyle.media.open import open_sink, open_source
from streamstyle.media.sounds import sound_of

FRAMES = 30
"""Units of one second."""
STEP = Fraction(1, FRAMES)
WRAP = 2**33 / 90_000
"""Seconds after which the clock of a broadcast begins anew."""


def film(path: Path, offset: float = 0, *, sound: str = "mp2", longer: float = 0.03) -> Path:
    """longer: seconds that the sound is longer than the pictures."""
    options = {"output_ts_offset": str(offset)} if offset else {}
    return make_video(
        path, frames=FRAMES, audio=[sound], gop=12, b_frames=2, container_options=options, longer=longer
    )


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def painted(source: Path, target: Path) -> tuple[list[Fraction], list[Fraction], Sequence[str]]:
    """Seconds of the pictures and sound packets that come out, and the notes of the source."""
    with open_source(str(source)) as opened:
        sink = open_sink(str(target), opened.info)
        for frame in opened:
            sink.write(frame)
        sink.close(complete=True)
        notes = opened.report().notes
    with av.open(str(target)) as container:
        pictures = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    with av.open(str(target)) as container:
        sounds = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
    return pictures, sounds, notes


def check_steady(pictures: Sequence[Fraction], count: int) -> None:
    assert len(pictures) == count
    for one, two in pairwise(pictures):
        assert two - one == pytest.approx(STEP, abs=0.0011)


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("offset", [0, 40_000, WRAP - 1.9, WRAP - 30])
def test_a_broadcast_begins_at_zero(tmp_path: Path, offset: float, target: str) -> None:
    source = film(tmp_path / "in.ts", offset)
    pictures, sounds, notes = painted(source, tmp_path / target)
    check_steady(pictures, FRAMES)
    assert min(pictures[0], sounds[0]) == pytest.approx(0, abs=0.03)
    with av.open(str(source)) as container:
        assert container.start_time is not None
        video, sound = (next(iter(container.streams.get(**{kind: 0}))) for kind in ("video", "audio"))
        apart = video.start_time * video.time_base - sound.start_time * sound.time_base
        far = abs(container.start_time / av.time_base) > 10
    # Encoded sound begins with a packet of priming, which players cut away.
    assert pictures[0] - sounds[0] == pytest.approx(apart, abs=0.03)
    assert [note for note in notes if "begins at" in note] == list(notes)
    assert bool(notes) == far


def test_a_far_start_is_cut_in_any_container_and_a_near_one_kept_where_it_may_be_meant(
    tmp_path: Path,
) -> None:
    for name, offset, kept in (("far.mkv", 40_000, 0), ("near.mkv", 5, 5), ("near.mp4", 5, 5)):
        pictures, _, notes = painted(film(tmp_path / name, offset, sound="aac"), tmp_path / "out.mkv")
        check_steady(pictures, FRAMES)
        assert pictures[0] == pytest.approx(kept, abs=0.1), name
        assert len(notes) == (offset > 10)


JOINS = {
    "again": (0, 0),
    "forward": (0, 100),
    "back": (100, 0),
    "wrapped": (WRAP - 5, 20),
    "far": (0, 40_000),
}


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("sound", ["ac3", "mp2", "aac"])
@pytest.mark.parametrize("join", JOINS)
def test_time_goes_on_where_the_clock_of_a_broadcast_jumps(
    tmp_path: Path, join: str, sound: str, target: str
) -> None:
    parts = [film(tmp_path / f"{i}.ts", at, sound=sound) for i, at in enumerate(JOINS[join])]
    pictures, sounds, notes = painted(joined(tmp_path / "in.ts", *parts), tmp_path / target)
    check_steady(pictures, 2 * FRAMES)
    assert sounds[-1] == pytest.approx(2, abs=0.07)
    assert [b - a for a, b in pairwise(sounds) if b - a > 0.06] == []
    assert any("jumps" in note for note in notes)


@pytest.mark.parametrize("longer", [0.5, -0.5])
def test_pictures_and_sound_that_end_apart_go_on_together(tmp_path: Path, longer: float) -> None:
    part = film(tmp_path / "part.ts", longer=longer)
    alone, heard, _ = painted(part, tmp_path / "alone.mkv")
    both, sounds, _ = painted(joined(tmp_path / "in.ts", part, part), tmp_path / "out.mkv")
    assert len(both) == 2 * FRAMES
    assert len(sounds) == 2 * len(heard)
    shift = both[FRAMES] - both[0]
    assert shift == pytest.approx(1 + max(longer, 0), abs=0.03)
    assert both == pytest.approx([*alone, *(time + shift for time in alone)], abs=0.0011)
    assert sounds == pytest.approx([*heard, *(time + shift for time in heard)], abs=0.03)


def test_a_join_in_matroska_goes_on_too(tmp_path: Path) -> None:
    part = film(tmp_path / "part.mkv", sound="aac")
    pictures, sounds, notes = painted(joined(tmp_path / "in.mkv", part, part), tmp_path / "out.mp4")
    check_steady(pictures, 2 * FRAMES)
    assert sounds[-1] == pytest.approx(2, abs=0.07)
    assert any("jumps" in note for note in notes)


def test_other_readers_of_the_film_keep_the_same_time(tmp_path: Path) -> None:
    """Network outputs read a film's sound with such a reader."""
    part = film(tmp_path / "part.ts", 500)
    source = joined(tmp_path / "in.ts", part, film(tmp_path / "more.ts"))
    with FileSource(str(source)) as opened:
        frames = list(opened)
        sound = sound_of(opened.info)
    assert sound is not None
    assert frames[-1].time == pytest.approx(59 / 30, abs=0.1)
    reader = sound.reader()
    reader.until(0)
    heard = np.abs(reader.until(2.0)[:, 0]).reshape(40, -1).max(axis=1)  # 50 ms each
    assert (heard[2:38] > 0.1).all()


def test_a_slow_film_does_not_jump(tmp_path: Path) -> None:
    for name in ("slow.ts", "slow.mkv", "slow.mp4"):
        times = [15_360 * 12 * i for i in range(5)]
        source = make_video(tmp_path / name, frames=5, times=times)
        with FileSource(str(source)) as opened:
            frames = list(opened)
            counters = opened.report().counters
        assert [round(b.time - a.time) for a, b in pairwise(frames)] == [12] * 4
        assert "clock_breaks" not in counters
        assert counters["truncated"] == 0


def test_a_pause_in_matroska_is_meant(tmp_path: Path) -> None:
    times = [512 * i + (15_360 * 60 if i >= 6 else 0) for i in range(12)]
    source = make_video(tmp_path / "pause.mkv", frames=12, times=times)
    with FileSource(str(source)) as opened:
        frames = list(opened)
    assert frames[-1].time == pytest.approx(60 + 11 / 30, abs=0.01)


@pytest.mark.parametrize("wrong", [30.0, 5_000.0, -0.5])
def test_one_wrong_time_stamp_moves_nothing(tmp_path: Path, wrong: float) -> None:
    source = make_video(tmp_path / "in.ts", frames=FRAMES, audio=["mp2"])
    data = bytearray(source.read_bytes())
    _patch_pts_(data, 15, wrong)
    source.write_bytes(data)
    with FileSource(str(source)) as opened:
        frames = list(opened)
    assert len(frames) == FRAMES
    assert frames[-1].time - frames[0].time == pytest.approx(29 / 30, abs=0.01)


def _patch_pts_(data: bytearray, number: int, seconds: float) -> None:
    """Move the time stamp of the video packet with this number in a transport stream; in place."""
    found = 0
    for at in range(0, len(data), 188):
        start = data.find(b"\x00\x00\x01\xe0", at, at + 188)
        if start < 0 or not data[start + 7] & 0x80:
            continue
        found += 1
        if found <= number:
            continue
        five = data[start + 9 : start + 14]
        pts = (five[0] >> 1 & 7) << 30 | five[1] << 22 | (five[2] >> 1) << 15 | five[3] << 7 | five[4] >> 1
        pts += round(seconds * 90_000)
        data[start + 9 : start + 14] = bytes(
            [
                five[0] & 0xF0 | (pts >> 30) << 1 | 1,
                pts >> 22 & 255,
                (pts >> 14 & 0xFE) | 1,
                pts >> 7 & 255,
                (pts << 1 & 0xFE) | 1,
            ]
        )
        return
