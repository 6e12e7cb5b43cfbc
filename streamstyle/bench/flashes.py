"""Flashes that can hurt, which a painting has and its film has not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.injections import Film
from streamstyle.temporal.flash_limiter import FLASH_AREA, FlashMeter, failing_share, relative_luminance


@dataclass(frozen=True)
class NewFlashes:
    """Counts of frames that fail the general-flash test where those of the input pass."""

    frames: int
    """Number of frames of the film."""
    painted: int
    """Number of failing frames as they were painted or injected."""
    left: int
    """Number of failing frames as they left."""


def failing(film: Film, fps: float) -> NDArray[np.bool_]:
    """bool (n,): frames of RGB uint8 (H, W, 3) that fail the general-flash test of WCAG 2.2 (2.3.1)."""
    meter = FlashMeter()
    found = np.zeros(len(film), np.bool_)
    for index, picture in enumerate(film):
        luminance = relative_luminance(picture)
        found[index] = failing_share(meter.check(luminance, index / fps)) >= FLASH_AREA
        meter.take(luminance, index / fps)
    return found


def new_flashes(fails: NDArray[np.bool_], painted: Film, left: Film, fps: float) -> NewFlashes:
    """Compare films of one length, frame by frame. fails: bool (n,), `failing` of their input."""
    counts = (int((failing(film, fps) & ~fails).sum()) for film in (painted, left))
    return NewFlashes(len(fails), *counts)
