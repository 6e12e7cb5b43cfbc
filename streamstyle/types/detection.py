"""Detection and repair: findings on styled frames, and the protocols of detector and corrector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamstyle.types.frames import AnalysisPair, Frame, Kind, Picture


@dataclass(frozen=True)
class AnomalyMap:
    """Findings of the detector on one frame. Tiles are on a grid (rows, cols)."""

    scores: Mapping[Kind, float]
    """Score per kind."""
    thresholds: Mapping[Kind, float]
    """Level per kind above which it is flagged."""
    kinds: tuple[Kind, ...]
    """The flagged kinds, worst (score / threshold) first."""
    tiles: NDArray[np.bool_]
    """(rows, cols): the flagged tiles."""
    unrecoverable: NDArray[np.bool_]
    """(rows, cols): flagged tiles that cannot be used at all (distortion, style)."""
    tile_score: NDArray[np.float32]
    """(rows, cols): signed residual in 0..1 luma; positive if the tile brightened more than the input
    explains."""
    luma_gain: NDArray[np.float32]
    """(rows, cols): factor that removes the residual; 1 in unflagged tiles."""
    chroma_offset: NDArray[np.float32]
    """(rows, cols, 2): to be added to (Cr, Cb), in levels of 0..255; 0 in unflagged tiles."""
    drift: NDArray[np.float32]
    """(2,): shift (a, b) of the styled colours against the shot's colour map, CIE Lab units; 0 if not
    flagged."""
    cut: bool = False
    """True if the input cuts here."""
    event: bool = False
    """True if the input itself changed abruptly somewhere (strobe, exposure step)."""
    flow: NDArray[np.float32] | None = None
    """(h, w, 2): displacement (dx, dy) back to where each pixel was, in pixels of a small picture. None
    without history."""
    trust: NDArray[np.uint8] | None = None
    """(h, w): 255 where `flow` explains the input, else 0. None without history."""
    source: Picture | None = None
    """Input of the frame, read-only."""
    analysis: AnalysisPair | None = None
    """Input and painting as found, RGB, halved as often as the detector can use. None without history."""
    frame_step: float = 0.0
    """Score over threshold of a step of the whole frame, separate from steps of its parts."""
    smoothing: float = 0.0
    """0..1, how strongly every frame is smoothed, flagged or not; gains and offsets then hold everywhere."""

    @property
    def flagged(self) -> bool:
        """True if anything is to be repaired."""
        return bool(self.kinds)


@dataclass(frozen=True)
class Action:
    """A completed repair."""

    name: str
    """"none", "tile gain", "colour re-match" ...; several are joined by " + "."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the repair by name."""

    @property
    def touched(self) -> bool:
        """True if the frame was changed."""
        return self.name != "none"


class Detector(Protocol):
    """Compares each styled frame with earlier ones, relative to the input."""

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """Examine the next frame. Both pictures (H, W, 3) have one size; neither is kept. analysis: see
        `AnomalyMap`."""

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """Take the frame as it leaves as history for the next one, and return its scores. touched: True if
        `detect` saw another picture."""

    def reset(self) -> None:
        """Forget the history: after a cut, a gap, a change of size or style."""


class Corrector(Protocol):
    """Repairs the flagged regions of a styled frame."""

    def correct_(self, styled: Picture, anomaly: AnomalyMap) -> Action:
        """Repair in place; bit for bit the identity if nothing is flagged."""

    def reset(self) -> None:
        """Forget the history: after a gap, a change of size or style."""


class FlashLimiter(Protocol):
    """Limits flashes in every frame, after detection and repair."""

    def limit_(
        self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action
    ) -> tuple[AnomalyMap, Action]:
        """Change `styled` in place if it would flash; returns the findings and the action with that added."""


E_contra = TypeVar("E_contra", contravariant=True)


class Observer(Protocol[E_contra]):
    """Receives every frame on which the detector ran; changes nothing. E_contra: type of an event."""

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:
        """Called after detection, before repair."""

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: E_contra) -> None:
        """Called for a flagged frame, after repair."""
