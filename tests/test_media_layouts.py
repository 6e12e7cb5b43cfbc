"""Sound of more than two channels, and in orders that end PyAV's process."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import passed_through

RATE = 48_000
LABELS = {"FL": 1, "FR": 2, "FC": 3, "LFE": 4, "BL": 5, "BR": 6, "SL": 10, "SR": 11}
"""QuickTime's, as FFmpeg's mov_chan.c reads them."""


def pitch(channel: str) -> int:
    return 300 + 100 * list(LABELS).index(channel) if channel in LABELS else 1500


def make_film(path: Path, codec: str, channels: Sequence[str], layout: str, seconds: float = 0.5) -> Path:
    """Grey pictures with a tone of its own in each channel, in this order."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = film.add_stream(codec, rate=RATE)
        sound.codec_context.layout = layout
        sound.metadata["language"] = "fra"
        for i in range(round(25 * seconds)):
            picture = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 9 * i, np.uint8))
            picture.pts, picture.time_base = i, Fraction(1, 25)
            film.mux(video.encode(picture))
        film.mux(video.encode(None))
        time = np.arange(round(RATE * seconds)) / RATE
        tones = np.stack([0.2 * np.sin(2 * np.pi * pitch(c) * time) for c in channels], axis=1)
        for first in range(0, len(tones), 1024):
            part = tones[first : first + 1024].astype(np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            film.mux(sound.encode(frame))
        film.mux(sound.encode(None))
    return path


def with_labels(path: Path, channels: Sequence[str]) -> Path:
    """The same QuickTime film, which says where each channel belongs; its boxes grow by that."""
    data = bytearray(path.read_bytes())
    at = data.index(b"chan") - 4
    described = b"".join(struct.pack(">II3f", LABELS[c], 0, 0, 0, 0) for c in channels)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"sowt", b"chan"):
        place = data.rindex(box, 0, at + 8) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(described))
    struct.pack_into(">III", data, at + 12, 0, 0, len(channels))
    data[at + 24 : at + 24] = described
    path.write_bytes(data)
    return path


def tones_of(path: Path) -> dict[str, int]:
    """The pitch of each channel, to 20 Hz."""
    with av.open(str(path)) as film:
        (sound,) = film.streams.audio
        names = [channel.name for channel in sound.layout.channels]
        packed = av.AudioResampler(format="flt", layout=sound.layout.name, rate=RATE)
        frames = [part for frame in film.decode(sound) for part in packed.resample(frame)]
    samples = np.concatenate([frame.to_ndarray().reshape(-1, len(names)) for frame in frames])[4_800:19_200]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))[:, None], axis=0))
    loud = spectrum.max(axis=0) > 20
    return {
        name: round(int(np.argmax(s)) * RATE / len(samples) / 20) * 20
        for name, s, heard in zip(names, spectrum.T, loud, strict=True)
        if heard
    }


@pytest.mark.parametrize("output", [".mp4", ".webm"])
@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("mono", "mono"),
        ("stereo", "stereo"),
        ("3.0", "3.0"),
        ("quad", None),
        ("5.0", "5.0"),
        ("5.1", "5.1"),
        ("5.1(side)", "5.1"),
        ("7.1", "7.1"),
    ],
)
def test_channels_stay_when_sound_is_encoded(
    tmp_path: Path, output: str, layout: str, expected: str | None
) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    film = make_film(tmp_path / "in.mkv", "pcm_s16le", names, layout)
    passed_through(str(film), tmp_path / f"out{output}")
    with av.open(str(tmp_path / f"out{output}")) as container:
        (sound,) = container.streams.audio
        assert len(sound.layout.channels) == len(names)
        assert expected is None or sound.layout.name == expected
        assert sound.metadata["language"] == "fra"
    heard = tones_of(tmp_path / f"out{output}")
    # Opus couples channels, so that each has some of another.
    checked = {"FL", "FR"} if output == ".webm" else set(names) - {"LFE"}
    for name in checked & set(names) & set(heard):
        assert abs(heard[name] - pitch(name)) <= 20, heard


def test_more_than_eight_channels_are_mixed_down_and_said(tmp_path: Path) -> None:
    film = make_film(tmp_path / "in.mkv", "pcm_s16le", ["FL"] * 16, "hexadecagonal")
    report = passed_through(str(film), tmp_path / "out.mp4")
    assert "mixed down from 16 channels to 7.1" in report.notes[0]
    assert tones_of(tmp_path / "out.mp4")


ORDERS = [
    ("FL", "FR", "FC", "LFE", "SL", "SR", "BL", "BR"),
    ("SR", "SL", "BR", "BL", "LFE", "FC", "FR", "FL"),
    ("FC", "FL", "FR", "SL", "SR", "LFE"),
    ("FR", "FL"),
]

PASS = (
    "import sys; from pathlib import Path; from media_files import passed_through; "
    "passed_through(sys.argv[1], Path(sys.argv[2]))"
)


@pytest.mark.parametrize("order", ORDERS, ids="+".join)
@pytest.mark.parametrize("output", [".mp4", ".mov"])
def test_channels_in_an_order_of_their_own_come_out_in_their_places(
    tmp_path: Path, order: tuple[str, ...], output: str
) -> None:
    """PyAV frees the layout of such films twice; the allocator's own check makes sure that it shows."""
    usual = {2: "stereo", 6: "5.1", 8: "7.1"}[len(order)]
    film = make_film(tmp_path / "in.mov", "pcm_s16le", order, usual)
    with_labels(film, order)
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PASS, str(film), str(tmp_path / f"out{output}")],
        env={**os.environ, "MALLOC_CHECK_": "3", "PYTHONPATH": here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    if output == ".mp4":
        heard = tones_of(tmp_path / "out.mp4")
        assert {name for name in heard if abs(heard[name] - pitch(name)) <= 20} >= set(order) - {"LFE"} - {
            # 5.1 has its surround channels behind
            *(("SL", "SR") if len(order) == 6 else ()),
        }
