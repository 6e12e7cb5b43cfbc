"""Engines: what they are asked to paint, and what they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamstyle.types.frames import AnalysisPair, Frame, Picture


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
