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

PaintSteady = Callable[[Film, float, float], Film]
"""A film, its frames a second, and a consistency in 0..1 to the film as `run --consistency` leaves it."""

Distance = Callable[[Picture, Picture], float]
"""Of two RGB uint8 (H, W, 3), 0 or more."""


@dataclass(frozen=True)
class Painter:
    """One style at one size. paint: a film. restyle: a film in another style. modulate: a film with the
    statistics of the normalisation times a factor for each frame; None where a network has none. steady: a
    film in stabilise mode; None leaves that out. conditions: of each frame of a film; None where it never
    changes."""

    paint: Paint
    restyle: Paint
    modulate: PaintModulated | None = None
    steady: PaintSteady | None = None
    conditions: Callable[[Film], Sequence[StyleCondition] | None] = lambda _film: None


@dataclass(frozen=True)
class Subject:
    """A film, another one of the same length and size to cut to, and how one style paints such films.
    fps: of the film. motion: what each frame uncovers, where that is known and not estimated. distance:
    between pictures, as people see it; None leaves it out, and with it what stabilise mode costs."""

    clip: str
    style: str
    film: Film
    other: Film
    fps: float
    painter: Painter
    motion: Motion | None = None
    distance: Distance | None = None


@dataclass(frozen=True)
class Negative:
    """One scene, judged. scores: per family and per baseline score, float (n,). edges: how many alarms of
    each kind began. alarms: bool (n,), anything was flagged. identical: bool (n,), the corrector left the
    frame as painted. psnr: in dB, of the others. flashes, held: None for other methods than the product; held
    bool (n,), the flash guard changed the frame."""

    scene: str
    minutes: float
    scores: dict[str, NDArray[np.float64]]
    edges: dict[str, int]
    alarms: NDArray[np.bool_]
    identical: NDArray[np.bool_]
    psnr: Sequence[float]
    flashes: NewFlashes | None = None
    held: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Planted:
    """One injected film, judged. scores, flashes: as of a `Negative`. onset, hit: see `Injected`. flagged:
    bool (n,), a kind of the family was found. overlaps: (F1, intersection over union) of the tiles of each
    patch found. repaired: R. ghosts: ghost leak of the frames that were touched and uncovered something."""

    name: str
    family: str
    series: str
    amplitude: float
    scores: dict[str, NDArray[np.float64]]
    onset: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    overlaps: Sequence[tuple[float, float]]
    repaired: float
    ghosts: Sequence[float]
    flashes: NewFlashes | None = None


@dataclass(frozen=True)
class Steadied:
    """The clean film in stabilise mode, compared with P, the same film painted frame by frame and not
    repaired. steadier: D_t = 1 - E_warp / E_warp of P (Lai et al. 2018); steadier_long: over
    `metrics.comparison.LONG_GAP` frames. warp_errors: of the input, of P and of this film. distance: to P.
    sharpness, contrast: over those of P. All are means over the film."""

    consistency: float
    steadier: float
    steadier_long: float
    warp_errors: tuple[float, float, float]
    distance: float
    sharpness: float
    contrast: float
    flashes: NewFlashes


@dataclass(frozen=True)
class Measured:
    """One subject under one method. detect, correct: seconds of single frames, without and with a repair.
    steadied: one for each consistency."""

    clip: str
    style: str
    method: str
    negatives: Sequence[Negative]
    planted: Sequence[Planted]
    detect: Sequence[float] = ()
    correct: Sequence[float] = ()
    examples: Sequence[Example] = ()
    steadied: Sequence[Steadied] = ()
