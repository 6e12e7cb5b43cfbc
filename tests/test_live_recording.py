"""Recordings of live sources: their sound, their changes of size, and other sounds that outputs encode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from live_film import RATE, SIZE, flashes_and_beeps, live_frame, live_info
from media_files import info_of, make_video

from streamstyle.media.av_sink import FileSink
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.scene.sound import SOUND_RATE, Tune
from streamstyle.media.sounds import SceneSound, Silence, sound_of


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_sound_is_recorded_in_step_however_late_pictures_are(tmp_path: Path, suffix: str) -> None:
    sound, late = SoundBuffer(), []
    sink = FileSink(str(tmp_path / f"out.{suffix}"), live_info(sound))
    # Pictures reach the sink half a second after their sound, and every seventh was dropped on the way.
    for number in range(3 * RATE + 5):
        late.append(live_frame(number, sound))
        if number >= RATE // 2 and late[0].index % 7 != 3:
            sink.write(late[0])
        if number >= RATE // 2:
            late.pop(0)
    sink.close(complete=True)
    flashes, beeps, _ = flashes_and_beeps(str(tmp_path / f"out.{suffix}"), 10)
    assert np.allclose(flashes, [0, 1, 2], atol=0.03)
    # The sound begins with the sink's second frame, so the first flash is mute.
    assert np.allclose(beeps, [1, 2], atol=0.03)
    assert sink.report().counters["audio_packets_encoded"] > 80


def test_another_size_is_letterboxed_and_told_once(tmp_path: Path) -> None:
    sink = FileSink(str(tmp_path / "out.mp4"), live_info(None))
    sink.write(live_frame(1))
    for number in (2, 3):
        sink.write(live_frame(number, pixels=np.full((192, 192, 3), 200, np.uint8)))
    sink.close(complete=True)
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [picture.shape for picture in shown] == [(SIZE[1], SIZE[0], 3)] * 3
    assert abs(int(shown[2][48, 80, 0]) - 200) < 6
    assert shown[2][48, 10, 0] < 6
    report = sink.report()
    assert report.counters["frames_letterboxed"] == 2
    assert len(report.notes) == 1


def test_a_time_stamp_that_stands_still_costs_a_live_recording_one_frame(tmp_path: Path) -> None:
    sink = FileSink(str(tmp_path / "out.mp4"), live_info(None))
    for number in (1, 2, 2, 3):
        sink.write(live_frame(number))
    sink.close(complete=True)
    assert sink.report().counters["frames"] == 3
    assert sink.report().counters["frames_skipped"] == 1


def test_the_sound_of_a_film_is_given_up_to_each_time(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mkv", frames=30, audio=["flac"])
    sound = sound_of(replace(info_of(url=str(path)), audio_streams=1))
    assert sound is not None
    reader = sound.reader()
    assert len(reader.until(0.1)) == 0
    parts = [reader.until(0.1 + i / 30) for i in range(1, 28)]
    given = np.concatenate(parts)
    assert len(given) == 27 * SOUND_RATE // 30
    at = np.arange(SOUND_RATE // 10, SOUND_RATE // 10 + len(given)) / SOUND_RATE
    wave = 0.3 * np.sin(2 * np.pi * 300 * at)
    np.testing.assert_allclose(given, np.stack([wave, wave], axis=1), atol=1e-3)
    assert not reader.until(5.0)[SOUND_RATE:].any()  # the film is over


def test_the_sound_of_the_scene_is_its_tune() -> None:
    tune = Tune(2.0)
    reader = SceneSound(tune).reader()
    assert len(reader.until(0.5)) == 0
    np.testing.assert_array_equal(reader.until(1.0), tune[24_000:48_000])
    assert len(reader.until(0.7)) == 0
    rest = reader.until(3.0)
    np.testing.assert_array_equal(rest[:48_000], tune[48_000:96_000])
    assert not rest[48_000:].any()


def test_silence_is_as_long_as_it_should_be_and_skips_jumps() -> None:
    reader = Silence().reader()
    assert [len(reader.until(t)) for t in (3.0, 3.5, 3.4, 3.5, 100.0, 100.01)] == [0, 24_000, 0, 0, 0, 480]


def test_a_mute_source_has_no_sound() -> None:
    assert sound_of(live_info(None)) is None
    assert sound_of(info_of()) is None
    buffer = SoundBuffer()
    assert sound_of(live_info(buffer)) is buffer
