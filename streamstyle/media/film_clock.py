"""One clock for all streams of a film, from zero on, even if the film's own clock jumps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

from streamstyle.media.programs import program_of

FAR_SECONDS = 10
"""A later start than this means that the film was cut out of a longer time line, in any container."""

_GAP_SECONDS = 10
"""Steps forward by more than this break the clock in containers that keep a sender's clock."""

_MAX_GAP_SECONDS = 30 * 3600
"""The same for containers with their own time line, where gaps are meant."""

_MAX_BACKSTEP = Fraction(1, 10)
"""Seconds that decoding times may run back: damage and rounding cause that much."""

_LOOKAHEAD_PACKETS = 256
"""Packets that are read to see whether a break lasts."""

_TS_DISCONT = 0x0200  # FFmpeg's AVFMT_TS_DISCONT: the clock in the file is a sender's


@dataclass
class _StreamClock:
    """Clock of one stream. ticks: added to its times, in its time base, in this `segment`. last, due: place
    and end of its last packet, in decoding order. end: end of its pictures so far."""

    time_base: Fraction
    segment: int
    ticks: int
    back: int
    gap: int
    moving: bool
    judged: bool
    last: int | None = None
    due: int = 0
    end: int = 0
    step: int = 0

    def late(self, packet: Packet[Any], ticks: int) -> int:
        """Delay of a packet, with `ticks` added to its times, after the packet before it."""
        assert packet.dts is not None
        if self.moving and packet.is_keyframe and packet.pts is not None:
            return packet.pts + ticks - self.end  # Matroska has no decoding times, and FFmpeg guesses
        return packet.dts + ticks - self.due

    def goes_on(self, packet: Packet[Any], ticks: int) -> bool:
        """True if the packet follows better with `ticks` than with its own times."""
        return abs(self.late(packet, ticks)) <= abs(self.late(packet, self.ticks))


class FilmClock:
    """Gives the packets of an open film times that begin at 0 and continue one frame after each break.

    Every reader that passes all its packets through `placed`, in order, gets the same times. As in FFmpeg's
    program, the clock breaks at a step back, or at a step forward by more than 10 s (30 h in containers with
    a time line, such as mp4 and Matroska, where gaps are meant). All streams are shifted together. A time
    stamp that the next packet does not confirm is damage. A start of up to 10 s is kept if the container has
    a time line, because it may be meant.

    start: seconds of the film's own clock that become 0. breaks: number of breaks so far.
    """

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._sent = bool(container.format.flags & _TS_DISCONT)
        start = _start_of(container)
        self.start = start if self._sent or start > FAR_SECONDS else Fraction(0)
        self.breaks = 0
        # AVI keeps one time a packet; FFmpeg guesses the other, a frame too late. See `AviTimes`.
        self._decoding_alone = container.format.name == "avi"
        self._offset = -self.start
        self._segment = 0
        self._lines: dict[int, _StreamClock] = {}
        self._ahead: deque[Packet[Any]] = deque()

    def placed(self, packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
        """The same packets with times on this clock."""
        while True:
            try:
                packet = self._ahead.popleft() if self._ahead else next(packets)
            except StopIteration:
                return
            if self._decoding_alone:
                packet.pts = packet.dts
            self._place_(packet, packets)
            yield packet

    def _place_(self, packet: Packet[Any], packets: Iterator[Packet[Any]]) -> None:
        line = self._lines.get(packet.stream_index)
        if line is None:
            line = self._lines[packet.stream_index] = self._line(packet)
        back = line.back if line.segment == self._segment else line.gap
        ticks = self._ticks_for(line, packet)
        if packet.dts is not None and line.judged:
            placed = packet.dts + ticks
            if line.last is not None and not line.last - back <= placed <= line.due + line.gap:
                ticks = self._after_a_jump(line, packet, packets)
                placed = packet.dts + ticks
            length = packet.duration or line.step
            if line.last is not None and not packet.duration:
                line.step = length = max(min(placed - line.last, line.gap), 0)
            line.last, line.due = placed, placed + length
            shown = placed if packet.pts is None else packet.pts + ticks
            line.end = max(line.end, shown + length)
        if ticks:
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks

    def _line(self, packet: Packet[Any]) -> _StreamClock:
        base = packet.time_base or Fraction(1, av.time_base)
        kind = self._container.streams[packet.stream_index].type
        return _StreamClock(
            base,
            self._segment,
            round(self._offset / base),
            back=int(_MAX_BACKSTEP / base),
            gap=int(_GAP_SECONDS / base),
            moving=kind == "video",
            judged=kind in {"audio", "video"},
        )

    def _ticks_for(self, line: _StreamClock, packet: Packet[Any]) -> int:
        """Ticks for a packet after the clock broke in another stream: packets from before the break may still
        follow."""
        if line.segment != self._segment:
            ticks = round(self._offset / line.time_base)
            if packet.dts is None or line.last is None or line.goes_on(packet, ticks):
                line.segment, line.ticks = self._segment, ticks
        return line.ticks

    def _after_a_jump(self, line: _StreamClock, packet: Packet[Any], packets: Iterator[Packet[Any]]) -> int:
        """The ticks to add to the packet's times; moves the clock where it broke."""
        assert packet.dts is not None
        assert line.last is not None
        jump = packet.dts + line.ticks - line.due
        follower = next(
            (
                p.dts
                for p in self._coming(packets)
                if p.stream_index == packet.stream_index and p.dts is not None
            ),
            None,
        )
        if follower is not None and line.last - line.back <= follower + line.ticks <= line.due + line.gap:
            return line.ticks - jump
        if jump > 0 and (
            jump * line.time_base <= (0 if self._sent else _MAX_GAP_SECONDS)
            or (follower is not None and follower - packet.dts > line.gap)  # slow, but steadily so
            or self._reached_by_another(line, line.due + jump)
        ):
            return line.ticks
        self.breaks += 1
        offset = line.ticks * line.time_base - line.late(packet, line.ticks) * line.time_base
        self._offset = offset + self._overlap(line, offset, packets)
        self._segment += 1
        line.segment, line.ticks = self._segment, round(self._offset / line.time_base)
        return line.ticks

    def _overlap(self, line: _StreamClock, offset: Fraction, packets: Iterator[Packet[Any]]) -> Fraction:
        """Seconds by which other streams, with this offset, would continue before they have ended: sound and
        pictures of joined parts differ in length."""
        waited = {
            index: other
            for index, other in self._lines.items()
            if other is not line and other.last is not None
        }
        longest = Fraction(0)
        for packet in self._coming(packets):
            if not waited:
                break
            other = waited.get(packet.stream_index)
            if other is None or packet.dts is None:
                continue
            ticks = round(offset / other.time_base)
            if other.goes_on(packet, ticks):
                overlap = -other.late(packet, ticks) * other.time_base
                longest = max(longest, overlap if other.moving or overlap > _MAX_BACKSTEP else Fraction(0))
                del waited[packet.stream_index]
        return longest

    def _reached_by_another(self, line: _StreamClock, placed: int) -> bool:
        """True if another stream arrives there without a break."""
        return any(
            abs(other.due * other.time_base - placed * line.time_base) < _GAP_SECONDS
            for other in self._lines.values()
            if other is not line and other.last is not None
        )

    def _coming(self, packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
        """The following packets, which remain to be placed."""
        yield from list(self._ahead)
        for packet in islice(packets, max(_LOOKAHEAD_PACKETS - len(self._ahead), 0)):
            self._ahead.append(packet)
            yield packet


def _start_of(container: InputContainer) -> Fraction:
    """Seconds of the film's own clock at which it begins. Each program of a broadcast has a clock of its
    own."""
    program = program_of(container)
    if program is None:
        return Fraction(container.start_time or 0, av.time_base)
    streams = [container.streams[index] for index in program.indices]
    starts = [s.start_time * s.time_base for s in streams if s.start_time is not None and s.time_base]
    return min(starts, default=Fraction(0))
