"""NVIDIA's video decoder (NVDEC) through PyAV: whether it opens, and which frames it really decoded.

Its frames reach host memory as NV12 or P010 with the film's tags. FFmpeg decodes the rest on the CPU; without
that, such frames would be missing.
"""

from __future__ import annotations

import io

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamstyle.media.container import HOSTILE, reason

NEEDS = "an NVIDIA GPU and its driver; a container needs NVIDIA_DRIVER_CAPABILITIES=all"

_DEVICE = "cuda"


class DeviceRefusalError(Exception):
    """The device does not decode this film; the message says why."""


def nvdec() -> HWAccel:
    """Decoder of a graphics chip for one `av.open`, which raises FFmpegError where there is no device."""
    return HWAccel(_DEVICE, allow_software_fallback=True)


def by_device(context: VideoCodecContext) -> bool:
    """True if the device decodes the current frames. `is_hwaccel` alone only says that it was set up; after a
    fall-back to the CPU the codec has another `pix_fmt`."""
    return context.is_hwaccel and context.pix_fmt == _DEVICE


def check_film(context: VideoCodecContext, head: av.VideoFrame) -> None:
    """Raise DeviceRefusalError unless the device decoded the first frame of a film."""
    codec = context.codec.canonical_name
    if not context.is_hwaccel:
        raise DeviceRefusalError(f"{codec} is decoded by {context.name} alone")
    if not by_device(context):
        kind = f"{head.format.name}, {head.width}x{head.height}"
        raise DeviceRefusalError(f"{codec} of this kind ({kind}) is not what this GPU decodes")
    if (head.width, head.height) != (context.width, context.height):
        # FFmpeg cuts frames of a device on the right and below only.
        raise DeviceRefusalError("the film cuts off its left or upper edge, which the GPU would show")


def device_refusal() -> str:
    """The reason that NVDEC does not decode H.264 here; empty if it just did."""
    film = io.BytesIO()
    with av.open(film, "w", format="nut") as container:
        stream = container.add_stream("libx264", rate=30)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((144, 256, 3), np.uint8))))
        container.mux(stream.encode(None))
    film.seek(0)
    try:
        with av.open(film, "r", hwaccel=nvdec()) as container:
            (stream,) = container.streams.video
            (head,) = container.decode(stream)
            check_film(stream.codec_context, head)
    except HOSTILE as error:
        return reason(error)
    except DeviceRefusalError as error:
        return str(error)
    return ""
