"""AVI keeps one time a packet, in the order of decoding: pictures with B-frames keep theirs all the same."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamstyle.media.av_source import FileSource

FRAMES = 30


def film(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Pictures that get lighter."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = 64, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(FRAMES):
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 8 * number, np.uint8))
            picture = grey.reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "0"}),
        ("libx264", {"bf": "2"}),
        ("libx264", {"bf": "3", "x264-params": "b-pyramid=normal"}),
        ("mpeg4", {"bf": "2"}),
        ("mpeg2video", {"bf": "2"}),
        ("mjpeg", {}),
        ("ffv1", {}),
    ],
)
def test_pictures_keep_their_times_and_their_order(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    with FileSource(str(film(tmp_path / "in.avi", codec, options))) as source:
        frames = list(source)
        report = source.report()
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(i, 25) for i in range(FRAMES)]
    levels = [float(frame.pixels.mean()) for frame in frames]
    assert levels == sorted(levels)
    assert not report.counters.get("repaired_pts", 0) + report.counters.get("guessed_pts", 0)


def test_a_lost_packet_takes_its_own_time_with_it(tmp_path: Path) -> None:
    path = film(tmp_path / "in.avi", "mjpeg", {})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    at = data.find(packets[10])
    data[at : at + len(packets[10])] = bytes(len(packets[10]))
    path.write_bytes(data)
    with FileSource(str(path)) as source:
        found = [(frame.pts, round(float(frame.pixels.mean()) / 8)) for frame in source]
    assert [pts for pts, _ in found] == [i for i in range(FRAMES) if i != 10]
    assert all(abs(level - pts) <= 1 for pts, level in found)
