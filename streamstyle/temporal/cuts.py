"""Cuts of the input, told apart from flashes without lookahead."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import halved

FLAT_DEVIATION = 4.0
"""Standard deviation in levels below which a picture is too flat to be compared."""


@dataclass(frozen=True)
class CutConfig:
    """Limits between a shot and a cut."""

    trust: float = 0.78
    """Least share of pixels that flow and mask find again within a shot."""
    likeness: float = 0.80
    """Least correlation with the warped previous frame within a shot, and of a frame with the one before a
    flash."""


def small_luma(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma (h, w) of an analysis picture to (36, 64), float32 0..255."""
    smaller = cv2.resize(halved(luma, (36, 64)), (64, 36), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.float32)


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Zero-mean normalised correlation of two pictures, -1..1; 1 where both are flat.

    Blind to gain and offset, so an exposure step or a strobe does not look like a cut.
    """
    a, b = (each - np.float32(cv2.mean(each)[0]) for each in (one, other))
    spread_a, spread_b = (math.sqrt(cv2.norm(each, cv2.NORM_L2SQR) / each.size) for each in (a, b))
    if spread_a < FLAT_DEVIATION and spread_b < FLAT_DEVIATION:
        return 1.0
    return float(np.vdot(a, b) / a.size) / max(spread_a * spread_b, FLAT_DEVIATION * FLAT_DEVIATION)


def is_cut(trust: float, now: NDArray[np.float32], warped: NDArray[np.float32], config: CutConfig) -> bool:
    """True for the first frame of another shot, or a flash. Tuned for recall: nothing is flagged on such a
    frame.

    trust: share of pixels that flow and mask found again. now, warped: small lumas.
    """
    return trust < config.trust or likeness(now, warped) < config.likeness


def is_return(
    now: NDArray[np.float32], flash: NDArray[np.float32], before: NDArray[np.float32], config: CutConfig
) -> bool:
    """True if `now` belongs to the shot of `before`, so that `flash` was no cut. Small lumas."""
    back, away = (cv2.norm(now, other, cv2.NORM_L1) for other in (before, flash))
    return back < 0.5 * away and likeness(now, before) > config.likeness
