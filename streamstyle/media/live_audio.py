"""Sound of a live input, placed on the clock that its pictures set."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet

from streamstyle.media.container import HOSTILE
from streamstyle.media.layouts import channels_of_, in_order
from streamstyle.media.live_clock import LiveClock
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.scene.sound import SOUND_RATE

_WAITING_SOUND = 256
_ROUNDED_SAMPLES = 0.05 * SOUND_RATE


class LiveAudioDecoder:
    """Decodes one sound stream into a SoundBuffer, once the clock knows its place."""

    def __init__(self, stream: AudioStream, clock: LiveClock, sound: SoundBuffer) -> None:
        self.index = stream.index
        self._stream = stream
        self._clock = clock
        self._sound = sound
        self._channels = channels_of_(stream)
        self._resampler = AudioResampler(format="flt", layout="stereo", rate=SOUND_RATE)
        self._end = 0
        self._waiting: list[tuple[float, np.ndarray[Any, np.dtype[np.float32]]]] = []

    def decode(self, packet: Packet[Any]) -> None:
        """Decode a packet. Damaged sound is a gap and no reason to lose the picture."""
        try:
            for decoded in self._stream.decode(packet) if self._channels.decodable else ():
                for frame in self._resampler.resample(in_order(decoded, self._channels)):
                    samples = np.array(frame.to_ndarray(), np.float32).reshape(-1, 2)
                    at = self._end if frame.time is None else round(frame.time * SOUND_RATE)
                    # Containers round times, FLV to milliseconds: taken as they are, each packet would click.
                    at = self._end if abs(at - self._end) < _ROUNDED_SAMPLES else at
                    self._end = at + len(samples)
                    self._waiting.append((at / SOUND_RATE, samples))
        except HOSTILE:
            return
        del self._waiting[:-_WAITING_SOUND]
        self.anchored()

    def anchored(self) -> None:
        """Pass on decoded sound, once pictures have shown its place on the clock."""
        while self._waiting:
            stamp, samples = self._waiting[0]
            at = self._clock.seconds(stamp)
            if at is None and self._clock.waiting:
                return
            if at is not None:
                self._sound.add(samples, at)
            del self._waiting[0]
