"""Sound from every container that is read into every one that is written: heard as it was."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import audio_packets, make_video, passed_through

from streamstyle.errors import SinkError
from streamstyle.media.av_source import FileSource
from streamstyle.media.container import sink_error
from streamstyle.media.continuous_sound import ContinuousSound

SECONDS = 1.2
"""Seconds of sound in a film of 30 frames."""
OUTPUTS = (".mp4", ".mov", ".mkv", ".webm")

# Made in this container with this codec: what the outputs hold then, copied bit for bit, "+" for encoded.
FOUND = {
    (".ts", "aac"): ("aac", "aac", "aac", "opus+"),
    (".ts", "mp2"): ("aac+", "aac+", "mp2", "opus+"),
    (".ts", "ac3"): ("ac3", "ac3", "ac3", "opus+"),
    (".ts", "eac3"): ("eac3", "eac3", "eac3", "opus+"),
    (".ts", "libopus"): ("opus", "aac+", "opus", "opus"),
    (".avi", "aac"): ("aac", "aac", "aac", "opus+"),
    (".avi", "mp2"): ("aac+", "aac+", "mp2", "opus+"),
    (".flv", "aac"): ("aac", "aac", "aac", "opus+"),
    (".nut", "aac"): ("aac", "aac", "aac", "opus+"),
    (".mov", "pcm_s16le"): ("aac+", "pcm_s16le", "pcm_s16le", "opus+"),
    (".mp4", "alac"): ("alac", "alac", "alac", "opus+"),
    (".mkv", "flac"): ("flac", "aac+", "flac", "opus+"),
}


def heard(path: Path) -> tuple[str, float, float]:
    """Codec, seconds and pitch in Hz of the first sound stream."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
        parts = [p.to_ndarray()[0] for f in container.decode(stream) for p in resampler.resample(f)]
        samples = np.concatenate(parts)
        inner = samples[len(samples) // 5 : len(samples) * 4 // 5]
        spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
        pitch = spectrum.argmax() * 48_000 / len(inner)
        return stream.codec_context.codec.canonical_name, len(samples) / 48_000, pitch


@pytest.mark.parametrize(("made", "codec"), FOUND, ids=lambda value: str(value).strip("."))
def test_sound_is_copied_where_it_can_be_and_encoded_where_not(tmp_path: Path, made: str, codec: str) -> None:
    source = make_video(tmp_path / f"in{made}", frames=30, audio=[codec])
    for suffix, expected in zip(OUTPUTS, FOUND[made, codec], strict=True):
        target = tmp_path / f"out{suffix}"
        report = passed_through(str(source), target)
        name, seconds, pitch = heard(target)
        assert name == expected.rstrip("+"), suffix
        assert seconds == pytest.approx(SECONDS, abs=0.1), suffix
        assert pitch == pytest.approx(300, abs=5), suffix
        encoded = expected.endswith("+")
        copied_packets, encoded_packets = (
            report.counters[f"audio_packets_{how}"] for how in ("copied", "encoded")
        )
        assert (copied_packets == 0, encoded_packets > 0) == (encoded, encoded)
        assert ("re-encoded from" in " ".join(report.notes)) == encoded


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_aac_of_a_broadcast_is_copied_without_its_transport_headers(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "in.ts", frames=30, audio=["aac"])
    passed_through(str(source), tmp_path / f"out{suffix}")
    (sent,), (kept,) = audio_packets(source), audio_packets(tmp_path / f"out{suffix}")
    assert {packet[:2] for packet in sent} <= {b"\xff\xf1", b"\xff\xf9"}  # ADTS, 7 bytes
    assert kept == [packet[7:] for packet in sent]


def test_damaged_packets_of_a_broadcast_are_a_gap_in_the_sound(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.ts", frames=30, audio=["aac"])
    (packets,) = audio_packets(source)
    data = source.read_bytes()
    at = data.find(packets[20][:60])
    source.write_bytes(data[:at] + bytes(8) + data[at + 8 :])
    passed_through(str(source), tmp_path / "out.mp4")
    (kept,) = audio_packets(tmp_path / "out.mp4")
    assert len(packets) - 3 <= len(kept) < len(packets)
    assert heard(tmp_path / "out.mp4")[0] == "aac"


def test_what_no_table_forbids_but_the_muxer_refuses_is_encoded_and_said(tmp_path: Path) -> None:
    """MP3 of 8 kHz is no MPEG-1 layer 3, and FFmpeg's mp4 does not take it."""
    source = tmp_path / "low.mkv"
    with av.open(str(make_video(tmp_path / "in.mkv", frames=30))) as film, av.open(str(source), "w") as low:
        video = low.add_stream_from_template(film.streams.video[0])
        sound = low.add_stream("mp3", rate=8_000)
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = video
                low.mux(packet)
        wave = np.sin(2 * np.pi * 300 * np.arange(9_600) / 8_000).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.tile(0.3 * wave, (2, 1)), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 8_000, 0, Fraction(1, 8_000)
        low.mux(sound.encode(frame))
        low.mux(sound.encode(None))
    report = passed_through(str(source), tmp_path / "out.mp4")
    assert "re-encoded from mp3: mp4 files cannot hold it as it is in" in report.notes[0]
    codec, seconds, pitch = heard(tmp_path / "out.mp4")
    assert codec == "aac"
    assert seconds == pytest.approx(SECONDS, abs=0.3)  # a packet of 8 kHz is 0.13 s
    assert pitch == pytest.approx(300, abs=5)


def test_a_packet_that_the_muxer_refuses_is_not_taken_for_missing_permission() -> None:
    refused = av.error.PermissionError(errno.EPERM, "Operation not permitted", "out.mp4")
    assert isinstance(sink_error("out.mp4", refused), SinkError)
    assert "permission" not in str(sink_error("out.mp4", refused))
    assert "permission" in str(sink_error("out.mp4", PermissionError(errno.EPERM, "immutable")))


def frame_at(seconds: float, count: int = 480) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.full((2, count), 0.5, np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
    frame.pts = round(seconds * 48_000)
    return frame


def places(stamps: list[float]) -> list[int]:
    steady = ContinuousSound(48_000)
    frames = [*(frame_at(stamp) for stamp in stamps), None]
    return [place // 480 for frame in frames for place, _ in steady.placed(frame)]


def test_a_gap_in_the_sound_is_kept_and_stamps_that_are_wrong_with_every_frame_are_not() -> None:
    assert places([0, 0.01, 0.02, 0.50, 0.51]) == [0, 1, 2, 50, 51]
    assert places([0, 0.011, 0.019, 0.031]) == [0, 1, 2, 3]
    assert places([0, 5, 10, 15]) == [0, 1, 2, 3]
    assert places([0, 0, 0, 0]) == [0, 1, 2, 3]
    assert places([0, 0.01, 0.9, 0.03, 0.04]) == [0, 1, 2, 3, 4]


def test_the_rate_that_dv_counts_its_ticks_by_is_not_its_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "tape.dv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("dvvideo", rate=25)
        video.width, video.height, video.pix_fmt = 720, 576, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=48_000)
        for number in range(5):
            picture = av.VideoFrame(720, 576, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 3840), np.int16), format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 1920 * number, Fraction(1, 48_000)
            container.mux(sound.encode(frame))
    with FileSource(str(path)) as source:
        assert source.info.rate == 25
    passed_through(str(path), tmp_path / "out.mp4")
    assert heard(tmp_path / "out.mp4")[0] == "aac"
