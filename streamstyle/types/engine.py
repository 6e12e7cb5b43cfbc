"""Engines: conditions in, paintings out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamstyle.types.frames import AnalysisPair, Frame, Picture


@dataclass(frozen=True)
class EngineSpec:
    """Description and abilities of an engine."""

    name: str
    """Name as `--engine` takes it: "tensorrt", "cuda", "openvino", "torch"."""
    precision: str
    """Arithmetic: "fp32", "fp16", "bf16" ..."""
    device: str
    """Name as torch has it: "cpu", "cuda:0"."""
    in_flight: int
    """Number of frames to keep started so that the engine never idles."""
    stateful: bool = False
    """True if it averages the statistics of its normalisation over frames: see `StyleCondition.ema_decay`."""
    size: tuple[int, int] | None = None
    """(width, height) that it paints at; None for the frame's own."""
    paints: bool = True
    """False where pictures leave as they came."""
    why: str = ""
    """The reason why `auto` took no better engine; empty if there is none."""
    plan: str = ""
    """Distribution of the processors, in words."""
    every: int = 1
    """Distance of painted frames: at least one of so many is painted, and the others are warped from it."""
    tiles: int = 1
    """Number of tiles that a frame is cut into."""
    masks: bool = True
    """False if the first `StyleCondition.mask` makes it open another graph, which takes time."""

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of `run --json`, which stay: `stateful` is "holds" there."""
        return {"holds" if name == "stateful" else name: value for name, value in vars(self).items()}


@dataclass(frozen=True)
class FramePart:
    """A part of a larger frame."""

    size: tuple[int, int]
    """(height, width) of the larger frame, multiples of 8."""
    origin: tuple[int, int]
    """(row, column) where the part begins in it, multiples of 8."""


@dataclass(frozen=True)
class StyleCondition:
    """Style of one frame: two codes, where each holds, and settings. All may change with every frame."""

    codes: NDArray[np.float32]
    """(2, size): the first and the second code."""
    mask: NDArray[np.uint8] | None = None
    """(H, W): 0 paints with the first code, 255 with the second, values between with a mix inside the
    network. None paints with the first code everywhere."""
    ema_decay: float = 0.0
    """0..1, share of the past in the statistics that the network normalises with. 0 uses the frame's own and
    starts a new past; 1 uses those of the frame before."""
    name: str = ""
    """Name of the style."""
    fading: bool = False
    """True while the codes change from frame to frame, so that a change of colour is meant."""
    low_contrast: bool = False
    """True if they change because the picture has hardly any contrast, so that a change of edges is meant."""
    colour: float = 0.0
    """0..1, share of the frame's own colours."""
    part: FramePart | None = None
    """The part that the picture is of a larger frame, painted in tiles; None if it is the whole frame."""
    canvas_shift: tuple[float, float] = (0.0, 0.0)
    """(down, right) in pixels: how far strokes and facets have moved with the camera, see `CameraMotion`."""


class Region(Protocol):
    """The part of a frame that is painted in another style."""

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """Mask (H, W): 255 inside, 0 outside, soft between. Raises SourceError, EngineError."""

    def close(self) -> None:
        """Free the region's resources."""


@dataclass(frozen=True)
class InferenceFuture:
    """A picture that an engine is painting."""

    result: Callable[[], Picture]
    """Wait for the painting, once: a new picture of the input's shape, which the caller owns. Raises
    EngineError."""
    is_ready: Callable[[], bool] = lambda: True
    """True if `result` returns without waiting for a device, or paints itself."""
    on_ready: Callable[[Callable[[], None]], bool] = lambda _call: False
    """Register a function that is called once, from any thread, when `is_ready` becomes true, or at once if
    it is. Returns False if the engine cannot do so: poll `is_ready` then. No call is made if painting
    fails."""
    analysis: Callable[[], AnalysisPair | None] = lambda: None
    """Pictures for `Detector.detect`, after `result`; None if the engine makes none."""


class Engine(Protocol):
    """The compiled generator at one frame size. Deterministic; no fallback inside."""

    @property
    def spec(self) -> EngineSpec:
        """Description and abilities of the engine."""

    @property
    def busy_seconds(self) -> float:
        """Engine time used so far. Finished frames / busy_seconds is the rate of the engine alone."""

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """Begin to stylize one picture (H, W, 3). Raises EngineError."""

    def close(self) -> None:
        """Free the engine's resources."""


@dataclass(frozen=True)
class Motion:
    """Motion from an earlier frame to a later one."""

    flow: NDArray[np.float32]
    """Backward flow, see `AnomalyMap`."""
    trust: NDArray[np.uint8]
    """Trusted pixels, see `AnomalyMap`."""
    same_scene: bool
    """True if both show the same scene in the same light, and most of it was found again."""


class MotionSearch(Protocol):
    """Estimates motion between frames of the input."""

    def seen(self, pixels: Picture) -> NDArray[np.uint8]:
        """The data of a frame that `back` needs."""

    def back(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> Motion:
        """Motion between two frames of one size, from the results of `seen` for each."""


Repaint: TypeAlias = Callable[[Picture, StyleCondition], Picture]
"""Paints a picture again, with other statistics."""


class Repainter(Protocol):
    """Paints a frame again after a bad painting."""

    def remember(self) -> Repaint | None:
        """Call before a frame is started. Returns a function that paints it again later, with the statistics
        of the frame before it and without effect on later frames; None if nothing can. Raises EngineError."""
