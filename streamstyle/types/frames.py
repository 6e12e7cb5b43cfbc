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
"""RGB, (H, W, 3), C-contiguous, on the host."""

AnalysisPair: TypeAlias = tuple[Picture, Picture]
"""An input and its painting, both halved as often as the detector can use."""


class Kind(StrEnum):
    """Kinds of anomalies in styled frames."""

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
    """Result of detection and repair for one frame, as sinks pass it on."""

    score: float
    """Score of the worst kind over its threshold; flagged above 1."""
    kinds: tuple[Kind, ...]
    """The flagged kinds, worst first."""
    heat: NDArray[np.float32]
    """(rows, cols): distance of each tile from what the input explains, in 0..1 luma."""
    action: str
    """Action of the corrector; "none" without a repair."""


@dataclass(frozen=True)
class Frame:
    """One video frame with its place in time."""

    pixels: Picture
    """The picture, upright: the source applies rotation. Read-only once the source, or `process`, has yielded
    it."""
    index: int
    """Number of the decoded frame, from 0; a dropped frame leaves a gap."""
    pts: int
    """Presentation time in units of `time_base`, as the source had it."""
    time_base: Fraction
    """Seconds per unit of `pts` and `duration`."""
    duration: int
    """Duration in units of `time_base`; 0 if unknown."""
    captured_at: float
    """`time.monotonic()` when the source had decoded the frame; ages count from there."""
    style: str = ""
    """The style as the user named it; empty for an unpainted frame."""
    quality: FrameQuality | None = None
    """Result of detection and repair; None without detection."""
    filler: bool = False
    """True for an older picture, or a slate, that left because no frame came."""

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)


class SoundReader(Protocol):
    """Position of one sink in the sound of a live source."""

    def until(self, time: float) -> NDArray[np.float32]:
        """Samples (n, 2) in -1..1, 48 kHz, from where the last call ended up to this presentation time in
        seconds; silence where the source had none. The first call returns none."""


class Sound(Protocol):
    """The sound of a live source, on the clock of its frames' time stamps."""

    def reader(self) -> SoundReader:
        """A new reader; each sink has its own."""


@dataclass(frozen=True)
class StreamInfo:
    """Properties of an open source."""

    url: str
    """Address as the user wrote it; sinks of a film copy the sound from there."""
    width: int
    """Width of upright frames in pixels."""
    height: int
    """Height of upright frames in pixels."""
    rate: Fraction | None
    """Average frames per second; None if unknown."""
    time_base: Fraction
    """Seconds per unit of time stamps."""
    frames: int
    """Number of frames; 0 if unknown."""
    sample_aspect_ratio: Fraction
    """Width over height of one pixel of upright frames."""
    matrix: str
    """"bt709", "bt601" or "bt2020": as tagged, otherwise BT.709 from 720 lines up and BT.601 below."""
    audio_streams: int
    """Number of audio streams."""
    live: bool = False
    """True if frames arrive at their own pace, so that late ones are worthless."""
    sound: Sound | None = None
    """Sound of a live source; None if it has none."""
    until: Fraction | None = None
    """Seconds from the first frame after which the run stops; None if it goes on to the end."""


@dataclass(frozen=True)
class MediaReport:
    """Report of a source or sink."""

    counters: Mapping[str, int] = field(default_factory=dict)
    """Counts by name."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


class Source(Protocol):
    """A context manager that yields frames in presentation order. Starts no thread.

    Raises SourceError if the input cannot be opened, or nothing of it can be decoded. Packets that do not
    decode are skipped and counted in `report().counters["corrupt_packets"]`.
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
        """Finish the output. `complete` is False after a failed run: a half-written output must not pose as a
        whole one then."""

    def report(self) -> MediaReport:
        """Counters so far."""


@runtime_checkable
class Interruptible(Protocol):
    """A source or sink whose calls may block for longer than a user waits for the end of a run."""

    def interrupt(self) -> None:
        """Make a blocked call return or raise soon. Called from any thread; no call follows but `close` or
        the source's `__exit__`. Does not block and raises nothing."""
