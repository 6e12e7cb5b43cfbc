"""Packets of a film, placed on one clock, and whether they reach the end that its header declares."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

from streamstyle.media.container import HOSTILE, packets_of
from streamstyle.media.film_clock import FAR_SECONDS, FilmClock
from streamstyle.media.film_input import is_on_the_web
from streamstyle.media.packet_decoder import MediaTally

MISSING_SECONDS = Fraction(1, 2)
"""A film that ends this much before its declared end was cut off."""

# Allowed padding of a file without a duration.
_NEAR_THE_END = 0.8
_PADDING = 2**14  # bytes, of a short film


class FilmPackets:
    """Iterates over the packets of all streams: the other streams show how far the file really reaches.

    url: of the file, name: for people. Counts `corrupt_packets` and `truncated`.
    """

    def __init__(self, container: InputContainer, url: str, name: str, tally: MediaTally) -> None:
        self._container = container
        self._url, self._name = url, name
        self._tally = tally
        self._clock: FilmClock | None = None
        self._read_to = Fraction(0)
        self._read_bytes = 0

    def __iter__(self) -> Iterator[Packet[Any]]:
        container = self._container
        clock, size = FilmClock(container), container.size  # a server's later answers have other sizes
        self._clock = clock
        packets = packets_of(container, lambda: self._tally.counts.update(corrupt_packets=1))
        try:
            for packet in clock.placed(packets):
                self._read_bytes = max(self._read_bytes, (packet.pos or 0) + packet.size)
                shown = packet.dts if packet.pts is None else packet.pts
                if shown is not None and packet.time_base:
                    end = (shown + (packet.duration or 0)) * packet.time_base
                    self._read_to = max(self._read_to, end)
                yield packet
        except HOSTILE:
            self._note_truncated("the rest cannot be read")
        else:
            self._note_early_end(clock, size)

    @property
    def breaks(self) -> int:
        """Jumps of the film's clock so far; see `FilmClock`."""
        return 0 if self._clock is None else self._clock.breaks

    def notes(self) -> list[str]:
        """Sentences for people about the film's clock."""
        told: list[str] = []
        if self._clock is None:
            return told
        if abs(self._clock.start) > FAR_SECONDS:
            start = float(self._clock.start)
            told.append(f"The clock of {self._name} begins at {start:.3f} s: its time stamps now begin at 0.")
        if self.breaks:
            told.append(
                f"The clock of {self._name} jumps, {self.breaks} times: its time stamps were joined "
                "without a gap."
            )
        return told

    def _note_early_end(self, clock: FilmClock, size: int) -> None:
        """Compare the end of the packets with the end that the header declares."""
        container = self._container
        declared = _declared_end(container)
        if declared and self._read_to < declared - clock.start - MISSING_SECONDS:
            self._note_truncated(f"{float(declared):.1f} s were declared")
        elif "mpeg" in container.format.name and self._read_bytes < min(
            _NEAR_THE_END * size, size - _PADDING
        ):
            self._note_truncated(f"with {self._read_bytes} of {size} bytes")  # as from a web server
        elif "mpeg" in container.format.name and is_on_the_web(self._url) and size < self._read_bytes:
            # Of an answer to a later request, as for the end of a film: a page that says that it failed.
            self._note_truncated("and the server did not send the rest")

    def _note_truncated(self, detail: str) -> None:
        self._tally.counts["truncated"] = 1
        self._tally.notes.append(
            f"{self._name} is cut off: it ends after {float(self._read_to):.1f} s, {detail}."
        )


def _declared_end(container: InputContainer) -> Fraction:
    """End of the file according to its header, in seconds; 0 if FFmpeg would only guess."""
    if not container.duration or not any(name in container.format.name for name in ("mp4", "matroska")):
        return Fraction(0)
    start = (container.start_time or 0) - first_in_matroska(container)
    return Fraction(start + container.duration, av.time_base)


def first_in_matroska(container: InputContainer) -> int:
    """Start in microseconds if `duration` includes it: only Matroska counts from zero."""
    return (container.start_time or 0) if "matroska" in container.format.name else 0
