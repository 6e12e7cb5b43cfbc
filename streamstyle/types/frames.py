"""Frames, and the sources and sinks that carry them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]

AnalysisPair: TypeAlias = tuple[Picture, Picture]


class Kind(StrEnum):
    """What can be wrong with a styled frame."""

    FLICKER = "flicker"
    POP = "pop"
    DRIFT = "drift"
    TEXTURE = "texture"
    DISTORTION = "distortion"
    STYLE = "style"
    DUPLICATE = "duplicate"
    FLASH = "flash"


@dataclass(frozen=True)
class FrameQuality:
    """What was found of a styled frame and done to it, as sinks tell it on.

    score: of the worst kind, over its threshold; flagged above 1. kinds: the flagged ones, worst first.
    heat: float32 (rows, cols), how far each tile is from what the input explains, in 0..1 luma. action: what
    the corrector did; "none" where nothing.
    """

    score: float
    kinds: tuple[Kind, ...]
    heat: NDArray[np.float32]
    action: str


@dataclass(frozen=True)
class Frame:
    """One video frame with its place in time.

    pixels: the picture, upright (rotation is applied by the source). Nobody writes to a source's
    pixels; after `process` nobody writes to a styled frame's either.
    index: counts decoded frames from 0; a dropped frame shows as a gap.
    pts, duration: in units of `time_base` seconds, as the source had them; duration 0 means unknown.
    captured_at: `time.monotonic()` when the source had decoded the frame; its age counts from there.
    style: what it is painted in, as the user named it; empty before that. verdict: None if nothing judged it.
    filler: an older picture, or a slate, that left because no frame came.
    """

    pixels: Picture
    index: int
    pts: int
    time_base: Fraction
    duration: int
    captured_at: float
    style: str = ""
    quality: FrameQuality | None = None
    filler: bool = False

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)


class SoundReader(Protocol):
    """One sink's way through the sound of a live source."""

    def until(self, time: float) -> NDArray[np.float32]:
        """Samples (n, 2) in -1..1, 48 kHz, that follow those given before, up to this presentation time in
        seconds; silence where the source had none. The first call gives none."""


class Sound(Protocol):
    """The sound of a live source, on the clock of its frames' time stamps."""

    def reader(self) -> SoundReader:
        """One for each sink."""


@dataclass(frozen=True)
class StreamInfo:
    """What is known of a source once it is open.

    url: what the user named; sinks of a film copy the sound from there. live: frames come when they come, and
    late ones are worth nothing. sound: what is heard of a live source, None where it is mute. width, height,
    sample_aspect_ratio: of upright frames. rate: average frames per second (None: unknown). frames: how many,
    0 where unknown. matrix: "bt709", "bt601" or "bt2020", as tagged or, untagged, 709 from 720 lines up.
    """

    url: str
    width: int
    height: int
    rate: Fraction | None
    time_base: Fraction
    frames: int
    sample_aspect_ratio: Fraction
    matrix: str
    audio_streams: int
    live: bool = False
    sound: Sound | None = None


@dataclass(frozen=True)
class MediaReport:
    """What a source or sink has to say at the end: counters by name and sentences for people."""

    counters: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A context manager that yields frames in presentation order. Starts no thread.

    Raises SourceError where the input cannot be opened, or nothing of it can be decoded. Packets that
    do not decode are skipped and counted in `report().counters["corrupt_packets"]`.
    """

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def report(self) -> MediaReport:
        """Counters so far."""


class Sink(Protocol):
    """Takes frames in order, from one thread. Never alters a frame. Raises SinkError."""

    def write(self, frame: Frame) -> None:
        """Take one frame."""

    def close(self, *, complete: bool) -> None:
        """Finish the output. `complete` is False when the run failed: nothing half-written may pose
        as a whole file then."""

    def report(self) -> MediaReport:
        """Counters so far."""


@runtime_checkable
class Interruptible(Protocol):
    """A source or sink whose calls may block for longer than a user who ends the run will wait."""

    def interrupt(self) -> None:
        """From any thread: what blocks now returns or raises soon, and no call will follow but `close` or the
        source's `__exit__`. Does not block and raises nothing."""
