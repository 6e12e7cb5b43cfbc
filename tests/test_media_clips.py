"""Real clips, where they are at hand: what cameras and encoders of the world produce."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import pytest
from clips import CLIPS, ODD, clip_named, needs_clips
from media_files import audio_packets

from streamstyle.media.av_source import FileSource
from streamstyle.media.open import open_sink, open_source

pytestmark = needs_clips


def by_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("clip", CLIPS, ids=by_name)
def test_each_clip_is_read_in_order_from_its_first_time_stamp(clip: Path) -> None:
    """Every packet's time is compared cheaply; pixels are decoded for the first frames only."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        times = sorted(p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard)
        step = stream.time_base
    with FileSource(str(clip)) as source:
        frames = list(islice(source, 6))
        assert [frame.pts for frame in frames] == [pts for pts in times if pts >= 0][:6]
        assert {frame.time_base for frame in frames} == {step}
        assert abs(source.info.frames - len(times)) <= 2
        assert source.report().counters["corrupt_packets"] == 0


@pytest.mark.parametrize(
    "name", ["webcam_asl_night.mkv", "anim_sintel_2s.mp4", "film_friday_1940.mp4", "street_car_detection.mp4"]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_clip_goes_round_with_frames_times_and_sound(tmp_path: Path, name: str, suffix: str) -> None:
    clip = clip_named(name)
    target = tmp_path / f"out{suffix}"
    with open_source(str(clip)) as source:
        sink = open_sink(str(target), source.info)
        times = []
        for frame in islice(source, 48):
            sink.write(frame)
            times.append(frame.pts * frame.time_base)
        sink.close(complete=True)
    with open_source(str(target)) as result:
        got = [frame.pts * frame.time_base for frame in result]
    tolerance = Fraction(0) if suffix == ".mp4" else Fraction(1, 2000)
    assert len(got) == len(times)
    assert all(abs(mine - theirs) <= tolerance for mine, theirs in zip(got, times, strict=True))
    for mine, theirs in zip(audio_packets(target), audio_packets(clip), strict=True):
        assert mine == theirs[: len(mine)]
        assert len(mine) > 40


@pytest.mark.parametrize("path", ODD, ids=by_name)
def test_each_odd_file_goes_round_exactly(tmp_path: Path, path: Path) -> None:
    target = tmp_path / "out.mp4"
    with open_source(str(path)) as source:
        sink = open_sink(str(target), source.info)
        times = []
        for frame in islice(source, 12):
            sink.write(frame)
            times.append(frame.pts * frame.time_base)
        sink.close(complete=True)
    with open_source(str(target)) as result:
        assert [frame.pts * frame.time_base for frame in result] == times
        before, after = source.info, result.info
    assert (after.width, after.height) == (before.width, before.height)
    assert after.sample_aspect_ratio == before.sample_aspect_ratio
    assert after.matrix == before.matrix


def test_damage_in_real_files_is_counted() -> None:
    with FileSource(str(clip_named("corrupt_bytes_flower.mp4"))) as source:
        assert len(list(islice(source, 60))) == 60
    assert source.report().counters["corrupt_packets"] > 0
    with FileSource(str(clip_named("truncated_flower.webm"))) as source:
        assert len(list(source)) > 80
    assert source.report().counters["truncated"] == 1
