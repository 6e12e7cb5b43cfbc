"""An open film: its packets decoded, upright, in RGB, with the file's own time stamps from 0 on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streamstyle.errors import SourceError
from streamstyle.media.avi_times import AviTimes
from streamstyle.media.colour import ToRgb, matrix_of
from streamstyle.media.container import HOSTILE
from streamstyle.media.decoders import by_device, check_film
from streamstyle.media.deinterlace import Deinterlacer, Deinterlacing
from streamstyle.media.film_packets import FilmPackets, first_in_matroska
from streamstyle.media.orientation import MAX_PIXELS, note_inexact, orientation_of, oriented, oriented_shape
from streamstyle.media.packet_decoder import MediaTally, PacketDecoder
from streamstyle.media.programs import moving_streams, picture_stream, program_of, taken_of
from streamstyle.media.side_data import note_left_out
from streamstyle.types import Frame, StreamInfo
from streamstyle.urls import masked

_SIDE_DATA_FRAMES = 30
"""Frames that are searched for side data that the output will lack."""


class FilmDecoder:
    """Iterates over the frames of an open container, once, from the start. See `FileSource` for its counters.

    url: of the film. device: the container was opened for NVDEC. info: describes the frames. Raises
    SourceError, and DeviceRefusalError where NVDEC does not take the film. The container stays the caller's.
    """

    def __init__(
        self,
        container: InputContainer,
        url: str,
        to_rgb: ToRgb,
        deinterlace: Deinterlacing,
        *,
        device: bool = False,
    ) -> None:
        self._name = masked(url)
        self._to_rgb = to_rgb
        self._deinterlacer = Deinterlacer(deinterlace)
        self._device = device
        self._avi = AviTimes() if container.format.name == "avi" and not device else None
        self.tally = MediaTally()
        self.packets = FilmPackets(container, url, self._name, self.tally)
        stream = picture_stream(container)
        if stream is None:
            raise SourceError(f"{self._name} contains no video: name a file with moving pictures.")
        if stream.codec_context is None:
            raise SourceError(
                f"{self._name} uses a video codec that this FFmpeg cannot decode: convert it to H.264 first."
            )
        try:
            self.info, self._frames = self._begin(container, stream, url)
        except HOSTILE as error:
            raise SourceError(f"{self._name} cannot be decoded: its headers are damaged.") from error
        self._first = next(self._frames, None)
        if self._first is None:
            raise SourceError(f"No frame of {self._name} can be converted to RGB: the file is damaged.")

    def __iter__(self) -> Iterator[Frame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames

    def drop(self) -> None:
        """Give out no frame any more; the container may be closed then."""
        self._first, self._frames = None, iter(())

    def notes(self) -> list[str]:
        """Sentences for people so far."""
        return [*self.tally.notes, *self._deinterlacer.notes(self._name)]

    def _begin(
        self, container: InputContainer, stream: VideoStream, url: str
    ) -> tuple[StreamInfo, Iterator[Frame]]:
        self._note_left_out(container, stream)
        if not self._device:  # NVDEC has 32 surfaces at most, and every frame thread takes one
            stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        decoded = self._deinterlacer(self._decoded(PacketDecoder(stream, self.tally.counts)))
        head = next(decoded, None)
        if head is None:
            if stream.codec_context.name == "webp":
                raise SourceError(
                    f"No frame of {self._name} can be decoded: it is damaged, or an animated WebP, which "
                    f"cannot be read: convert it to GIF, APNG or AVIF first."
                )
            raise SourceError(
                f"No frame of {self._name} can be decoded: the file is damaged or its codec "
                f"({stream.codec_context.name}) is not supported."
            )
        if self._device:
            check_film(stream.codec_context, head)
        info = _describe(url, container, stream, head, self._deinterlacer)
        return info, self._upright(info, head, decoded)

    def _decoded(self, decoder: PacketDecoder) -> Iterator[av.VideoFrame]:
        """Decoded frames in presentation order; undecodable packets are counted."""
        for packet in self.packets:
            if packet.stream_index == decoder.stream.index:
                if self._avi is not None:
                    self._avi.expect(packet)
                yield from self._counted(decoder, decoder.decode(packet))
        yield from self._counted(decoder, decoder.decode(None))

    def _counted(self, decoder: PacketDecoder, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        if self._avi is not None:
            self._avi.set_times_(frames)
        if self._device and frames and not by_device(decoder.stream.codec_context):
            self.tally.counts["software_frames"] += len(frames)
        return frames

    def _upright(
        self, info: StreamInfo, head: av.VideoFrame, rest: Iterator[av.VideoFrame]
    ) -> Iterator[Frame]:
        """Frames as promised to the world, the given head first."""
        counts = self.tally.counts
        orientation = orientation_of(head)
        note_inexact(self._name, orientation, self.tally.notes)
        last: int | None = None
        step = _step(info)
        frame: av.VideoFrame | None = head
        while frame is not None:
            try:
                pixels = self._to_rgb(frame, info.matrix, head.width, head.height)
            except HOSTILE:
                counts["corrupt_packets"] += 1
            else:
                if counts["frames"] < _SIDE_DATA_FRAMES:
                    note_left_out(frame, self._name, self.tally.notes)
                last = self._place(frame.pts, last, step)
                step = frame.duration or step
                counts["frames"] += 1
                yield Frame(
                    pixels=oriented(pixels, orientation),
                    index=counts["frames"] - 1,
                    pts=last,
                    time_base=info.time_base,
                    duration=max(frame.duration or 0, 0),
                    captured_at=time.monotonic(),
                )
            frame = next(rest, None)

    def _place(self, pts: int | None, last: int | None, step: int) -> int:
        """The frame's own time stamp, or the best one that keeps frames in order."""
        if pts is None:
            self.tally.counts["guessed_pts"] += 1
            return 0 if last is None else last + step
        if last is not None and pts <= last:
            self.tally.counts["repaired_pts"] += 1
            return last + 1
        return pts

    def _note_left_out(self, container: InputContainer, taken: VideoStream) -> None:
        program = program_of(container)
        if program is not None:
            self.tally.notes.append(
                f"{self._name} holds {program.among} programs: {program} was taken, whose "
                f"pictures come first, with its own sound and subtitles. The others were left out."
            )
        moving = taken_of(container, tuple(moving_streams(container)))
        if len(moving) > 1:
            place = [stream.index for stream in moving].index(taken.index) + 1
            self.tally.notes.append(
                f"{self._name} holds {len(moving)} video streams: number {place} was taken, as in players; "
                f"the others were left out."
            )
        tags = {key.lower(): value for key, value in taken.metadata.items()}
        if tags.get("alpha_mode") == "1":
            self.tally.notes.append(
                f"{self._name} is a transparent WebM, which cannot be decoded: it was read as opaque."
            )


def _describe(
    path: str,
    container: InputContainer,
    stream: VideoStream,
    head: av.VideoFrame,
    deinterlacer: Deinterlacer,
) -> StreamInfo:
    width, height, aspect = oriented_shape(stream, head)
    time_base = stream.time_base
    if not time_base or time_base <= 0:
        raise ValueError("a video stream without a time base")
    # For films that were copied without their rate FFmpeg reports one that their time base cannot express.
    rates = [stream.average_rate, stream.guessed_rate]
    if rates[0] == 1 / time_base:
        rates.reverse()  # nor is one frame per tick likely, as it reports for DV
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
        audio_streams=len(taken_of(container, container.streams.audio)),
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
        seconds = Fraction((container.duration or 0) - first_in_matroska(container), av.time_base)
    return max(round(seconds * rate), 0) if rate else 0


def _step(info: StreamInfo) -> int:
    """Duration of one frame in units of the time base."""
    return max(round(1 / (info.rate * info.time_base)), 1) if info.rate else 1
