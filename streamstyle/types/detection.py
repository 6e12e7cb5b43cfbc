"""Detection and repair: what is found of a styled frame, and who finds and repairs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamstyle.types.frames import AnalysisPair, Frame, Kind, Picture


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


E_contra = TypeVar("E_contra", contravariant=True)


class Observer(Protocol[E_contra]):
    """Is told of every frame that is judged; changes nothing. E_contra: what an event is."""

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:
        """A frame was judged, and is about to be repaired."""

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: E_contra) -> None:
        """A flagged frame is about to leave."""
