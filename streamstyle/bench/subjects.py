"""Subjects of a measurement, and its results. Data only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.examples import Example
from streamstyle.bench.flashes import NewFlashes
from streamstyle.bench.ghosts import Motion
from streamstyle.bench.injections import Film, Paint, PaintModulated
from streamstyle.types import Picture, StyleCondition

PaintStabilised = Callable[[Film, float, float], Film]
"""A film, its frames a second, and a consistency in 0..1 to the film as `run --consistency` leaves it."""

Distance = Callable[[Picture, Picture], float]
"""Distance of two pictures, RGB uint8 (H, W, 3); 0 or more."""


@dataclass(frozen=True)
class StylePainter:
    """One style at one size."""

    paint: Paint
    """Paints a film."""
    restyle: Paint
    """Paints a film in another style."""
    modulate: PaintModulated | None = None
    """Paints a film with the statistics of the normalisation times a factor for each frame; None for a
    network without statistics."""
    stabilise: PaintStabilised | None = None
    """Paints a film in stabilise mode; None leaves that out."""
    conditions: Callable[[Film], Sequence[StyleCondition] | None] = lambda _film: None
    """Style condition of each frame of a film; None where it never changes."""


@dataclass(frozen=True)
class Subject:
    """A film, another one of the same length and size to cut to, and how one style paints such films."""

    clip: str
    style: str
    film: Film
    other: Film
    fps: float
    """Frames per second of the film."""
    painter: StylePainter
    motion: Motion | None = None
    """True motion and the pixels that each frame uncovers, where these are known and not estimated."""
    distance: Distance | None = None
    """Perceptual distance of pictures; None leaves it out, and with it the price of stabilise mode."""


@dataclass(frozen=True)
class SceneResult:
    """Result of a method on one scene."""

    scene: str
    minutes: float
    scores: dict[str, NDArray[np.float64]]
    """float (n,) for each family and each baseline score."""
    edges: dict[str, int]
    """Number of alarms of each kind that began."""
    alarms: NDArray[np.bool_]
    """bool (n,), frames on which anything was flagged."""
    identical: NDArray[np.bool_]
    """bool (n,), frames that the corrector left as painted."""
    psnr: Sequence[float]
    """PSNR in dB of the other frames."""
    flashes: NewFlashes | None = None
    """New flashes; None for other methods than the product."""
    held: NDArray[np.bool_] | None = None
    """bool (n,), frames that the flash guard changed; None for other methods than the product."""


@dataclass(frozen=True)
class InjectionResult:
    """Result of a method on one film with an injected anomaly."""

    name: str
    """See `Injection`."""
    family: str
    """See `Injection`."""
    series: str
    """See `Injection`."""
    amplitude: float
    """See `Injection`."""
    scores: dict[str, NDArray[np.float64]]
    """See `SceneResult`."""
    onset: NDArray[np.bool_]
    """See `Injected`."""
    hit: NDArray[np.bool_]
    """See `Injected`."""
    flagged: NDArray[np.bool_]
    """bool (n,), frames on which a kind of the family was found."""
    overlaps: Sequence[tuple[float, float]]
    """(F1, intersection over union) of the tiles of each patch that was found."""
    repaired: float
    """Repaired share R."""
    ghosts: Sequence[float]
    """Ghost leak of the frames that were touched and uncovered something."""
    flashes: NewFlashes | None = None
    """See `SceneResult`."""


@dataclass(frozen=True)
class StabiliseResult:
    """The clean film in stabilise mode, compared with P, the same film painted frame by frame and not
    repaired. All values are means over the film."""

    consistency: float
    steadier: float
    """D_t = 1 - E_warp / E_warp of P (Lai et al. 2018)."""
    steadier_long: float
    """D_t over `metrics.comparison.LONG_GAP` frames."""
    warp_errors: tuple[float, float, float]
    """E_warp of the input, of P and of this film."""
    distance: float
    """Perceptual distance to P."""
    sharpness: float
    """Sharpness over that of P."""
    contrast: float
    """Contrast over that of P."""
    flashes: NewFlashes


@dataclass(frozen=True)
class SubjectResult:
    """Results of one method on one subject."""

    clip: str
    style: str
    method: str
    negatives: Sequence[SceneResult]
    injections: Sequence[InjectionResult]
    detect: Sequence[float] = ()
    """Seconds of single frames without a repair."""
    correct: Sequence[float] = ()
    """Seconds of single frames with a repair."""
    examples: Sequence[Example] = ()
    stabilised: Sequence[StabiliseResult] = ()
    """One result for each consistency."""
