"""Packets of one video stream to frames, damage counted; the tally of a source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

from streamstyle.media.container import HOSTILE


@dataclass
class MediaTally:
    """Counters and notes of a source so far; its parts write to it."""

    counts: Counter[str] = field(default_factory=Counter)
    """Counters by the names of `MediaReport.counters`."""
    notes: list[str] = field(default_factory=list)
    """Sentences for people."""


class PacketDecoder:
    """Decodes the packets of one stream.

    Counts `corrupt_packets` (did not decode, or only with parts concealed) and `concealed_frames` (of these,
    given out all the same).
    """

    def __init__(self, stream: VideoStream, counts: Counter[str]) -> None:
        self.stream = stream
        self._counts = counts

    def decode(self, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        """Frames that are complete with this packet, in presentation order; None for the end: the rest."""
        try:
            frames = self.stream.decode(packet)
        except EOFError:
            return []
        except HOSTILE:
            self._counts["corrupt_packets"] += 1
            return []
        concealed = sum(frame.is_corrupt for frame in frames)
        if concealed:
            self._counts["corrupt_packets"] += concealed
            self._counts["concealed_frames"] += concealed
        return frames
