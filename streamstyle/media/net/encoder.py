"""H.264 and AAC for all network outputs: one encode, however many outputs there are."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from streamstyle.media.audio import LiveSoundTrack
from streamstyle.media.codecs import VideoEncoder
from streamstyle.media.colour import from_rgb
from streamstyle.media.encoders import choose_encoder, pixel_format, video_stream
from streamstyle.media.encoding import Encoding
from streamstyle.media.letterbox import letterboxed
from streamstyle.media.net.parcel import PICTURE, SOUND, Parcel
from streamstyle.media.scene.sound import SOUND_RATE
from streamstyle.types import Frame, Sound, StreamInfo

KEY_SECONDS = 2
"""Services expect this interval, and segments are cut there."""

_CLOCK = Fraction(1, 90_000)
# The sound encoder begins one of its frames before the first sample, which must not lie before zero.
_LEAD = Fraction(1024, SOUND_RATE)
_QUALITY, _WORST_QUALITY = 23, 51
_BITS_PER_PIXEL = 0.12
_MIN_BIT_RATE = 300_000
# Without look-ahead and B-frames every picture leaves as it came.
_LIVE_H264 = {"preset": "veryfast", "tune": "zerolatency", "bf": "0", "forced-idr": "1"}
_SOUND = "aac"


def bit_rate(width: int, height: int, rate: float) -> int:
    """Largest number of bits per second: 0.8 Mbit/s at 640x360, 3.3 at 1280x720, 7.5 at 1920x1080, with 30
    frames."""
    return max(round(_BITS_PER_PIXEL * width * height * rate), _MIN_BIT_RATE)


@dataclass(frozen=True)
class LiveVideo:
    """Video of a stream."""

    info: StreamInfo
    """Size and clock of its pictures."""
    encoder: VideoEncoder
    """Encoder of the video."""


def live_video(info: StreamInfo, how: Encoding, output: str, notes: list[str]) -> LiveVideo:
    """Video of a stream of frames of `info`: their size, made even, and the encoder of `choose_encoder`."""
    width, height = max(info.width - info.width % 2, 2), max(info.height - info.height % 2, 2)
    streamed = replace(info, width=width, height=height, time_base=_CLOCK)
    most = bit_rate(width, height, float(info.rate or 30))
    crf = min(_QUALITY if how.quality is None else how.quality, _WORST_QUALITY)
    options = _LIVE_H264 | {"crf": str(crf), "maxrate": str(most), "bufsize": str(most)}
    usual = VideoEncoder("libx264", options)
    return LiveVideo(
        streamed, choose_encoder(how.encoder, output, usual, streamed, notes, quality=crf, most=most)
    )


class LiveEncoder:
    """Encodes frames in order, of any size, letterboxed into that of `video`.

    first: the frame at which the stream's clock begins. sample: description of the packets for
    `parcel.pack_start`, available after the first frame.
    """

    def __init__(self, video: LiveVideo, sound: Sound, first: Frame) -> None:
        self._info = video.info
        # The container is never written to; it makes encoders with headers apart from the packets.
        self._container: OutputContainer = av.open(os.devnull, "w", format="nut")
        self._video = video_stream(self._container, video.encoder, self._info, [])
        self._shift = _LEAD - first.pts * first.time_base
        self._sound = LiveSoundTrack(self._container, sound, self._shift, _SOUND)
        self._container.start_encoding()
        self._reformatter = VideoReformatter()
        self._last_pts = -1
        self._next_key = Fraction(0)
        self.sample = b""

    def encode(self, frame: Frame, *, key: bool) -> list[Parcel]:
        """Encode the frame and the sound up to it; nothing if its time is not after the last one's.

        key: make it a point at which a receiver can begin. Raises PyAV's errors.
        """
        time = frame.pts * frame.time_base + self._shift
        pts = round(time / _CLOCK)
        if pts <= self._last_pts:
            return []
        self._last_pts = pts
        pixels = letterboxed(frame.pixels, self._info.width, self._info.height)
        picture = from_rgb(
            self._reformatter, np.ascontiguousarray(pixels), self._info.matrix, pixel_format(self._video)
        )
        picture.pts, picture.time_base = pts, _CLOCK
        if key or time >= self._next_key:
            picture.pict_type = PictureType.I
            self._next_key = time + KEY_SECONDS
        duration = round(frame.duration * frame.time_base / _CLOCK)
        parcels = [_parcel(PICTURE, packet, duration) for packet in self._video.encode(picture)]
        if parcels and not self.sample:
            self.sample = self._sample(parcels[0])
        return parcels + [_parcel(SOUND, packet) for packet in self._sound.advance(time)]

    def close(self) -> None:
        """Free the encoders. The rest in them, less than a frame of sound, is not sent."""
        self._container.close()

    def _sample(self, parcel: Parcel) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="nut") as container:
            streams = [container.add_stream_from_template(s) for s in (self._video, self._sound.stream)]
            packet: Packet[Any] = Packet(parcel.data)
            packet.pts = packet.dts = 0
            packet.time_base, packet.is_keyframe, packet.stream = _CLOCK, True, streams[PICTURE]
            container.mux(packet)
        return file.getvalue()


def _parcel(stream: int, packet: Packet[Any], duration: int = 0) -> Parcel:
    return Parcel(
        stream, packet.is_keyframe, packet.pts or 0, duration or packet.duration or 0, bytes(packet)
    )
