"""Choice of the video encoder: the CPU's, or a graphics chip's H.264 after a trial."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from streamstyle.errors import SinkError
from streamstyle.media.codecs import CODECS, Codec, VideoEncoder, codec_by, for_size
from streamstyle.media.colour import MATRICES, from_rgb
from streamstyle.media.container import UNWRITABLE, reason
from streamstyle.media.thread_priority import priority_kept
from streamstyle.types import StreamInfo


@dataclass(frozen=True)
class HardwareEncoder:
    """The H.264 encoder of one maker."""

    name: str
    """FFmpeg's name."""
    film: Mapping[str, str]
    """Options for films; {quality} stands for the CRF, {most} and {usual} for bits per second."""
    live: Mapping[str, str]
    """The same for streams."""
    needs: str
    """Requirements for it to open."""

    def options(self, quality: int, most: int | None) -> dict[str, str]:
        """most: at most so many bits a second, for a stream; None for a film, whose quality is constant."""
        asked = self.film if most is None else self.live
        # No quality is 0: that asks NVENC to choose for itself, and Quick Sync for a constant bit rate.
        values = {"quality": max(quality, 1), "most": most, "usual": (most or 0) * 3 // 4}
        return {name: value.format_map(values) for name, value in asked.items()}


# The meanings are those of FFmpeg 8.1's nvenc.c, qsvenc.c and amfenc_h264.c. As with x264 there are no
# B-frames, forced key frames are points to begin at, and streams wait for no later picture.
_NVENC = {"preset": "p4", "rc": "vbr", "cq": "{quality}", "bf": "0", "forced-idr": "1"}
_QSV = {"preset": "veryfast", "global_quality": "{quality}", "bf": "0", "forced_idr": "1"}
_AMF = {"preset": "balanced", "bf": "0", "forced_idr": "1"}
_PEAK = {"maxrate": "{most}", "bufsize": "{most}"}

HARDWARE = {
    "nvenc": HardwareEncoder(
        "h264_nvenc",
        _NVENC | {"tune": "hq"},
        _NVENC | _PEAK | {"tune": "ull", "zerolatency": "1", "delay": "0"},
        "an NVIDIA GPU with NVENC (A100, H100 and the like have none) and driver 570 or newer; a container "
        "needs NVIDIA_DRIVER_CAPABILITIES=all",
    ),
    "qsv": HardwareEncoder(
        "h264_qsv",
        _QSV,
        # If both bit rates were the same, it would be a constant one.
        _QSV | _PEAK | {"b": "{usual}", "async_depth": "1"},
        "an Intel GPU, /dev/dri and its runtime (Debian: apt install intel-media-va-driver libmfxgen1)",
    ),
    "amf": HardwareEncoder(
        "h264_amf",
        _AMF | {"usage": "transcoding", "rc": "cqp", "qp_i": "{quality}", "qp_p": "{quality}"},
        _AMF
        | _PEAK
        | {"usage": "ultralowlatency", "latency": "1", "rc": "qvbr", "qvbr_quality_level": "{quality}"}
        | {"b": "{usual}", "async_depth": "1"},
        "an AMD GPU and AMD's driver with the AMF runtime (Linux: amdgpu-install --usecase=amf)",
    ),
}

_TRIED_FRAMES = 2

_TELLING_ASPECT = {"h264", "hevc"}
"""Codecs that hold the pixel aspect themselves: PyAV has no way to make the Matroska muxer write it."""


def choose_encoder(
    asked: str,
    output: str,
    usual: VideoEncoder,
    info: StreamInfo,
    notes: list[str],
    *,
    quality: int,
    most: int | None = None,
) -> VideoEncoder:
    """The encoder to use: `usual`, the CPU's, if `asked` is cpu; the first hardware encoder that opens for
    auto; else the one of `HARDWARE` with this name.

    output: for messages. quality, most: see `HardwareEncoder.options`. The choice and its reasons go to
    `notes`. Raises SinkError if a hardware encoder was named and does not encode frames like those of `info`
    here.
    """
    if asked == "cpu":
        return usual
    refusals: list[str] = []
    for name in HARDWARE if asked == "auto" else [asked]:
        other = VideoEncoder(HARDWARE[name].name, HARDWARE[name].options(quality, most), "nv12")
        unfit = _unfit(usual, info)
        why = unfit or refusal(other, info)
        if not why:
            notes.append(f"{output} is encoded by {other.name}.")
            return other
        if asked != "auto":
            needs = "" if unfit else f"It needs {HARDWARE[name].needs}. "
            raise SinkError(
                f"{output} cannot be encoded by {other.name} in {info.width}x{info.height} here: {why}. "
                f"{needs}Without --encoder {name} the CPU does it."
            )
        refusals.append(f"{other.name} ({why})")
    notes.append(f"{output} is encoded by {usual.name}: no hardware encoder opens, {', '.join(refusals)}.")
    return usual


def _unfit(usual: VideoEncoder, info: StreamInfo) -> str:
    if usual.name != "libx264":
        return "it encodes only H.264; name an .mp4, .mkv or .mov without --codec"
    if usual.pixel_format != "yuv420p":
        return "it accepts only its own pixel format"
    if info.width % 2 or info.height % 2:
        return "it takes even sizes only"
    return ""


def refusal(encoder: VideoEncoder, info: StreamInfo) -> str:
    """The reason that this encoder does not encode frames like those of `info`; empty if it just did."""
    packets: list[Packet[VideoStream]] = []
    step = max(round(1 / ((info.rate or 30) * info.time_base)), 1)
    try:
        with av.open(os.devnull, "w", format="nut") as container:
            stream = video_stream(container, encoder, info, [])
            grey = np.full((info.height, info.width, 3), 128, np.uint8)
            for number in range(_TRIED_FRAMES):
                picture = from_rgb(VideoReformatter(), grey, info.matrix, pixel_format(stream))
                picture.pts, picture.time_base = number * step, info.time_base
                packets += stream.encode(picture)
            packets += stream.encode(None)
    except UNWRITABLE as error:
        return reason(error)
    return "" if len(packets) == _TRIED_FRAMES else f"it made {len(packets)} of {_TRIED_FRAMES} pictures"


def check_size(encoder: VideoEncoder, muxer: str, info: StreamInfo, output: str) -> None:
    """Raise SinkError if the encoder does not open for pictures of this size."""

    def takes(codec: Codec) -> bool:
        least, most = codec.sides
        return least <= min(info.width, info.height) and max(info.width, info.height) <= most

    known = codec_by(encoder.name)
    if known is None:
        return  # a hardware encoder, which was tried
    why = f"its sides are {known.sides[0]} to {known.sides[1]} pixels"
    if takes(known):
        try:
            with av.open(os.devnull, "w", format=muxer) as container:
                video_stream(container, encoder, info, []).codec_context.open(strict=False)
        except UNWRITABLE as error:
            why = reason(error)
        else:
            return
    others = [name for name, codec in CODECS.items() if codec is not known and takes(codec)]
    remedy = f", or name an .mkv with --codec {' or '.join(others)}" if others else ""
    raise SinkError(
        f"{output} cannot be encoded by {encoder.name} in {info.width}x{info.height}: {why}. Scale the film "
        f"first{remedy}."
    )


def refusal_of(name: str) -> str:
    """The reason that this entry of `HARDWARE` encodes no film of a usual size and rate; empty if it does."""
    info = StreamInfo("", 640, 360, Fraction(30), Fraction(1, 90_000), 0, Fraction(1), "bt709", 0)
    hardware = HARDWARE[name]
    return refusal(VideoEncoder(hardware.name, hardware.options(18, None), "nv12"), info)


def pixel_format(stream: VideoStream) -> str:
    """Pixel format of the stream's encoder."""
    return stream.codec_context.pix_fmt or "yuv420p"


def video_stream(
    container: OutputContainer, encoder: VideoEncoder, info: StreamInfo, notes: list[str]
) -> VideoStream:
    """A video stream of this encoder and size, tagged with the colours of `from_rgb`. Raises PyAV errors."""
    stream = container.add_stream(encoder.name, rate=info.rate or 30, options=dict(encoder.options))
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    if encoder.tag:
        context.codec_tag = encoder.tag
    context.width, context.height = info.width, info.height
    context.pix_fmt = for_size(encoder, info.width, info.height)
    if context.pix_fmt != encoder.pixel_format:
        notes.append(
            f"The odd size {info.width}x{info.height} is stored as 4:4:4, which some hardware players "
            f"cannot play: an even size or .webm plays everywhere."
        )
    context.time_base = info.time_base
    _note_lost_aspect(container.format.name, encoder.name, context.codec.canonical_name, info, notes)
    if container.format.name == "gif":
        return stream  # which has no place for all that follows
    matrix = MATRICES[info.matrix]
    rgb = bool(av.VideoFormat(context.pix_fmt or "").is_rgb)
    context.color_range = ColorRange.JPEG if rgb else ColorRange.MPEG
    context.colorspace = 0 if rgb else matrix.tag  # H.273's name of no matrix at all
    context.color_primaries = matrix.primaries
    context.color_trc = matrix.transfer
    context.sample_aspect_ratio = info.sample_aspect_ratio
    if encoder.name == "libsvtav1":
        with priority_kept():
            context.open()
    return stream


def _note_lost_aspect(muxer: str, encoder: str, codec: str, info: StreamInfo, notes: list[str]) -> None:
    """Note a pixel aspect that the output does not hold."""
    aspect = info.sample_aspect_ratio
    in_matroska = muxer in {"matroska", "webm"} and codec not in _TELLING_ASPECT
    if aspect != 1 and (in_matroska or muxer in {"gif", "webp"}):
        notes.append(
            f"The pixel aspect {aspect.numerator}:{aspect.denominator} is lost with {encoder} in {muxer}, so "
            f"the picture looks squeezed: .mp4, .mov, and .mkv with h264 or hevc keep it."
        )
