"""What is measured, and what a measurement leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.examples import Example
from streamstyle.bench.ghosts import Motion
from streamstyle.bench.injections import Film, Paint, PaintModulated


@dataclass(frozen=True)
class Painter:
    """One style at one size. paint: a film. restyle: a film in another style. modulate: a film with the
    statistics of the normalisation times a factor for each frame; None where a network has none."""

    paint: Paint
    restyle: Paint
    modulate: PaintModulated | None = None


@dataclass(frozen=True)
class Subject:
    """A film, another one of the same length and size to cut to, and how one style paints such films.
    fps: of the film. motion: what each frame uncovers, where that is known and not estimated."""

    clip: str
    style: str
    film: Film
    other: Film
    fps: float
    painter: Painter
    motion: Motion | None = None


@dataclass(frozen=True)
class Negative:
    """One scene, judged. scores: per family and per baseline score, float (n,). edges: how many alarms of
    each kind began. alarms: bool (n,), anything was flagged. identical: bool (n,), the frame left as painted.
    psnr: in dB, of the others."""

    scene: str
    minutes: float
    scores: dict[str, NDArray[np.float64]]
    edges: dict[str, int]
    alarms: NDArray[np.bool_]
    identical: NDArray[np.bool_]
    psnr: Sequence[float]


@dataclass(frozen=True)
class Planted:
    """One injected film, judged. scores: as of a `Negative`. onset, hit: see `Injected`. flagged: bool (n,),
    a kind of the family was found. overlaps: (F1, intersection over union) of the tiles of each patch found.
    repaired: R. ghosts: ghost leak of the frames that were touched and uncovered something."""

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


@dataclass(frozen=True)
class Measured:
    """One subject under one method. detect, correct: seconds of single frames, without and with a repair."""

    clip: str
    style: str
    method: str
    negatives: Sequence[Negative]
    planted: Sequence[Planted]
    detect: Sequence[float] = ()
    correct: Sequence[float] = ()
    examples: Sequence[Example] = ()
