"""Films that were painted in parts: joined without encoding anything again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from streamstyle.errors import SinkError
from streamstyle.media.av_sink import film_tracks
from streamstyle.media.codecs import video_encoder
from streamstyle.media.container import UNWRITABLE, open_input, sink_error
from streamstyle.media.encoders import choose_encoder, video_stream
from streamstyle.media.encoding import Encoding
from streamstyle.media.formats import format_of
from streamstyle.media.tracks import Track
from streamstyle.types import MediaReport, StreamInfo


def join_parts(parts: Sequence[Path], path: Path, info: StreamInfo, how: Encoding, end: int) -> MediaReport:
    """Write one film of the pictures of `parts`, packet by packet, with the sound, subtitles, chapters and
    tags of the film `info.url`, like `FileSink`.

    parts: files of `PartSink`, encoded by `how`, with time stamps that continue from part to part. path: is
    written in place. info: of the film. end: time stamp of its end. Raises SinkError for parts of several
    encoders, and if the film cannot be written; SourceError for unreadable parts.
    """
    notes: list[str] = []
    format_, tracks, last, count = format_of(path.suffix), list[Track](), Fraction(0), 0
    usual, quality = video_encoder(how, format_, str(path))
    encoder = choose_encoder(how.encoder, str(path), usual, info, notes, quality=quality)
    try:
        with contextlib.ExitStack() as stack:
            options = format_.options(info.time_base)
            output = stack.enter_context(av.open(f"file:{path}", "w", format=format_.muxer, options=options))
            # As if it encoded: all that players read before the first packet is then as in a film of one run.
            stream = video_stream(output, encoder, info, notes)
            tracks += film_tracks(output, stream, format_, info, Fraction(0), notes)
            for track in tracks:
                stack.callback(track.close)
            ending = end * info.time_base
            for packet in _lasting(_packets(parts), ending):
                last, count = _pts(packet) * packet.time_base, count + 1
                until = last + (packet.duration or 0) * packet.time_base
                packet.stream = stream
                output.mux(packet)
                for track in tracks:
                    output.mux(list(track.advance(until)))
            for track in tracks:
                output.mux(list(track.finish(last, ending)))
    except UNWRITABLE as error:
        raise sink_error(str(path), error) from error
    counters = {"frames": count, "video_packets": count}
    for track in tracks:
        counters |= track.counts
    return MediaReport(counters, tuple(notes))


def _packets(parts: Sequence[Path]) -> Iterator[Packet[Any]]:
    """The packets of all parts, in order."""
    kind: tuple[str, bytes] | None = None
    for part in parts:
        with open_input(str(part)) as container:
            source = container.streams.video[0]
            context = source.codec_context
            own = context.codec.canonical_name, bytes(context.extradata or b"")
            if kind is not None and own != kind:
                raise SinkError(
                    f"{part} was encoded differently from the parts before it, perhaps by another machine: "
                    f"remove {part.parent} and start again."
                )
            kind = own
            yield from (packet for packet in container.demux(source) if packet.size)


def _lasting(packets: Iterable[Packet[Any]], end: Fraction) -> Iterator[Packet[Any]]:
    """The packets, each with a duration up to the next picture, or to the end of the film in seconds. None
    of our encoders reorders pictures."""
    waiting: Packet[Any] | None = None
    for packet in packets:
        packet.dts = packet.pts
        if waiting is not None:
            waiting.duration = _pts(packet) - _pts(waiting)
            yield waiting
        waiting = packet
    if waiting is not None:
        waiting.duration = max(round(end / waiting.time_base) - _pts(waiting), 0)
        yield waiting


def _pts(packet: Packet[Any]) -> int:
    assert packet.pts is not None, "every packet of a part has a time stamp"
    return packet.pts
