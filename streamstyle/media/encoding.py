"""Settings of the video encoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoding:
    """The user's settings for pictures in a file or stream; None leaves a choice to the container.

    quality: the codec's constant quality, lower is better and bigger. encoder: cpu, a hardware encoder or
    auto (see `choose_encoder`). codec: a name of `CODECS`. preset: trade-off between work and file size, by
    the codec's own names. pixel_format: FFmpeg's name, such as yuv420p10le.
    """

    quality: int | None = None
    encoder: str = "cpu"
    codec: str | None = None
    preset: str | None = None
    pixel_format: str | None = None


USUAL = Encoding()
