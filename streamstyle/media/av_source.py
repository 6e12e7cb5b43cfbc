"""Films as sources: decoded with PyAV, upright, in RGB, with the file's own time stamps from 0 on."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamstyle.errors import SourceError
from streamstyle.media.alpha import BLACK
from streamstyle.media.colour import ToRgb, matrix_of
from streamstyle.media.container import HOSTILE, moving_streams, packets_of, picture_stream
from streamstyle.media.decoders import (
    NEEDS,
    DeviceRefusalError,
    by_device,
    check_film,
    device_refusal,
    nvdec,
)
from streamstyle.media.deinterlace import Deinterlacer, Deinterlacing
from streamstyle.media.film_clock import FAR_SECONDS, FilmClock
from streamstyle.media.film_input import is_on_the_web, open_film
from streamstyle.media.pipe_in import begin_pipe, is_pipe, redirected
from streamstyle.media.upright import MAX_PIXELS, laid_down, orientation_of, told_inexact, upright_shape
from streamstyle.types import Frame, MediaReport, StreamInfo
from streamstyle.urls import masked

_NEAR_THE_END = 0.8  # of a file that tells no duration, some packets of which may be padding
MISSING_SECONDS = Fraction(1, 2)  # a file that ends this much before its declared end was cut off


class FileSource:
    """One film as a Source, a file or on a web server. Everything is read once, from the start.

    decoder: cpu; cuda, NVIDIA's NVDEC, which raises SourceError where it does not decode the film; or auto,
    which then takes the CPU and notes why. What NVDEC cannot decode later on comes from the CPU, counted.
    deinterlace: see `Deinterlacer`; with `field` the time base of frames is half the film's. background:
    RRGGBB, what transparent pictures are laid over.

    Counters: `frames`; `corrupt_packets` (did not decode, or only with parts concealed);
    `concealed_frames` (of these, shown all the same); `truncated` (0 or 1); `guessed_pts`,
    `repaired_pts` (time stamps that were missing, or not after the previous frame's);
    `software_frames` (by the CPU in spite of NVDEC); `clock_breaks` (see `FilmClock`).
    """

    def __init__(
        self,
        path: str,
        *,
        decoder: str = "cpu",
        deinterlace: Deinterlacing = "auto",
        background: str = BLACK,
    ) -> None:
        self._url, self._path = redirected(path), masked(path)
        self._deinterlace = deinterlace
        self._deinterlacer = Deinterlacer(deinterlace)
        self._decoder = decoder
        self._device = False
        self._why_cpu = ""
        self._counts: Counter[str] = Counter()
        self._notes: list[str] = []
        self._to_rgb = ToRgb(background)
        self._container: InputContainer | None = None
        self._info: StreamInfo | None = None
        self._frames: Iterator[Frame] = iter(())
        self._first: Frame | None = None
        self._read_to = Fraction(0)
        self._read_bytes = 0
        self._clock: FilmClock | None = None

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        if self._info is None:
            raise SourceError(f"{self._path} is not open: enter its `with` block first.")
        return self._info

    def __enter__(self) -> Self:
        if is_pipe(self._url):
            begin_pipe(self._url)
        if self._decoder == "cpu" or not self._enter_by_device():
            self._enter(open_film(self._url))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._frames = iter(())
        self._first = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Frame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames

    def report(self) -> MediaReport:
        """Counters so far."""
        counters = {"frames": 0, "corrupt_packets": 0, "truncated": 0} | dict(self._counts)
        notes = [*self._notes, *self._deinterlacer.notes(self._path), *self._to_rgb.notes(self._path)]
        if self._device:
            missed = self._counts["software_frames"]
            but = f", but {missed} frames by the CPU, as NVDEC does not take them" if missed else ""
            notes.append(f"{self._path} is decoded by NVDEC{but}.")
        if self._why_cpu:
            notes.append(f"{self._path} is decoded by the CPU: NVDEC does not, {self._why_cpu}.")
        if counters["corrupt_packets"]:
            concealed = self._counts["concealed_frames"]
            notes.append(
                f"{counters['corrupt_packets']} packets of {self._path} are corrupt: {concealed} of their "
                f"frames are shown with parts concealed, the rest was skipped."
            )
        if self._clock is not None:
            counters |= {"clock_breaks": self._clock.breaks} if self._clock.breaks else {}
            notes += self._told_of_time(self._clock)
        return MediaReport(counters=counters, notes=tuple(notes))

    def _told_of_time(self, clock: FilmClock) -> list[str]:
        told = []
        if abs(clock.start) > FAR_SECONDS:
            told.append(
                f"The clock of {self._path} begins at {float(clock.start):.3f} s: times count from there."
            )
        if clock.breaks:
            told.append(
                f"The clock of {self._path} jumps, {clock.breaks} times: time goes on without a gap there."
            )
        return told

    def _enter_by_device(self) -> bool:
        """False if the CPU has to decode, and may."""
        why = device_refusal()
        if why:
            why += f"; it needs {NEEDS}"
        else:
            container = open_film(self._url, nvdec())
            self._device = True
            try:
                self._enter(container)
            except (DeviceRefusalError, SourceError) as error:
                why = str(error).rstrip(".")
            else:
                return True
        if self._decoder == "cuda":
            raise SourceError(
                f"{self._path} cannot be decoded by NVDEC: {why}. Without --decoder cuda the CPU does it."
            )
        self._device, self._why_cpu = False, why
        self._counts.clear()
        self._notes.clear()
        self._read_to = Fraction(0)
        return False

    def _enter(self, container: InputContainer) -> None:
        try:
            self._open(container)
        except BaseException:
            container.close()
            raise
        self._container = container

    def _open(self, container: InputContainer) -> None:
        stream = picture_stream(container)
        if stream is None:
            raise SourceError(f"{self._path} holds no video stream: name a file with moving pictures.")
        if stream.codec_context is None:
            raise SourceError(
                f"{self._path} uses a video codec that this FFmpeg cannot decode: convert it to H.264 first."
            )
        try:
            self._note_left_out(container, stream)
            if not self._device:  # NVDEC has 32 surfaces at most, and every frame thread takes one
                stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            self._deinterlacer = Deinterlacer(self._deinterlace)
            decoded = self._deinterlacer(self._decoded(container, stream))
            head = next(decoded, None)
            if head is None:
                raise SourceError(
                    f"No frame of {self._path} can be decoded: the file is damaged or its codec "
                    f"({stream.codec_context.name}) is not supported."
                )
            if self._device:
                check_film(stream.codec_context, head)
            self._info = _describe(self._url, container, stream, head, self._deinterlacer)
            self._frames = self._upright(head, decoded)
        except HOSTILE as error:
            raise SourceError(f"{self._path} cannot be decoded: its headers are damaged.") from error
        self._first = next(self._frames, None)
        if self._first is None:
            raise SourceError(f"No frame of {self._path} can be converted to RGB: the file is damaged.")

    def _packets(self, container: InputContainer) -> Iterator[Packet[Any]]:
        """Packets of all streams: the other streams show how far the file really reaches."""
        clock, size = FilmClock(container), container.size  # a server's later answers have sizes of their own
        self._clock = clock
        packets = packets_of(container, lambda: self._counts.update(corrupt_packets=1))
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
            self._note_early_end(container, clock, size)

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """Decoded frames in presentation order; what does not decode is counted."""
        for packet in self._packets(container):
            if packet.stream_index == stream.index:
                yield from self._decode(stream, packet)
        yield from self._decode(stream, None)

    def _decode(self, stream: VideoStream, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            frames = stream.decode(packet)
        except EOFError:
            return []
        except HOSTILE:
            self._counts["corrupt_packets"] += 1
            return []
        if self._device and not by_device(stream.codec_context):
            self._counts["software_frames"] += len(frames)
        concealed = sum(frame.is_corrupt for frame in frames)
        if concealed:
            self._counts["corrupt_packets"] += concealed
            self._counts["concealed_frames"] += concealed
        return frames

    def _upright(self, head: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[Frame]:
        """Frames as promised to the world, the given head first."""
        info = self.info
        orientation = orientation_of(head)
        told_inexact(self._path, orientation, self._notes)
        last: int | None = None
        step = _step(info)
        frame: av.VideoFrame | None = head
        while frame is not None:
            try:
                pixels = self._to_rgb(frame, info.matrix, head.width, head.height)
            except HOSTILE:
                self._counts["corrupt_packets"] += 1
            else:
                last = self._place(frame.pts, last, step)
                step = frame.duration or step
                self._counts["frames"] += 1
                yield Frame(
                    pixels=laid_down(pixels, orientation),
                    index=self._counts["frames"] - 1,
                    pts=last,
                    time_base=info.time_base,
                    duration=max(frame.duration or 0, 0),
                    captured_at=time.monotonic(),
                )
            frame = next(rest, None)

    def _place(self, pts: int | None, last: int | None, step: int) -> int:
        """The frame's own time stamp, or the best one that keeps frames in order."""
        if pts is None:
            self._counts["guessed_pts"] += 1
            return 0 if last is None else last + step
        if last is not None and pts <= last:
            self._counts["repaired_pts"] += 1
            return last + 1
        return pts

    def _note_left_out(self, container: InputContainer, taken: VideoStream) -> None:
        moving = moving_streams(container)
        if len(moving) > 1:
            place = [stream.index for stream in moving].index(taken.index) + 1
            self._notes.append(
                f"{self._path} holds {len(moving)} video streams: number {place} was taken, as players do, "
                f"and the others were left out."
            )
        tags = {key.lower(): value for key, value in taken.metadata.items()}
        if tags.get("alpha_mode") == "1":
            self._notes.append(
                f"{self._path} is transparent in WebM's way, which is not decoded: it was taken as opaque."
            )

    def _note_early_end(self, container: InputContainer, clock: FilmClock, size: int) -> None:
        """Compare the end of the packets with the end that the header declares."""
        declared = _declared_end(container)
        if declared and self._read_to < declared - clock.start - MISSING_SECONDS:
            self._note_truncated(f"{float(declared):.1f} s were declared")
        elif "mpeg" in container.format.name and self._read_bytes < _NEAR_THE_END * size:
            self._note_truncated(f"with {self._read_bytes} of {size} bytes")  # as from a web server
        elif "mpeg" in container.format.name and is_on_the_web(self._url) and size < self._read_bytes:
            # Of an answer to a later request, as for the end of a film: a page that says that it failed.
            self._note_truncated("and the server did not give the rest")

    def _note_truncated(self, detail: str) -> None:
        self._counts["truncated"] = 1
        self._notes.append(f"{self._path} is cut off: it ends after {float(self._read_to):.1f} s, {detail}.")


def _describe(
    path: str,
    container: InputContainer,
    stream: VideoStream,
    head: av.VideoFrame,
    deinterlacer: Deinterlacer,
) -> StreamInfo:
    width, height, aspect = upright_shape(stream, head)
    time_base = stream.time_base
    if not time_base or time_base <= 0:
        raise ValueError("a video stream without a time base")
    # Of films that were copied without their rate FFmpeg tells one that their ticks could not count.
    rates = [stream.average_rate, stream.guessed_rate]
    if rates[0] == 1 / time_base:
        rates.reverse()  # nor is it likely that every tick is a frame, as it tells of DV
    rate = next((rate for rate in rates if rate and 0 < rate <= 1 / time_base), None)
    return StreamInfo(
        url=path,
        width=width,
        height=height,
        rate=rate and rate * deinterlacer.pictures,
        time_base=time_base / deinterlacer.ticks,
        frames=_frame_count(container, stream, rate) * deinterlacer.pictures,
        sample_aspect_ratio=aspect,
        matrix=matrix_of(head),
        audio_streams=len(container.streams.audio),
    )


def _frame_count(container: InputContainer, stream: VideoStream, rate: Fraction | None) -> int:
    if stream.frames > 0:
        return stream.frames
    told = re.fullmatch(r"(\d+):(\d\d):(\d\d\.?\d*)", stream.metadata.get("DURATION", ""))
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif told and "matroska" in container.format.name:
        # The container's duration may be the sound's; muxers leave each stream's own end in this tag.
        end = 3600 * int(told[1]) + 60 * int(told[2]) + Fraction(told[3])
        seconds = end - (stream.start_time or 0) * (stream.time_base or 0)
    else:
        seconds = Fraction((container.duration or 0) - _first_in_matroska(container), av.time_base)
    return max(round(seconds * rate), 0) if rate else 0


def _declared_end(container: InputContainer) -> Fraction:
    """End of the file according to its header, in seconds; 0 if FFmpeg would only guess."""
    if not container.duration or not any(name in container.format.name for name in ("mp4", "matroska")):
        return Fraction(0)
    start = (container.start_time or 0) - _first_in_matroska(container)
    return Fraction(start + container.duration, av.time_base)


def _first_in_matroska(container: InputContainer) -> int:
    """Start in microseconds if `duration` includes it: only Matroska counts from zero."""
    return (container.start_time or 0) if "matroska" in container.format.name else 0


def _step(info: StreamInfo) -> int:
    """Duration of one frame in units of the time base."""
    return max(round(1 / (info.rate * info.time_base)), 1) if info.rate else 1
