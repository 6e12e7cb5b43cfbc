"""The data that crosses rooms, and the seams between them. Data only: nothing here does work.

A picture is always `uint8` RGB, shape (H, W, 3), C-contiguous, on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

E_contra = TypeVar("E_contra", contravariant=True)

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
    stand_in: an older picture, or a slate, that left because no frame came.
    """

    pixels: Picture
    index: int
    pts: int
    time_base: Fraction
    duration: int
    captured_at: float
    style: str = ""
    quality: FrameQuality | None = None
    stand_in: bool = False

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


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is and can do."""

    name: str
    """As `--engine` takes it: "tensorrt", "cuda", "openvino", "torch"."""
    precision: str
    """Of the arithmetic: "fp32", "fp16", "bf16" ..."""
    device: str
    """As torch names it: "cpu", "cuda:0"."""
    in_flight: int
    """How many frames to keep started so that the engine never idles."""
    stateful: bool = False
    """It averages the statistics of its normalisation over the frames, see `StyleCondition.ema_decay`."""
    size: tuple[int, int] | None = None
    """(width, height) that it paints at; None for the frame's own."""
    paints: bool = True
    """False where pictures leave as they came."""
    why: str = ""
    """The reason that `auto` took no better engine; empty where there is none."""
    plan: str = ""
    """How it shares out the processors, in words."""
    every: int = 1
    """It paints at least one of so many frames, and warps the others from it."""
    tiles: int = 1
    masks: bool = True
    """False where the first `StyleCondition.mask` takes it time."""

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of `run --json`, which stay: `stateful` is "holds" there."""
        return {"holds" if name == "stateful" else name: value for name, value in vars(self).items()}


@dataclass(frozen=True)
class StyleCondition:
    """How to paint a frame: two styles, where each of them holds, and how. All may change with every frame.

    codes: float32 (2, size). mask: uint8 (H, W), 0 paints with the first code, 255 with the second, between
    them a mix inside the network; None is the first code everywhere. ema_decay: 0..1, share of the past in
    the statistics that the network normalises with; 0 takes those of the frame alone, and the next frame's
    past begins with it, 1 takes those of the frame before. name: of the style. fading: the codes are on their
    way to others, so that a change of colour is meant. low_contrast: they are since the picture has hardly
    any contrast, so that a change of edges is. colour: 0..1, share of the frame's own colours. origin: (row,
    column) in a larger frame that the picture is a tile of, multiples of 8; where statistics can be set."""

    codes: NDArray[np.float32]
    mask: NDArray[np.uint8] | None = None
    ema_decay: float = 0.0
    name: str = ""
    fading: bool = False
    low_contrast: bool = False
    colour: float = 0.0
    origin: tuple[int, int] = (0, 0)


class Region(Protocol):
    """Says where in a frame another style holds."""

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """uint8 (H, W): 255 inside, 0 outside, soft between. Raises SourceError, EngineError."""

    def close(self) -> None:
        """Free what the region holds."""


@dataclass(frozen=True)
class InferenceFuture:
    """A picture that an engine is painting."""

    result: Callable[[], Picture]
    """Wait for it, once: a new picture of the input's shape, which the caller owns. Raises EngineError."""
    is_ready: Callable[[], bool] = lambda: True
    """Whether `result` returns without waiting for a device. True where `result` itself paints."""
    analysis: Callable[[], AnalysisPair | None] = lambda: None  # for `Detector.detect`, after `result`


class Engine(Protocol):
    """The compiled generator at one frame size. Deterministic; no fallback inside."""

    @property
    def spec(self) -> EngineSpec:
        """What runs, and where."""

    @property
    def busy_seconds(self) -> float:
        """Engine time used so far: finished frames / busy_seconds is what the engine alone can do."""

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """Begin to stylize one picture (H, W, 3). Raises EngineError."""

    def close(self) -> None:
        """Free what the engine holds."""


@dataclass(frozen=True)
class Motion:
    """How a frame follows from an earlier one. flow, trust: as in `AnomalyMap`, towards the earlier one.
    explained: is it the same scene in the same light, most of which is found again?"""

    flow: NDArray[np.float32]
    trust: NDArray[np.uint8]
    same_scene: bool


class MotionSearch(Protocol):
    """Follows the input's motion."""

    def seen(self, pixels: Picture) -> NDArray[np.uint8]:
        """What `back` needs of a frame."""

    def back(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> Motion:
        """Between two frames of one size, by what `seen` gave of them."""


Repaint: TypeAlias = Callable[[Picture, StyleCondition], Picture]
"""Paints a picture once more, otherwise."""


class Repainter(Protocol):
    """Paints frames again whose painting went wrong."""

    def remember(self) -> Repaint | None:
        """Before a frame is started: what can paint it again later, with the statistics of the frame before
        it and without a trace on the frames after it; None where nothing can. Raises EngineError."""


@dataclass(frozen=True)
class AnomalyMap:
    """What the detector says of one frame.

    scores, thresholds: per kind, the frame's score and the level above which it is flagged.
    kinds: the flagged kinds, worst (score / threshold) first.
    tiles: bool (rows, cols), the flagged tiles. lost: bool (rows, cols), those of which nothing can be kept
    (distortion, style). tile_score: float32 (rows, cols), signed excess of the tile in 0..1 luma (positive:
    brightened more than the input explains).
    luma_gain: float32 (rows, cols), factor that undoes the excess of each tile; 1 where not flagged.
    chroma_offset: float32 (rows, cols, 2), what to add to (Cr, Cb) in 0..255 units; 0 where not flagged.
    drift: float32 (2,), (a, b) shift of the styled colours against the shot's colour map, CIE Lab units; 0
    where not flagged.
    flow: float32 (h, w, 2), the way (dx, dy) back to where each pixel was, in pixels of a small picture;
    trust: uint8 (h, w), 255 where that explains the input, 0 where it does not. None without a past.
    source: the input of the frame, not to be changed. small: it and the frame as found, RGB, halved so far
    that what judges needs no more. None without a past.
    frame_step: score over threshold of a step of the whole frame, known apart from steps of its parts.
    steady: 0..1, how strongly every frame is steadied, flagged or not; gains and offsets hold everywhere.
    cut: the input cut here. event: the input itself changed abruptly (strobe, exposure step) somewhere.
    """

    scores: Mapping[Kind, float]
    thresholds: Mapping[Kind, float]
    kinds: tuple[Kind, ...]
    tiles: NDArray[np.bool_]
    unrecoverable: NDArray[np.bool_]
    tile_score: NDArray[np.float32]
    luma_gain: NDArray[np.float32]
    chroma_offset: NDArray[np.float32]
    drift: NDArray[np.float32]
    cut: bool = False
    event: bool = False
    flow: NDArray[np.float32] | None = None
    trust: NDArray[np.uint8] | None = None
    source: Picture | None = None
    analysis: AnalysisPair | None = None
    frame_step: float = 0.0
    smoothing: float = 0.0

    @property
    def flagged(self) -> bool:
        """Is anything to repair?"""
        return bool(self.kinds)


@dataclass(frozen=True)
class Action:
    """What the corrector did: its name ("none", "tile gain", "colour re-match" ...) and figures."""

    name: str
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def touched(self) -> bool:
        """Is the frame another one now?"""
        return self.name != "none"


class Detector(Protocol):
    """Compares each styled frame with the previous ones, referenced to the input."""

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """Judge the next frame. Both (H, W, 3), of one size; neither is kept. small: see `AnomalyMap`."""

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """Take the frame in as it leaves, for the next past; its scores. touched: `detect` saw another."""

    def reset(self) -> None:
        """Forget the past: after a cut, a gap, a change of size or style."""


class Corrector(Protocol):
    """Repairs the flagged regions of a styled frame."""

    def correct_(self, styled: Picture, anomaly: AnomalyMap) -> Action:
        """In place; bit for bit the identity where nothing is flagged."""

    def reset(self) -> None:
        """Forget the past: after a gap, a change of size or style."""


class FlashLimiter(Protocol):
    """Has the last word on every frame, whatever was found and repaired."""

    def limit_(
        self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action
    ) -> tuple[AnomalyMap, Action]:
        """Change `styled` in place where it must not leave so; returns what is known of the frame then."""


class Observer(Protocol[E_contra]):
    """Is told of every frame that is judged; changes nothing. E_contra: what an event is."""

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:
        """A frame was judged, and is about to be repaired."""

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: E_contra) -> None:
        """A flagged frame is about to leave."""
