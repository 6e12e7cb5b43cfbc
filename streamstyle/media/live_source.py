"""One connection to a live input (camera, screen or stream), decoded as it arrives."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Self

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamstyle.errors import SourceError
from streamstyle.media.colour import ToRgb, matrix_of
from streamstyle.media.container import HOSTILE
from streamstyle.media.deinterlace import Deinterlacer, Deinterlacing
from streamstyle.media.film_input import has_an_end
from streamstyle.media.live_audio import LiveAudioDecoder
from streamstyle.media.live_clock import TIME_BASE, LiveClock, Pace, measured_rate
from streamstyle.media.live_connection import LiveConnection
from streamstyle.media.live_error import no_picture
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.live_url import LiveInput, LiveLimits
from streamstyle.media.orientation import MAX_PIXELS, note_inexact, orientation_of, oriented, oriented_shape
from streamstyle.media.packet_decoder import MediaTally, PacketDecoder
from streamstyle.media.programs import picture_stream, taken_of
from streamstyle.types import Frame, MediaReport, StreamInfo

_MEASURED_FRAMES = 10
_AHEAD_SECONDS = 1.0


class LiveSource:
    """A live input as a Source, for one connection. An end or a stall raises SourceError.

    Blocks for at most `limits.read` seconds. Frames of another size than the first simply have another shape.
    Their time stamps are those of `clock`, which outlives the connection; sound goes to `sound`, if any, on
    the same clock. A film that arrives over the network faster than it plays is held back to its pace, and
    ends as files do.

    measure: read some frames ahead, and report the rate of their time stamps. container: the opened input,
    None to open it. deinterlace: see `Deinterlacer`, which holds interlaced pictures back until the next has
    arrived. Counters: as `FileSource`'s, and `stale`, delayed pictures that were skipped for newer ones.
    """

    def __init__(
        self,
        opening: LiveInput,
        clock: LiveClock,
        sound: SoundBuffer,
        limits: LiveLimits,
        *,
        measure: bool = True,
        container: InputContainer | None = None,
        deinterlace: Deinterlacing = "auto",
    ) -> None:
        self._tally = MediaTally(Counter(concealed_frames=0))
        self._connection = LiveConnection(opening, limits, self._tally.counts, container)
        self._clock = clock
        self._sound = sound
        self._measure = measure
        self._deinterlacer = Deinterlacer(deinterlace)
        self._to_rgb = ToRgb()
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._heads: list[av.VideoFrame] = []
        self._info: StreamInfo | None = None
        self._audio: LiveAudioDecoder | None = None
        self._pace: Pace | None = None

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        if self._info is None:
            raise SourceError(f"{self._connection.opening.name} is not open: enter its `with` block first.")
        return self._info

    def __enter__(self) -> Self:
        self._clock.connect()
        try:
            self._begin(self._connection.connect())
        except HOSTILE as error:
            failure = self._connection.failure(error)
            self._free()
            raise failure from error
        except BaseException:
            self._free()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.stopped = True
        self._free()

    def __iter__(self) -> Iterator[Frame]:
        heads, self._heads = self._heads, []
        for head in heads:
            yield from self._shown(head)
        while not self._connection.stopped and (picture := self._next()) is not None:
            yield from self._shown(picture)

    def interrupt(self) -> None:
        """See `Interruptible`: a read that blocks inside FFmpeg returns within its time-out."""
        self._connection.stopped = True

    def _next(self) -> av.VideoFrame | None:
        """The next picture; None at the end, and once interrupted."""
        try:
            return next(self._pictures, None)
        except HOSTILE as error:
            if self._connection.stopped:
                return None
            raise self._connection.failure(error) from error

    def report(self) -> MediaReport:
        """Counters so far."""
        counters = {"frames": 0, "corrupt_packets": 0, "truncated": 0} | dict(self._tally.counts)
        name = self._connection.opening.name
        notes = (*self._tally.notes, *self._deinterlacer.notes(name), *self._to_rgb.notes(name))
        return MediaReport(counters=counters, notes=notes)

    def _begin(self, container: InputContainer) -> None:
        """Read up to the first pictures, and describe them."""
        opening, stream = self._connection.opening, picture_stream(container)
        if stream is None or stream.codec_context is None:
            raise no_picture(opening)
        stream.thread_type = "SLICE"  # frame threads would hold pictures back
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        ends = bool(container.duration and container.duration > 0) or has_an_end(opening, container)
        if opening.film and (ends or "hls" in container.format.name):
            self._pace = Pace()
        sounds = taken_of(container, container.streams.audio)
        sound = next((s for s in sounds if s.codec_context is not None), None)
        self._audio = None if sound is None else LiveAudioDecoder(sound, self._clock, self._sound)
        decoder = PacketDecoder(stream, self._tally.counts)
        self._pictures = self._deinterlacer(self._decoded(container, decoder, ends=ends))
        deadline = time.monotonic() + self._connection.limits.open
        head = next(self._pictures, None)
        if head is None:
            raise no_picture(opening)
        self._heads = [head]
        self._read_ahead(decoder, min(deadline, time.monotonic() + _AHEAD_SECONDS))
        self._info = self._described(container, stream, head, ends=ends)
        if self._pace is None:
            self._heads = self._heads[-1:]  # the others are late by now
        self._connection.settle()

    def _read_ahead(self, decoder: PacketDecoder, until: float) -> None:
        """Read enough pictures to measure their rate, and past those that were sent before the start: from
        there on each has to be waited for. An input that ends here was a film whose server declared no
        length."""
        wanted = _MEASURED_FRAMES if self._measure else 1
        started, waited = time.monotonic(), False
        while (len(self._heads) < wanted or not (waited or self._pace)) and started < until:
            try:
                picture = next(self._pictures, None)
            except (EOFError, OSError) as error:
                # FFmpeg raises EIO if it tried to go on after the end.
                ended = isinstance(error, EOFError) or error.errno == errno.EIO
                if not ended or not self._connection.opening.film or self._connection.stopped:
                    raise
                self._pace = self._pace or Pace()
                self._heads += self._deinterlacer(iter(_decoded_pictures(decoder, None)))
                return
            if picture is None:
                return
            before, now = self._heads[-1].time, time.monotonic()
            if before is not None and picture.time is not None:
                waited = now - started > 0.5 * (picture.time - before)
            self._heads.append(picture)
            started = now

    def _described(
        self, container: InputContainer, stream: VideoStream, head: av.VideoFrame, *, ends: bool
    ) -> StreamInfo:
        width, height, aspect = oriented_shape(stream, head)
        note_inexact(self._connection.opening.name, orientation_of(head), self._tally.notes)
        declared = stream.average_rate or stream.guessed_rate
        declared = declared * self._deinterlacer.pictures if declared and 0 < declared <= 1000 else None
        stamps = [picture.time for picture in self._heads if picture.time is not None]
        rate = measured_rate(stamps, declared)
        if self._connection.opening.device and rate and declared and rate != declared:
            self._tally.notes.append(
                f"{self._connection.opening.name} announces {float(declared):g} frames per second, but "
                "delivers "
                f"{float(rate):.1f}."
            )
        seconds = Fraction(container.duration or 0, av.time_base) if ends else Fraction(0)
        return StreamInfo(
            url=self._connection.opening.name,
            width=width,
            height=height,
            rate=rate,
            time_base=TIME_BASE,
            frames=round(seconds * rate) if rate else 0,
            sample_aspect_ratio=aspect,
            matrix=matrix_of(head),
            audio_streams=len(taken_of(container, container.streams.audio)),
            live=True,
            sound=None if self._audio is None else self._sound,
        )

    def _decoded(
        self, container: InputContainer, decoder: PacketDecoder, *, ends: bool
    ) -> Iterator[av.VideoFrame]:
        """Pictures in presentation order; sound is decoded on the way. A whole time-out without a picture
        raises, even if other packets arrive."""
        seen = time.monotonic()
        limits = self._connection.limits
        limit = limits.open
        for packet in self._connection.packets(container, ends=ends):
            if packet.stream_index == decoder.stream.index:
                for picture in _decoded_pictures(decoder, packet):
                    yield picture
                    seen, limit = time.monotonic(), limits.read
            elif self._audio is not None and packet.stream_index == self._audio.index:
                self._audio.decode(packet)
            if time.monotonic() - seen > limit:
                raise TimeoutError
        yield from _decoded_pictures(decoder, None)

    def _shown(self, picture: av.VideoFrame) -> Iterator[Frame]:
        """The converted picture when it is due; nothing if it cannot be converted, or was delayed and newer
        ones are here."""
        stamp = picture.time
        if self._pace is not None and stamp is not None:
            self._pace.hold(stamp, lambda: self._connection.stopped)
        now = time.monotonic()
        ticks = self._clock.place(stamp, now)
        if self._audio is not None:
            self._audio.anchored()
        if self._clock.stale and self._pace is None:
            self._tally.counts["stale"] += 1
            return
        try:
            pixels = self._to_rgb(picture, matrix_of(picture), picture.width, picture.height)
        except HOSTILE:
            self._tally.counts["corrupt_packets"] += 1
            return
        length = (picture.duration or 0) * (picture.time_base or Fraction(0)) / TIME_BASE
        self._tally.counts["frames"] += 1
        yield Frame(
            pixels=oriented(pixels, orientation_of(picture)),
            index=self._clock.frames - 1,
            pts=ticks,
            time_base=TIME_BASE,
            duration=max(round(length), 0),
            captured_at=now,
        )

    def _free(self) -> None:
        self._pictures, self._heads, self._audio = iter(()), [], None
        self._connection.free()


def _decoded_pictures(decoder: PacketDecoder, packet: Packet[Any] | None) -> list[av.VideoFrame]:
    pictures = decoder.decode(packet)
    for picture in pictures:
        picture.time_base = picture.time_base or decoder.stream.time_base  # the last ones have none
    return pictures
