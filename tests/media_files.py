"""Small media files for the media tests, made with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamstyle.media.open import open_sink, open_source
from streamstyle.types import Frame, MediaReport, Picture, StreamInfo

TICK = Fraction(1, 15360)
PATCHES = ((200, 40, 40), (40, 180, 60), (40, 60, 200), (230, 200, 60), (128, 128, 128), (240, 240, 240))


def card(width: int = 96, height: int = 64, shift: int = 0) -> Picture:
    """Six patches of known colours, in two rows of three, moved round by `shift` patches."""
    picture = np.empty((height, width, 3), np.uint8)
    for i in range(6):
        row, column = divmod(i, 3)
        top, left = row * height // 2, column * width // 3
        picture[top : (row + 1) * height // 2, left : (column + 1) * width // 3] = PATCHES[(i + shift) % 6]
    return picture


def patch_colours(picture: Picture) -> np.ndarray:
    """The colours in the middle of the six patches: (6, 3)."""
    height, width = picture.shape[:2]
    places = [((2 * r + 1) * height // 4, (2 * c + 1) * width // 6) for r in range(2) for c in range(3)]
    return np.array([picture[y, x] for y, x in places], np.int64)


def info_of(
    width: int = 96,
    height: int = 64,
    *,
    url: str = "none",
    rate: Fraction | None = Fraction(30),
    time_base: Fraction = TICK,
    aspect: Fraction = Fraction(1),
    matrix: str = "bt601",
) -> StreamInfo:
    return StreamInfo(url, width, height, rate, time_base, 0, aspect, matrix, 0)


def frames_at(
    times: Sequence[int], *, size: tuple[int, int] = (96, 64), time_base: Fraction = TICK, last: int = 512
) -> list[Frame]:
    """Test cards at these time stamps; each lasts to the next, the last one `last` ticks."""
    ends = [*times[1:], times[-1] + last]
    return [
        Frame(card(*size, shift=i // 4), i, pts, time_base, end - pts, 0.0)
        for i, (pts, end) in enumerate(zip(times, ends, strict=True))
    ]


def make_video(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (96, 64),
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    matrix: tuple[int, int] | None = None,
    rotation: int | None = None,
    aspect: Fraction | None = None,
    times: Sequence[int] | None = None,
    audio: Sequence[str] = (),
    title: str | None = None,
    gop: int = 4,
    b_frames: int = 0,
    container_options: dict[str, str] | None = None,
    longer: float = 0.2,
    rate: int = 48_000,
) -> Path:
    """A clip of test cards at 30 frames a second, with a tone per audio codec.

    matrix: the (colorspace, range) tags that it is converted with and carries; None: BT.601, untagged.
    longer: seconds that the tones outlast the pictures. rate: samples per second of the tones.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        if title:
            container.metadata["title"] = title
        options = {"crf": "4", "preset": "ultrafast", "bf": str(b_frames)} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = TICK
        if matrix:
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        tones = [container.add_stream(name, rate=rate) for name in audio]
        for i in range(frames):
            space, reach = matrix or (5, 1)
            frame = av.VideoFrame.from_ndarray(card(*size)).reformat(
                format=pixel_format,
                src_colorspace=5 if space == 6 else space,
                dst_colorspace=5 if space == 6 else space,
                src_color_range=2,
                dst_color_range=reach,
            )
            frame.pts, frame.time_base = (times[i] if times else 512 * i), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for number, tone in enumerate(tones):
            _tone(container, tone, frames / 30 + longer, 300 * (number + 1), rate)
    return path


def _tone(
    container: av.container.OutputContainer, stream: av.AudioStream, seconds: float, pitch: int, rate: int
) -> None:
    count = round(seconds * rate)
    wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(count) / rate)
    samples = np.tile(wave.astype(np.float32), (2, 1))
    for first in range(0, count, 960):
        part = np.ascontiguousarray(samples[:, first : first + 960])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def audio_packets(path: Path) -> list[list[bytes]]:
    """Per audio stream, the bytes of its packets."""
    with av.open(str(path)) as container:
        found: dict[int, list[bytes]] = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(*container.streams.audio) if found else ():
            if packet.size:
                found[packet.stream_index].append(bytes(packet))
    return list(found.values())


def passed_through(source: str, output: Path, frames: int | None = None) -> MediaReport:
    """Copy the video of `source` frame by frame, as a run would; frames: stop after so many."""
    with open_source(source) as opened:
        sink = open_sink(str(output), opened.info)
        for frame in opened:
            if frames is not None and frame.index >= frames:
                break
            sink.write(frame)
        sink.close(complete=True)
    return sink.report()
