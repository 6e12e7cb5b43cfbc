"""The sound of a film: copied bit for bit where it can be, encoded where it cannot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import audio_packets, make_video, passed_through

from streamstyle.media.av_source import FileSource


@pytest.mark.parametrize(
    ("codecs", "made", "output"),
    [
        (["aac"], ".mp4", ".mp4"),
        (["aac", "aac"], ".mp4", ".mkv"),
        (["aac"], ".mkv", ".mov"),
        (["libopus"], ".mkv", ".webm"),
        (["libopus", "aac"], ".mkv", ".mp4"),
        (["flac"], ".mkv", ".mkv"),
    ],
)
def test_copied_audio_packets_are_equal_to_the_source(
    tmp_path: Path, codecs: list[str], made: str, output: str
) -> None:
    source = make_video(tmp_path / f"in{made}", frames=45, audio=codecs)
    target = tmp_path / f"out{output}"
    report = passed_through(str(source), target)
    expected = audio_packets(source)
    assert audio_packets(target) == expected
    assert report.counters["audio_packets_copied"] == sum(map(len, expected))
    assert report.counters["audio_packets_encoded"] == 0
    assert report.notes == ()


def test_sound_stays_in_step_with_the_picture(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=30, audio=["aac"])
    starts = {}
    for name in ("in.mp4", "out.mp4", "out.mkv"):
        if name != "in.mp4":
            passed_through(str(source), tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            packet = next(p for p in container.demux(audio=0) if p.size)
            starts[name] = packet.pts * packet.time_base
    assert starts["in.mp4"] < 0  # the encoder's priming, which players cut away
    assert starts["out.mp4"] == starts["in.mp4"]
    assert abs(starts["out.mkv"] - starts["in.mp4"]) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    ("codec", "made", "output", "expected"),
    [("aac", ".mp4", ".webm", "opus"), ("flac", ".mkv", ".webm", "opus"), ("libopus", ".mkv", ".mov", "aac")],
)
def test_what_the_container_cannot_hold_is_encoded_and_said(
    tmp_path: Path, codec: str, made: str, output: str, expected: str
) -> None:
    source = make_video(tmp_path / f"in{made}", frames=30, audio=[codec])
    target = tmp_path / f"out{output}"
    report = passed_through(str(source), target)
    assert report.counters["audio_packets_copied"] == 0
    assert report.counters["audio_packets_encoded"] > 20
    assert "re-encoded" in report.notes[0]
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == expected
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert len(samples) >= 0.9 * 48_000
    spectrum = np.abs(np.fft.rfft(samples[9_600:38_400]))
    assert abs(np.argmax(spectrum) / 0.6 - 300) < 5  # the tone of the source


@pytest.mark.parametrize("rate", [4000, 5512, 10_000, 37_800, 44_056, 96_000])
@pytest.mark.parametrize("output", [".mp4", ".webm"])
def test_sound_of_any_rate_is_encoded(tmp_path: Path, rate: int, output: str) -> None:
    """Encoders know some rates only."""
    source = make_video(tmp_path / "in.mkv", frames=15, audio=["pcm_s16le"], rate=rate)
    passed_through(str(source), tmp_path / f"out{output}")
    with av.open(str(tmp_path / f"out{output}")) as container:
        stream = container.streams.audio[0]
        assert min(rate, 48_000) <= stream.rate <= 48_000
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
        seconds = len(samples) / stream.rate
        middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
        pitch = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle))))) * stream.rate / len(middle)
    assert abs(pitch - 300) < 5
    assert abs(seconds - 0.7) < 0.15


def test_a_run_that_is_cut_short_cuts_the_sound_too(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", frames=90, audio=["libopus"])
    passed_through(str(source), tmp_path / "out.mkv", frames=30)
    with av.open(str(tmp_path / "out.mkv")) as container:
        last = max(p.pts * p.time_base for p in container.demux(audio=0) if p.size)
    assert Fraction(9, 10) < last < Fraction(11, 10)


@pytest.mark.parametrize("frames", [1, 30, 58, 59])
@pytest.mark.parametrize(
    ("made", "codec", "output"),
    [
        (".mkv", "aac", ".mkv"),
        (".ts", "aac", ".mp4"),
        (".mp4", "aac", ".webm"),
        (".mov", "pcm_s16le", ".mp4"),
    ],
)
def test_sound_ends_with_the_last_frame_that_was_asked_for(
    tmp_path: Path, made: str, codec: str, output: str, frames: int
) -> None:
    """However near it is to the last one of the film."""
    source = make_video(tmp_path / f"in{made}", frames=60, audio=[codec])
    passed_through(str(source), tmp_path / f"out{output}", frames=frames)
    with av.open(str(tmp_path / f"out{output}")) as container:
        ends = [
            p.pts * p.time_base + (p.duration or 0) * p.time_base for p in container.demux(audio=0) if p.size
        ]
    late = Fraction(3, 100)  # pictures of a broadcast begin a little after its sound
    assert Fraction(frames, 30) - late < max(ends) < Fraction(frames, 30) + 2 * late


def test_sound_that_outlasts_the_video_is_kept_to_its_end(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=6, audio=["aac"])
    passed_through(str(source), tmp_path / "out.mp4")
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "aac"), (".webm", "opus")])
def test_the_scene_s_tune_is_encoded(tmp_path: Path, suffix: str, codec: str) -> None:
    target = tmp_path / f"scene{suffix}"
    report = passed_through("test:?seconds=1&size=96x64&rate=10", target)
    assert report.counters["frames"] == report.counters["video_packets"] == 10
    assert report.counters["audio_packets_encoded"] > 40
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.codec.canonical_name == codec
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 48_000
    assert abs(seconds - 1) < 0.1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_the_title_is_copied(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "in.mp4", frames=3, title="Sea and sky")
    passed_through(str(source), tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["title"] == "Sea and sky"


def test_a_source_without_sound_gives_a_file_without_sound(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=3)
    report = passed_through(str(source), tmp_path / "out.mp4")
    assert report.counters["audio_packets_copied"] == 0
    with FileSource(str(tmp_path / "out.mp4")) as opened:
        assert opened.info.audio_streams == 0
