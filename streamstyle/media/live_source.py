"""One connection to a live input (camera, screen or stream), decoded as it arrives."""

from __future__ import annotations

import errno
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamstyle.errors import SourceError
from streamstyle.media.colour import ToRgb, matrix_of
from streamstyle.media.container import HOSTILE, picture_stream
from streamstyle.media.deinterlace import Deinterlacer, Deinterlacing
from streamstyle.media.film_input import has_an_end
from streamstyle.media.layouts import channels_of_, in_order
from streamstyle.media.live_clock import TIME_BASE, LiveClock, Pace, measured_rate
from streamstyle.media.live_error import live_error, no_picture
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.live_url import QUICK, LiveInput, LiveLimits
from streamstyle.media.piped import ChildPipe, Program, ffmpeg_program, relay_program
from streamstyle.media.scene.sound import SOUND_RATE
from streamstyle.media.upright import MAX_PIXELS, laid_down, orientation_of, told_inexact, upright_shape
from streamstyle.types import Frame, MediaReport, StreamInfo

_DAMAGED_READS = 32
_BUFFER = 2**18
_MEASURED_FRAMES = 10
_AHEAD_SECONDS = 1.0
_WAITING_SOUND = 256
_ROUNDED_SAMPLES = 0.05 * SOUND_RATE


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
        self._opening = opening
        self._clock = clock
        self._sound = sound
        self._limits = limits
        self._measure = measure
        self._deinterlacer = Deinterlacer(deinterlace)
        self._counts: Counter[str] = Counter()
        self._notes: list[str] = []
        self._to_rgb = ToRgb()
        self._container = container
        self._pipe: ChildPipe | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._heads: list[av.VideoFrame] = []
        self._info: StreamInfo | None = None
        self._audio: _AudioDecoder | None = None
        self._pace: Pace | None = None
        self._since = 0.0  # when the last packet came
        self._stopped = False

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        if self._info is None:
            raise SourceError(f"{self._opening.name} is not open: enter its `with` block first.")
        return self._info

    def __enter__(self) -> Self:
        self._clock.connect()
        self._since = time.monotonic()
        try:
            self._begin(self._connected())
        except HOSTILE as error:
            failure = self._failure(error)
            self._free()
            raise failure from error
        except BaseException:
            self._free()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._free()

    def __iter__(self) -> Iterator[Frame]:
        heads, self._heads = self._heads, []
        for head in heads:
            yield from self._shown(head)
        while not self._stopped and (picture := self._next()) is not None:
            yield from self._shown(picture)

    def interrupt(self) -> None:
        """See `Interruptible`: a read that blocks inside FFmpeg returns within its time-out."""
        self._stopped = True

    def _next(self) -> av.VideoFrame | None:
        """The next picture; None at the end, and once interrupted."""
        try:
            return next(self._pictures, None)
        except HOSTILE as error:
            if self._stopped:
                return None
            raise self._failure(error) from error

    def report(self) -> MediaReport:
        """Counters so far."""
        counters = {"frames": 0, "corrupt_packets": 0, "truncated": 0} | dict(self._counts)
        name = self._opening.name
        notes = (*self._notes, *self._deinterlacer.notes(name), *self._to_rgb.notes(name))
        return MediaReport(counters=counters, notes=notes)

    def _connected(self) -> InputContainer:
        opening = self._opening
        if self._container is not None:
            return self._container
        if opening.device and sys.platform != "win32":
            return self._piped(relay_program(opening), "nut")
        try:
            return self._open(opening.file, opening.format, opening.attempts[0])
        except av.ProtocolNotFoundError:
            if not opening.child:
                raise
        return self._piped(ffmpeg_program(opening.file, self._limits.read), "mpegts")

    def _piped(self, program: Program, demuxer: str) -> InputContainer:
        self._pipe = ChildPipe(program, self._limits.open, lambda: self._stopped)
        return self._open(self._pipe, demuxer, QUICK)

    def _open(self, file: Any, demuxer: str | None, options: Mapping[str, str]) -> InputContainer:
        container: InputContainer = av.open(
            file,
            "r",
            format=demuxer,
            container_options=dict(options),
            buffer_size=_BUFFER,
            metadata_errors="replace",
            timeout=(self._limits.open, self._limits.read),
        )
        self._container = container
        return container

    def _begin(self, container: InputContainer) -> None:
        """Read up to the first pictures, and describe them."""
        stream = picture_stream(container)
        if stream is None or stream.codec_context is None:
            raise no_picture(self._opening)
        stream.thread_type = "SLICE"  # frame threads would hold pictures back
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        ends = bool(container.duration and container.duration > 0) or has_an_end(self._opening, container)
        if self._opening.film and (ends or "hls" in container.format.name):
            self._pace = Pace()
        sound = next((s for s in container.streams.audio if s.codec_context is not None), None)
        self._audio = None if sound is None else _AudioDecoder(sound, self._clock, self._sound)
        self._pictures = self._deinterlacer(self._decoded(container, stream, ends=ends))
        deadline = time.monotonic() + self._limits.open
        head = next(self._pictures, None)
        if head is None:
            raise no_picture(self._opening)
        self._heads = [head]
        self._read_ahead(stream, min(deadline, time.monotonic() + _AHEAD_SECONDS))
        self._info = self._described(container, stream, head, ends=ends)
        if self._pace is None:
            self._heads = self._heads[-1:]  # the others are late by now
        if self._pipe is not None:
            self._pipe.timeout = self._limits.read

    def _read_ahead(self, stream: VideoStream, until: float) -> None:
        """Read enough pictures to measure their rate, and past those that were sent before the start: from
        there on each has to be waited for. An input that ends here was a film whose server declared no
        length."""
        wanted = _MEASURED_FRAMES if self._measure else 1
        started, waited = time.monotonic(), False
        while (len(self._heads) < wanted or not (waited or self._pace)) and started < until:
            try:
                picture = next(self._pictures, None)
            except (EOFError, OSError) as error:
                # FFmpeg says EIO where it tried to go on after the end.
                ended = isinstance(error, EOFError) or error.errno == errno.EIO
                if not ended or not self._opening.film or self._stopped:
                    raise
                self._pace = self._pace or Pace()
                self._heads += self._deinterlacer(iter(self._decode(stream, None)))
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
        width, height, aspect = upright_shape(stream, head)
        told_inexact(self._opening.name, orientation_of(head), self._notes)
        declared = stream.average_rate or stream.guessed_rate
        declared = declared * self._deinterlacer.pictures if declared and 0 < declared <= 1000 else None
        stamps = [picture.time for picture in self._heads if picture.time is not None]
        rate = measured_rate(stamps, declared)
        if self._opening.device and rate and declared and rate != declared:
            self._notes.append(
                f"{self._opening.name} says {float(declared):g} frames per second, and gives "
                f"{float(rate):.1f}."
            )
        seconds = Fraction(container.duration or 0, av.time_base) if ends else Fraction(0)
        return StreamInfo(
            url=self._opening.name,
            width=width,
            height=height,
            rate=rate,
            time_base=TIME_BASE,
            frames=round(seconds * rate) if rate else 0,
            sample_aspect_ratio=aspect,
            matrix=matrix_of(head),
            audio_streams=len(container.streams.audio),
            live=True,
            sound=None if self._audio is None else self._sound,
        )

    def _packets(self, container: InputContainer, *, ends: bool) -> Iterator[Packet[Any]]:
        packets: Iterator[Packet[Any]] = container.demux()
        damaged = 0
        while not self._stopped:
            asked = time.monotonic()
            try:
                packet = next(packets, None)
            except av.InvalidDataError:
                damaged += 1
                self._counts["corrupt_packets"] += 1
                if damaged > _DAMAGED_READS or time.monotonic() - self._since >= self._limits.read:
                    raise
                packets = container.demux()
                continue
            if packet is None:
                if not ends:
                    raise EOFError
                return
            damaged, self._since = 0, time.monotonic()
            if self._since - asked >= (self._limits.read if self._pipe is None else self._pipe.timeout):
                raise TimeoutError  # half a picture that FFmpeg had kept, and gives out when it gives up
            if packet.size:
                yield packet

    def _decoded(
        self, container: InputContainer, stream: VideoStream, *, ends: bool
    ) -> Iterator[av.VideoFrame]:
        """Pictures in presentation order; sound is decoded on the way. A whole time-out without a picture
        raises, even if other packets arrive."""
        seen = time.monotonic()
        limit = self._limits.open
        for packet in self._packets(container, ends=ends):
            if packet.stream_index == stream.index:
                for picture in self._decode(stream, packet):
                    yield picture
                    seen, limit = time.monotonic(), self._limits.read
            elif self._audio is not None and packet.stream_index == self._audio.index:
                self._audio.decode(packet)
            if time.monotonic() - seen > limit:
                raise TimeoutError
        yield from self._decode(stream, None)

    def _decode(self, stream: VideoStream, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            pictures = stream.decode(packet)
        except EOFError:
            return []
        except HOSTILE:
            self._counts["corrupt_packets"] += 1
            return []
        for picture in pictures:
            picture.time_base = picture.time_base or stream.time_base  # the last ones have none
        concealed = sum(picture.is_corrupt for picture in pictures)
        self._counts["corrupt_packets"] += concealed
        self._counts["concealed_frames"] += concealed
        return pictures

    def _shown(self, picture: av.VideoFrame) -> Iterator[Frame]:
        """The converted picture when it is due; nothing if it cannot be converted, or was delayed and newer
        ones are here."""
        stamp = picture.time
        if self._pace is not None and stamp is not None:
            self._pace.hold(stamp, lambda: self._stopped)
        now = time.monotonic()
        ticks = self._clock.place(stamp, now)
        if self._audio is not None:
            self._audio.anchored()
        if self._clock.stale and self._pace is None:
            self._counts["stale"] += 1
            return
        try:
            pixels = self._to_rgb(picture, matrix_of(picture), picture.width, picture.height)
        except HOSTILE:
            self._counts["corrupt_packets"] += 1
            return
        length = (picture.duration or 0) * (picture.time_base or Fraction(0)) / TIME_BASE
        self._counts["frames"] += 1
        yield Frame(
            pixels=laid_down(pixels, orientation_of(picture)),
            index=self._clock.frames - 1,
            pts=ticks,
            time_base=TIME_BASE,
            duration=max(round(length), 0),
            captured_at=now,
        )

    def _failure(self, error: BaseException) -> SourceError:
        limit = self._limits.open if self._info is None else self._limits.read
        if isinstance(error, av.InvalidDataError) and time.monotonic() - self._since >= limit:
            error = TimeoutError()  # what RTSP's demuxer makes of an interrupted read
        if self._pipe is None:
            return live_error(self._opening, error)
        error = TimeoutError() if self._pipe.timed_out else error
        return live_error(self._opening, error, self._pipe.complaint())

    def _free(self) -> None:
        self._pictures, self._heads, self._audio = iter(()), [], None
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


class _AudioDecoder:
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
