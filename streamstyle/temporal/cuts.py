"""Cuts of the input, told apart from flashes without looking ahead."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import luma_of
from streamstyle.types import Picture

FLAT = 4.0
"""Standard deviation in levels below which a picture is too flat to be like or unlike another."""


@dataclass(frozen=True)
class CutConfig:
    """trust: least share of pixels that flow and mask find again within a shot. likeness: least correlation
    with the warped past within a shot, and of a frame with the one before a flash."""

    trust: float = 0.78
    likeness: float = 0.80


def small_luma(picture: Picture) -> NDArray[np.float32]:
    """Analysis picture YCrCb (h, w, 3) to luma (36, 64), float32 0..255."""
    return np.asarray(cv2.resize(luma_of(picture), (64, 36), interpolation=cv2.INTER_AREA), np.float32)


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Zero-mean normalised correlation of two pictures, -1..1; 1 where both are flat.

    Blind to gain and offset, so an exposure step or a strobe does not look like a cut.
    """
    a, b = one - one.mean(), other - other.mean()
    spread_a, spread_b = float(np.sqrt((a * a).mean())), float(np.sqrt((b * b).mean()))
    if spread_a < FLAT and spread_b < FLAT:
        return 1.0
    return float((a * b).mean()) / max(spread_a * spread_b, FLAT * FLAT)


def is_cut(trust: float, now: NDArray[np.float32], warped: NDArray[np.float32], config: CutConfig) -> bool:
    """Is this another shot, or a flash? Tuned for recall: nothing is flagged on such a frame.

    trust: share of pixels that flow and mask found again. now, warped: small lumas.
    """
    return trust < config.trust or likeness(now, warped) < config.likeness


def is_return(
    now: NDArray[np.float32], flash: NDArray[np.float32], before: NDArray[np.float32], config: CutConfig
) -> bool:
    """Is `now` the shot that `before` the apparent cut was? Then `flash` was no cut. Small lumas."""
    back = float(np.abs(now - before).mean())
    away = float(np.abs(now - flash).mean())
    return back < 0.5 * away and likeness(now, before) > config.likeness
