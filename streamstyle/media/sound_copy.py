"""Test by its first packets whether a film's sound can be copied bit for bit into a container."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet

from streamstyle.media.container import HOSTILE, packets_of, reason
from streamstyle.media.formats import OutputFormat
from streamstyle.media.layouts import channels_of_

_FIRST = 8
_SEARCHED = 2000

_FILTERS = {"aac": "aac_adtstoasc"}
"""Bitstream filters, by codec, for packets as broadcasts carry them; others they leave as they are."""


def packet_filter(stream: Any) -> BitStreamFilterContext | None:
    """The bitstream filter for a stream's packets on their way into a file, or None. Raises FFmpegError."""
    name = _FILTERS.get(stream.codec_context.codec.canonical_name)
    return BitStreamFilterContext(name, stream) if name else None


def first_packets(source: InputContainer, streams: Sequence[AudioStream]) -> dict[int, list[Packet[Any]]]:
    """The first packets of each of these sound streams of an open film, by its index; none for a stream that
    begins late."""
    found: dict[int, list[Packet[Any]]] = {stream.index: [] for stream in streams}
    try:
        for number, packet in enumerate(packets_of(source)):
            if packet.stream_index in found and packet.dts is not None:
                found[packet.stream_index].append(packet)
            if number >= _SEARCHED or all(len(packets) >= _FIRST for packets in found.values()):
                break
    except HOSTILE:
        pass  # the film's reader reports it
    return {index: packets[:_FIRST] for index, packets in found.items()}


def copy_refusal(format_: OutputFormat, stream: AudioStream, packets: Sequence[Packet[Any]]) -> str:
    """The reason that a file of this format cannot hold these first packets of the stream in a playable way;
    empty if a trial succeeded, or without packets."""
    if not packets:
        return ""
    try:
        heard = _decodable(stream, packets)
    except HOSTILE:
        return ""  # encoding them again would not help
    try:
        file = _copied(format_, stream, packets)
        with av.open(file, "r") as container:
            (copy,) = container.streams.audio
            again = _decodable(copy, [packet for packet in container.demux(copy) if packet.size])
    except HOSTILE as error:
        return reason(error)
    return "" if again >= heard / 2 else "it comes back damaged"


def _copied(format_: OutputFormat, stream: AudioStream, packets: Sequence[Packet[Any]]) -> io.BytesIO:
    file = io.BytesIO()
    with av.open(file, "w", format=format_.muxer, options=format_.options(Fraction(1, 90_000))) as container:
        target = container.add_stream_from_template(stream)
        through, first = packet_filter(stream), packets[0].dts or 0
        for packet in packets:
            copy: Packet[Any] = Packet(bytes(packet))
            copy.time_base, copy.duration = packet.time_base, packet.duration
            copy.dts = copy.pts = (packet.dts or 0) - first
            for made in [copy] if through is None else through.filter(copy):
                made.stream = target
                container.mux(made)
    file.seek(0)
    return file


def _decodable(stream: AudioStream, packets: Sequence[Packet[Any]]) -> int:
    """The number of samples that the packets decode to."""
    if not channels_of_(stream).decodable:
        return len(packets)
    return sum(frame.samples for packet in packets for frame in stream.decode(packet))
