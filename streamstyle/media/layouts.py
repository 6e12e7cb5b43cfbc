"""Layouts of sound: which an encoder supports, and channels in a custom order.

PyAV (18.1 at least) frees the memory of a layout with a custom order, as in some QuickTime files, twice,
which ends the process. Here such a layout is read once, never freed, and replaced before anything is decoded;
the samples are brought into FFmpeg's order by hand.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import av
import numpy as np
from av.audio.stream import AudioStream

_ORDER = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR"),
    *("TBL", "TBC", "TBR", "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR"),
)
"""FFmpeg's, as channel_layout.c has it."""

_HELD = {
    "aac": {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"},
    "libopus": {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"},
}
"""Layouts that every player knows, by the number of channels."""


@dataclass(frozen=True)
class Channels:
    """The channels of a stream."""

    layout: str
    """FFmpeg's name of the layout."""
    count: int
    """Number of channels."""
    order: tuple[int, ...] = ()
    """Place of each of FFmpeg's channels in a sample of the stream; empty where they are in FFmpeg's
    order."""
    decodable: bool = True
    """False where the decoder would bring the layout back that ends the process."""


def channels_of_(stream: AudioStream) -> Channels:
    """The channels of a stream, whose decoder is made safe. Call it before anything else reads its layout or
    decodes it; a second call has no effect."""
    context = stream.codec_context
    layout = context.layout
    names = [channel.name for channel in layout.channels]
    if len(names) <= 2 and names in (["FL", "FR"], ["FC"], ["FL"]):
        return Channels(layout.name, len(names))
    known = [name for name in names if name in _ORDER]
    named = len(known) == len(names) == len(set(names))
    if (named and sorted(names, key=_ORDER.index) == names) or not known:
        return Channels(layout.name, len(names))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))  # never freed, see above
    if not context.name.startswith("pcm_"):
        return Channels(layout.name, len(names), decodable=False)
    if not named:
        context.layout = f"{len(names)} channels"
        return Channels(context.layout.name, len(names))
    order = sorted(range(len(names)), key=lambda index: _ORDER.index(names[index]))
    context.layout = "+".join(names[index] for index in order)
    return Channels(context.layout.name, len(names), tuple(order))


def in_order(frame: av.AudioFrame, channels: Channels) -> av.AudioFrame:
    """The frame with its channels in FFmpeg's order; itself where they are. Frames of PCM are packed."""
    if not channels.order:
        return frame
    samples = frame.to_ndarray().reshape(-1, channels.count)[:, list(channels.order)]
    ordered = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.reshape(1, -1)),  # type: ignore[arg-type] # as it was
        format=frame.format.name,
        layout=frame.layout.name,
    )
    ordered.sample_rate, ordered.pts, ordered.time_base = frame.sample_rate, frame.pts, frame.time_base
    return ordered


def encoded_layout(encoder: str, channels: Channels) -> str:
    """The layout that this encoder keeps of the channels: all of them up to 7.1, which is the widest."""
    held = _HELD.get(encoder)
    if held is None:
        return channels.layout
    count = min((count for count in held if count >= channels.count), default=max(held))
    return held[count]
