"""Times of the pictures in AVI, which keeps one time a packet, in the order of decoding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import av
from av.packet import Packet


class AviTimes:
    """Gives each picture the time of the packet at its position.

    With B-frames a picture leaves the decoder some packets after its own. FFmpeg's guess of its time then
    runs back and forth. The decoding time that leaves with a picture is right up to that delay.
    """

    def __init__(self) -> None:
        self._due: deque[int] = deque()
        self._delay: int | None = None

    def expect(self, packet: Packet[Any]) -> None:
        """A packet that goes to the decoder."""
        if packet.size and packet.dts is not None:
            self._due.append(packet.dts)

    def set_times_(self, frames: Iterable[av.VideoFrame]) -> None:
        """Set the presentation times of decoded pictures, which come in presentation order."""
        for frame in frames:
            if frame.dts is not None and self._delay is None:
                self._delay = frame.dts - self._due[0] if self._due else 0
            if frame.dts is not None and self._delay is not None:
                frame.pts = frame.dts - self._delay
                while self._due and self._due[0] <= frame.pts:
                    self._due.popleft()
            else:  # at the end the decoder has pictures left, and no packet to take the time from
                frame.pts = self._due.popleft() if self._due else None
