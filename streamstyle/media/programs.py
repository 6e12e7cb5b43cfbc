"""The streams of a film that are taken. A broadcast may hold several programs, each with pictures and sound
of its own: then those of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import av.logging
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamstyle.flow import Lock

_S = TypeVar("_S", bound=Stream)

# FFmpeg's description of a file, which alone tells programs.
_PROGRAM = re.compile(r"^ +Program (\d+)(.*?)(?=^ +(?:No )?Program\b|\Z)", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"^ +service_name *: (.*)$", re.MULTILINE)
_STREAM = re.compile(r"^ +Stream #0:(\d+)", re.MULTILINE)

_describing = Lock()


@dataclass(frozen=True)
class TsProgram:
    """One program of a broadcast."""

    number: int
    """As the broadcast tells it."""
    name: str
    """The same; empty if it tells none."""
    indices: frozenset[int]
    """Of its streams."""
    among: int
    """The number of programs in the broadcast."""

    def __str__(self) -> str:
        return f"number {self.number} ({self.name})" if self.name else f"number {self.number}"


def program_of(container: InputContainer) -> TsProgram | None:
    """The program whose pictures players show; None where the film does not hold several."""
    if container.format.name != "mpegts" or len(container.streams) < 3:
        return None
    programs, pictured = _programs(container), picture_stream(container)
    if len(programs) < 2 or pictured is None:
        return None
    return next((program for program in programs if pictured.index in program.indices), None)


def taken_of(container: InputContainer, streams: tuple[_S, ...]) -> list[_S]:
    """Those of these streams of the container that are taken."""
    program = program_of(container)
    return [stream for stream in streams if program is None or stream.index in program.indices]


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """Streams of moving pictures, without cover art of songs and thumbnails of films."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The stream of moving pictures that players show: the default one, else the first, preferring one that
    can be decoded, and of several default ones one that moves (AVIF also has its first picture apart). None
    if there is none."""

    def rank(stream: VideoStream) -> tuple[bool, bool, bool]:
        default = bool(stream.disposition & Disposition.default)
        return stream.codec_context is not None, default, stream.frames != 1

    return max(moving_streams(container), key=rank, default=None)


@lru_cache(maxsize=4)  # a container takes no weak reference; closed ones are small
def _programs(container: InputContainer) -> list[TsProgram]:
    """All programs of a broadcast."""
    described = _PROGRAM.findall(_description(container))
    return [
        TsProgram(int(number), name.strip(), frozenset(map(int, _STREAM.findall(lines))), len(described))
        for number, lines in described
        for name in [*_NAME.findall(lines), ""][:1]
    ]


def _description(container: InputContainer) -> str:
    """FFmpeg's words, which it gives to its log alone, at a level that all threads share."""
    with _describing:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            return str(container.dumps_format())  # type: ignore[attr-defined]  # missing in its stubs
        finally:
            av.logging.set_level(level)
