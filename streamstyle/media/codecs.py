"""Video codecs: one table from name to encoder, options and settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import av

from streamstyle.errors import ConfigError, nearest
from streamstyle.media.encoding import Encoding
from streamstyle.media.formats import FORMATS, OutputFormat

_X26_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)


@dataclass(frozen=True)
class VideoEncoder:
    """An encoder with its options."""

    name: str
    """FFmpeg's name."""
    options: Mapping[str, str]
    """FFmpeg's options."""
    pixel_format: str = "yuv420p"
    """Pixel format of its input."""
    tag: str = ""
    """The codec's tag in MP4 and QuickTime; empty for FFmpeg's."""


@dataclass(frozen=True)
class Codec:
    """Encoding of one codec."""

    encoder: VideoEncoder
    quality: tuple[str, int, int] | None
    """Option of the constant quality, its default and its worst value; None if the encoder has none."""
    preset: tuple[str, tuple[str, ...]] | None
    """Option of the preset, and its values."""
    sides: tuple[int, int] = (1, 65_535)
    """Least and largest width and height in pixels."""


# Without B-frames: they would put decoding order into mp4's durations and the last frames into a long queue.
CODECS = {
    "h264": Codec(
        VideoEncoder("libx264", {"preset": "veryfast", "bf": "0", "forced-idr": "1"}),
        ("crf", 18, 51),
        ("preset", _X26_PRESETS),
        (1, 16_384),
    ),
    "hevc": Codec(
        VideoEncoder(
            "libx265",
            {"preset": "veryfast", "forced-idr": "1", "x265-params": "bframes=0:log-level=none"},
            tag="hvc1",  # Apple's players know no other
        ),
        ("crf", 21, 51),
        ("preset", _X26_PRESETS),
        (64, 65_535),  # x265 writes past the end of its memory below
    ),
    "av1": Codec(
        VideoEncoder("libsvtav1", {"preset": "10"}),
        ("crf", 28, 63),
        ("preset", tuple(str(number) for number in range(14))),
        (4, 16_384),
    ),
    "vp9": Codec(
        VideoEncoder("libvpx-vp9", {"deadline": "realtime", "cpu-used": "7", "b": "0", "row-mt": "1"}),
        ("crf", 24, 63),
        ("cpu-used", tuple(str(number) for number in range(9))),
    ),
    "prores": Codec(
        VideoEncoder("prores_ks", {"profile": "hq", "vendor": "apl0"}, "yuv422p10le"),
        None,
        ("profile", ("proxy", "lt", "standard", "hq", "4444", "4444xq")),
        (1, 16_384),
    ),
    "ffv1": Codec(VideoEncoder("ffv1", {"level": "3", "slicecrc": "1", "g": "1"}, "bgr0"), None, None),
}

_OTHERS = {
    "raw": Codec(VideoEncoder("rawvideo", {}), None, None),
    "gif": Codec(VideoEncoder("gif", {}, "pal8"), None, None),
    "webp": Codec(
        VideoEncoder("libwebp_anim", {"quality": "85", "compression_level": "2"}, "bgra"),
        None,
        None,
        (1, 16_383),
    ),
}
"""Default codecs of containers."""

_FULL_CHROMA = {"yuv420p": "yuv444p", "yuv420p10le": "yuv444p10le"}
_EVEN_ONLY = {"libx264", "libx265"}
"""Encoders that crop 4:2:0 in steps of two pixels."""

# SVT-AV1 repeats its error on the standard error stream.
os.environ.setdefault("SVT_LOG", "0")


def video_encoder(how: Encoding, format_: OutputFormat, output: str) -> tuple[VideoEncoder, int]:
    """The CPU's encoder for a film of this format, and its constant quality (0 if it has none).

    output: for messages. Raises ConfigError for anything that the format cannot hold or the codec cannot
    take.
    """
    name = how.codec or format_.codecs[0]
    if name not in format_.codecs:
        others = [suffix for suffix, other in FORMATS.items() if name in other.codecs]
        remedy = f": name a film that ends with {' or '.join(others)}" if others else ""
        raise ConfigError(f"{output} cannot contain {name}, only {' or '.join(format_.codecs)}{remedy}.")
    codec = codec_of(name)
    options = dict(codec.encoder.options)
    quality = _quality(name, codec, how.quality, options)
    pixels = how.pixel_format or codec.encoder.pixel_format
    if how.preset is not None:
        if codec.preset is None:
            raise ConfigError(f"{name} has no presets: leave --preset out.")
        option, values = codec.preset
        if how.preset not in values:
            near = nearest(how.preset, values)
            raise ConfigError(f"{name} has no preset '{how.preset}'{near}: it is one of {', '.join(values)}.")
        options[option] = how.preset
        if name == "prores" and how.preset.startswith("4444") and how.pixel_format is None:
            pixels = "yuv444p10le"
    _check_pixel_format(name, codec.encoder.name, pixels)
    tag = codec.encoder.tag if format_.muxer in {"mp4", "mov"} else ""
    return VideoEncoder(codec.encoder.name, options, pixels, tag), quality


def _quality(name: str, codec: Codec, asked: int | None, options: dict[str, str]) -> int:
    if codec.quality is None:
        if asked is not None:
            instead = ", --preset chooses it" if codec.preset else ""
            raise ConfigError(f"{name} has no constant quality{instead}: leave quality out.")
        return 0
    option, usual, worst = codec.quality
    quality = usual if asked is None else asked
    if quality > worst:
        raise ConfigError(f"The quality of {name} is 0 (best) to {worst}, not {quality}.")
    options[option] = str(quality)
    return quality


def codec_of(name: str) -> Codec:
    """One of `OutputFormat.codecs`."""
    return (CODECS | _OTHERS)[name]


def codec_by(encoder: str) -> Codec | None:
    """The codec of this encoder; None for a hardware encoder."""
    return next((codec for codec in (CODECS | _OTHERS).values() if codec.encoder.name == encoder), None)


def _check_pixel_format(codec: str, encoder: str, asked: str) -> None:
    known = [format_.name for format_ in av.Codec(encoder, "w").video_formats or []]
    if known and asked not in known:
        raise ConfigError(
            f"{codec} cannot encode the pixel format '{asked}'{nearest(asked, known)}: it takes "
            f"{', '.join(known)}."
        )


def for_size(encoder: VideoEncoder, width: int, height: int) -> str:
    """Pixel format for pictures of this size: H.264 and HEVC hold odd sizes only in 4:4:4."""
    odd = bool(width % 2 or height % 2) and encoder.name in _EVEN_ONLY
    return _FULL_CHROMA.get(encoder.pixel_format, encoder.pixel_format) if odd else encoder.pixel_format
