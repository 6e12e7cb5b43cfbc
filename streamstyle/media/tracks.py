"""Streams of an output file besides its pictures, packet by packet, and the copied ones among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from typing import Any, Protocol

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from streamstyle.media.container import HOSTILE, packets_of
from streamstyle.media.film_clock import FilmClock
from streamstyle.media.film_input import open_film
from streamstyle.media.film_packets import first_in_matroska
from streamstyle.media.formats import FORMATS, OutputFormat
from streamstyle.media.metadata import describe_
from streamstyle.media.programs import picture_stream, taken_of
from streamstyle.media.sound_copy import packet_filter

_MAX_INTERLEAVE_SECONDS = 10
"""Seconds by which sound may lie behind the pictures in a file."""


_MIN_TICK = Fraction(1, 8000)
"""Seconds that are at least a tick in every output."""


_NO_TEXT = b"\0\0"
"""The packet of an empty line in MP4."""


class Track(Protocol):
    """One stream of the output, or several that are read together. `shift` seconds are added to every time of
    the source."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of packets so far, by how they were made."""

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        """Packets, ready to be muxed, up to this output time in seconds."""

    def finish(self, last: Fraction, end: Fraction) -> Iterator[Packet[Any]]:
        """The remaining packets: all if the picture at `last` seconds is the film's last one, else up to
        `end`, its end."""

    def close(self) -> None:
        """Free the input."""


class StreamPackets:
    """Packets of some streams of a file in order, on its `FilmClock`, and how far its video has been read."""

    def __init__(self, path: str, indices: Sequence[int], shift: Fraction) -> None:
        self.container = open_film(path)
        self.streams = [self.container.streams[index] for index in indices]
        video = picture_stream(self.container)
        self._video = None if video is None else video.index
        self._packets = FilmClock(self.container).placed(packets_of(self.container))
        self._indices = set(indices)
        self._shift = shift
        self._waiting: Packet[Any] | None = None
        self._video_reached: Fraction | None = None
        self._reached: dict[int, Fraction] = {}

    def until(self, time: Fraction) -> Iterator[Packet[Any]]:
        while (packet := self._next()) is not None:
            if _start(packet) >= time:
                self._waiting = packet
                return
            yield packet

    def rest(self, last: Fraction, end: Fraction) -> tuple[list[Packet[Any]], bool]:
        """Everything to the end of the file, and False; only up to `end`, and True, if the video continues
        after the picture that begins at `last`."""
        after = (last + end) / 2
        packets: list[Packet[Any]] = []
        while not self._is_past(after, end) and (packet := self._next()) is not None:
            packets.append(packet)
        if self._video_reached is None or self._video_reached <= after:
            return packets, False
        return [packet for packet in packets if _start(packet) < end], True

    def _is_past(self, after: Fraction, end: Fraction) -> bool:
        """True if the video continues, and everything before `end` has been read."""
        video = self._video_reached
        if video is None or video <= after:
            return False
        heard = all(self._reached.get(index, end - 1) >= end for index in self._indices)
        return heard or video > end + _MAX_INTERLEAVE_SECONDS

    def _next(self) -> Packet[Any] | None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            return waiting
        try:
            for packet in self._packets:
                shown = packet.dts if packet.pts is None else packet.pts
                if shown is None:
                    continue
                if packet.stream_index in self._indices:
                    packet.dts = shown if packet.dts is None else packet.dts
                    self._shifted(packet)
                    self._reached[packet.stream_index] = _start(packet)
                    return packet
                if packet.stream_index == self._video and not packet.is_discard:
                    time = shown * packet.time_base + self._shift
                    self._video_reached = max(self._video_reached or time, time)
        except HOSTILE:
            pass  # the source, reading the same file, reports it
        return None

    def _shifted(self, packet: Packet[Any]) -> None:
        assert packet.dts is not None
        ticks = round(self._shift / packet.time_base)
        pts = packet.dts if packet.pts is None else packet.pts
        packet.dts, packet.pts = packet.dts + ticks, pts + ticks


class CopyTrack:
    """Copies packets bit for bit."""

    def __init__(
        self, output: OutputContainer, path: str, indices: Sequence[int], shift: Fraction, counted: str
    ) -> None:
        """indices: of streams whose codecs the output holds. counted: the counter's name."""
        self._feed = StreamPackets(path, indices, shift)
        self._streams = {}
        self._filters = {}
        for index, stream in zip(indices, self._feed.streams, strict=True):
            self._streams[index] = output.add_stream_from_template(stream)
            describe_(self._streams[index], stream)
            self._filters[index] = packet_filter(stream)
        self._counted = counted
        self._copied = 0
        self._last_dts: dict[int, int] = {}
        self._lines: dict[int, Packet[Any]] = {}

    @property
    def counts(self) -> dict[str, int]:
        return {self._counted: self._copied}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        for packet in self._feed.until(until):
            yield from self._through(packet)

    def finish(self, last: Fraction, end: Fraction) -> Iterator[Packet[Any]]:
        packets, _ = self._feed.rest(last, end)
        for packet in packets:
            yield from self._through(packet)
        for index, line in self._lines.items():
            if line.size > len(_NO_TEXT):
                yield self._silence(index, line)

    def close(self) -> None:
        self._feed.container.close()

    def _through(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        index = packet.stream_index
        through = self._filters[index]
        if through is None:
            yield self._redirected(packet, index)
            return
        try:
            made = through.filter(packet)
        except HOSTILE:
            return  # a damaged packet is a gap in the sound, no reason to lose the film
        for one in made:
            yield self._redirected(one, index)

    def _redirected(self, packet: Packet[Any], index: int) -> Packet[Any]:
        dts = packet.dts
        assert dts is not None  # StreamPackets lets no other through
        last = self._last_dts.get(index)
        apart = ceil(_MIN_TICK / packet.time_base)
        if last is not None and dts < last + apart:
            # Muxers refuse time stamps that do not grow, as in damaged files and overlapping sounds.
            packet.dts = packet.pts = dts = last + apart
        self._last_dts[index] = dts
        if codec_name(self._streams[index]) == "mov_text":
            self._lines[index] = packet
        self._copied += 1
        packet.stream = self._streams[index]
        return packet

    def _silence(self, index: int, line: Packet[Any]) -> Packet[Any]:
        """The shortest empty line after the last one. FFmpeg adds one as long as what is before it, with
        which the film would outlast its pictures."""
        silence: Packet[Any] = Packet(_NO_TEXT)
        silence.stream, silence.time_base = self._streams[index], line.time_base
        silence.dts = silence.pts = (line.dts or 0) + (line.duration or 0)
        silence.duration = 1
        return silence


def subtitle_tracks(
    output: OutputContainer,
    format_: OutputFormat,
    source: InputContainer,
    path: str,
    shift: Fraction,
    notes: list[str],
) -> list[Track]:
    """One track for all subtitles of the film at `path`, which is open as `source`, that the output can hold;
    others are noted."""
    codecs = {stream.index: codec_name(stream) for stream in taken_of(source, source.streams.subtitles)}
    held = [index for index, codec in codecs.items() if codec in format_.subtitles]
    for codec in sorted({str(codecs[index]) for index in codecs if index not in held}):
        others = [suffix for suffix, other in FORMATS.items() if codec in other.subtitles]
        remedy = f": {' and '.join(others)} files can" if others else ""
        notes.append(
            f"The subtitles in {codec} were left out, because {format_.muxer} files cannot hold them{remedy}."
        )
    return [CopyTrack(output, path, held, shift, "subtitle_packets_copied")] if held else []


def copy_chapters(
    output: OutputContainer, source: InputContainer, shift: Fraction, until: Fraction | None = None
) -> None:
    """Copy chapters with their titles, up to the end of the film, or of its first `until` seconds: in MP4 and
    QuickTime a chapter that ends later makes the film longer. Call before the first packet is muxed."""
    begin = Fraction(source.start_time or 0, av.time_base)
    end = (
        Fraction(source.duration or 0, av.time_base)
        + begin
        - Fraction(first_in_matroska(source), av.time_base)
    )
    chapters = []
    for chapter in source.chapters():
        base = chapter["time_base"]
        if not base or (until is not None and chapter["start"] * base >= begin + until):
            continue
        last = min(end, end if until is None else begin + until)
        if chapter["start"] * base < last < chapter["end"] * base:
            chapter["end"] = int(last / base)
        ticks = round(shift / base)
        chapter["start"], chapter["end"] = chapter["start"] + ticks, chapter["end"] + ticks
        if output.format.name in {"mp4", "mov"}:
            chapter["metadata"].setdefault("title", "")  # without one it would be left out, and its place too
        chapters.append(chapter)
    output.set_chapters(chapters)


def codec_name(stream: Any) -> str | None:
    """FFmpeg's name of a stream's codec; None if unknown."""
    return None if stream.codec_context is None else str(stream.codec_context.codec.canonical_name)


def _start(packet: Packet[Any]) -> Fraction:
    assert packet.dts is not None  # _Feed lets no other through
    return packet.dts * packet.time_base
