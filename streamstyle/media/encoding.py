"""Settings of the video encoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoding:
    """The user's settings for pictures in a file or stream; None leaves a choice to the container."""

    quality: int | None = None
    """The codec's constant quality, lower is better and bigger."""
    encoder: str = "cpu"
    """`cpu`, a hardware encoder or `auto`, see `choose_encoder`."""
    codec: str | None = None
    """A name of `CODECS`."""
    preset: str | None = None
    """Trade-off between work and file size, by the codec's own names."""
    pixel_format: str | None = None
    """FFmpeg's name, such as yuv420p10le."""


USUAL = Encoding()
