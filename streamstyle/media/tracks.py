"""What goes into an output file beside its pictures, packet by packet, and what of it is copied as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

from av.container import InputContainer, OutputContainer
from av.packet import Packet

from streamstyle.media.carried import describe_
from streamstyle.media.container import HOSTILE, open_input, picture_stream
from streamstyle.media.formats import FORMATS, OutputFormat

TAIL_SECONDS = 1  # video packets this far beyond the last written frame tell that the run was cut short


class Track(Protocol):
    """One stream of the output, or several that are read together. `shift` seconds are added to every time of
    the source."""

    @property
    def counts(self) -> dict[str, int]:
        """Packets so far, by how they were made."""

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        """Packets, ready to be muxed, up to this output time in seconds."""

    def finish(self, end: Fraction) -> Iterator[Packet[Any]]:
        """The remaining packets: all where the video went to its end, else up to `end` seconds."""

    def close(self) -> None:
        """Free the input."""


class Feed:
    """The packets of some streams of a file in order, and how far its video was seen to reach."""

    def __init__(self, path: str, indices: Sequence[int], shift: Fraction) -> None:
        self.container = open_input(path)
        self.streams = [self.container.streams[index] for index in indices]
        video = picture_stream(self.container)
        wanted = self.streams if video is None else [*self.streams, video]
        self._packets: Iterator[Packet[Any]] = self.container.demux(*wanted)
        self._indices = set(indices)
        self._shift = shift
        self._waiting: Packet[Any] | None = None
        self.video_reached = Fraction(-1)

    def until(self, time: Fraction) -> Iterator[Packet[Any]]:
        while (packet := self._next()) is not None:
            if _start(packet) >= time:
                self._waiting = packet
                return
            yield packet

    def rest(self, end: Fraction) -> list[Packet[Any]]:
        """Everything to the end of the file if the video was used to its end, else up to `end`."""
        packets: list[Packet[Any]] = []
        while self.video_reached <= end + TAIL_SECONDS and (packet := self._next()) is not None:
            packets.append(packet)
        if self.video_reached <= end + TAIL_SECONDS:
            return packets
        return [packet for packet in packets if _start(packet) < end]

    def _next(self) -> Packet[Any] | None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            return waiting
        while True:
            try:
                packet: Packet[Any] | None = next(self._packets, None)
            except HOSTILE:
                return None  # the source, reading the same file, reports it
            if packet is None:
                return None
            if packet.dts is None or not packet.size:
                continue
            if packet.stream_index in self._indices:
                self._shifted(packet)
                return packet
            pts = packet.dts if packet.pts is None else packet.pts
            self.video_reached = max(self.video_reached, pts * packet.time_base + self._shift)

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
        self._feed = Feed(path, indices, shift)
        self._streams = {}
        for index, stream in zip(indices, self._feed.streams, strict=True):
            self._streams[index] = output.add_stream_from_template(stream)
            describe_(self._streams[index], stream)
        self._counted = counted
        self._copied = 0
        self._last_dts: dict[int, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        return {self._counted: self._copied}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        yield from map(self._redirected, self._feed.until(until))

    def finish(self, end: Fraction) -> Iterator[Packet[Any]]:
        yield from map(self._redirected, self._feed.rest(end))

    def close(self) -> None:
        self._feed.container.close()

    def _redirected(self, packet: Packet[Any]) -> Packet[Any]:
        index, dts = packet.stream_index, packet.dts
        assert dts is not None  # Feed lets no other through
        last = self._last_dts.get(index)
        if last is not None and dts <= last:
            # Muxers refuse time that stands still or runs back, which damaged files have.
            packet.dts = packet.pts = dts = last + 1
        self._last_dts[index] = dts
        self._copied += 1
        packet.stream = self._streams[index]
        return packet


def subtitle_tracks(
    output: OutputContainer,
    format_: OutputFormat,
    source: InputContainer,
    path: str,
    shift: Fraction,
    notes: list[str],
) -> list[Track]:
    """One track for all subtitles of the film at `path`, which is open as `source`, that the output can hold;
    the others are noted."""
    codecs = {stream.index: codec_name(stream) for stream in source.streams.subtitles}
    held = [index for index, codec in codecs.items() if codec in format_.subtitles]
    for codec in sorted({str(codecs[index]) for index in codecs if index not in held}):
        others = [suffix for suffix, other in FORMATS.items() if codec in other.subtitles]
        remedy = f": {' and '.join(others)} files do" if others else ""
        notes.append(
            f"The subtitles in {codec} were left out, which {format_.muxer} files do not hold{remedy}."
        )
    return [CopyTrack(output, path, held, shift, "subtitle_packets_copied")] if held else []


def copy_chapters(output: OutputContainer, source: InputContainer, shift: Fraction) -> None:
    """Chapters with their titles; before the first packet is muxed."""
    chapters = source.chapters()
    for chapter in chapters:
        ticks = round(shift / chapter["time_base"]) if chapter["time_base"] else 0
        chapter["start"], chapter["end"] = chapter["start"] + ticks, chapter["end"] + ticks
    output.set_chapters(chapters)


def codec_name(stream: Any) -> str | None:
    """FFmpeg's name of a stream's codec, None where it knows none."""
    return None if stream.codec_context is None else str(stream.codec_context.codec.canonical_name)


def _start(packet: Packet[Any]) -> Fraction:
    assert packet.dts is not None  # _Feed lets no other through
    return packet.dts * packet.time_base
