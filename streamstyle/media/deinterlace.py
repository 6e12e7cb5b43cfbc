"""Deinterlacing: one or two whole pictures from each interlaced frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, TypeAlias

import av
from av.filter.context import FilterContext

from streamstyle.media.container import reason

Deinterlacing: TypeAlias = Literal["auto", "off", "field"]

_MODES = {"auto": "send_frame", "field": "send_field"}


class Deinterlacer:
    """Converts each interlaced frame, or each of its fields, to a picture with FFmpeg's bwdif. Frames without
    an interlaced flag pass unchanged, bit for bit, and at no cost until the first flagged one.

    how: auto for one picture per frame at its time; field for two, the second halfway to the next frame; off
    for none: interlaced frames are only counted.
    """

    def __init__(self, how: Deinterlacing) -> None:
        self._how = how
        self._filter: _Filter | None = None
        self._refusal = ""
        self._interlaced = 0

    @property
    def ticks(self) -> int:
        """Divisor of the frames' time base: 2 if each field gets a time."""
        return 2 if self._how == "field" else 1

    @property
    def pictures(self) -> int:
        """The number of pictures that each frame becomes, as far as is known by now."""
        return 2 if self._how == "field" and self._filter is not None else 1

    def __call__(self, decoded: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """The pictures of decoded frames, in order."""
        for frame in decoded:
            self._interlaced += frame.interlaced_frame
            if self._filter is None and not (frame.interlaced_frame and self._wanted):
                yield self._timed(frame)
            else:
                yield from self._filtered(frame)
        if self._filter is not None:
            yield from self._filter.rest()

    def notes(self, name: str) -> list[str]:
        """Sentences for people about the source of this name."""
        if not self._interlaced:
            return []
        told = f"{self._interlaced} frames of {name} are interlaced"
        if self._refusal:
            return [f"{told}, and were painted as they are, because bwdif cannot read them: {self._refusal}."]
        if self._how == "off":
            return [
                f"{told}, and were painted as they are: without --deinterlace off each becomes a picture."
            ]
        if self._how == "field":
            return [f"{told}, and were deinterlaced by bwdif, each into two pictures."]
        return [
            f"{told}, and were deinterlaced by bwdif, each into one picture: --deinterlace field makes two, "
            f"off leaves them."
        ]

    @property
    def _wanted(self) -> bool:
        return self._how != "off" and not self._refusal

    def _filtered(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        if self._filter is None or not self._filter.takes(frame):
            if self._filter is not None:
                yield from self._filter.rest()
            try:
                self._filter = _Filter(frame, _MODES[self._how])
            except (av.FFmpegError, ValueError) as error:
                self._filter, self._refusal = None, reason(error)
                yield self._timed(frame)
                return
        yield from self._filter.pictures(frame)

    def _timed(self, frame: av.VideoFrame) -> av.VideoFrame:
        return frame if self.ticks == 1 else _scaled(frame, Fraction(2))


class _Filter:
    """bwdif for frames of one size and format."""

    def __init__(self, like: av.VideoFrame, mode: str) -> None:
        self._kind = _kind(like)
        self._mode = mode
        self._frames = 0
        self._graph = av.filter.Graph()
        self._graph.threads = 1  # painting has the cores
        base = like.time_base or Fraction(1, 1000)
        self._source: FilterContext = self._graph.add(
            "buffer",
            f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}:pixel_aspect=1/1"
            f":time_base={base.numerator}/{base.denominator}"
            f":colorspace={int(like.colorspace)}:range={int(like.color_range)}",
        )
        woven = self._graph.add("bwdif", f"mode={mode}:parity=auto:deint=interlaced")
        self._graph.link_nodes(self._source, woven, self._graph.add("buffersink")).configure()

    def takes(self, frame: av.VideoFrame) -> bool:
        """True if the frame has the size and format of the first."""
        return _kind(frame) == self._kind

    def pictures(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """The pictures that are ready after this frame; None flushes."""
        self._frames += frame is not None
        self._source.push(frame)
        while True:
            try:
                picture = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            # bwdif counts in halves of the time base.
            yield picture if self._mode == "send_field" else _scaled(picture, Fraction(1, 2))

    def rest(self) -> Iterator[av.VideoFrame]:
        """The pictures that waited for a next frame."""
        pictures = list(self.pictures(None))
        if self._frames == 1 and len(pictures) == 2:
            # bwdif takes half the distance of two frames, and there are not two.
            first, second = pictures
            second.pts = None
            if first.pts is not None and first.duration:
                second.pts = first.pts + first.duration
        yield from pictures


def _kind(frame: av.VideoFrame) -> tuple[int, int, str, int, int]:
    # Without the time base: PyAV does not set it on the frames of a flush.
    return frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range)


def _scaled(frame: av.VideoFrame, factor: Fraction) -> av.VideoFrame:
    """The frame with its times in a time base that is so many times as fine."""
    if frame.pts is not None:
        frame.pts = int(frame.pts * factor)
    if frame.duration:
        frame.duration = int(frame.duration * factor)
    if frame.time_base:
        frame.time_base = frame.time_base / factor
    return frame
