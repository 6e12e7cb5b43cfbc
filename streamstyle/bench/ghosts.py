"""Ghost leak: how much of the past shows where the scene has just uncovered something new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.injections import Film
from streamstyle.metrics.warp_error import correspondence
from streamstyle.types import Picture

UNLIKE = 20.0
"""Levels by which a pixel must differ from its warped past to count as uncovered by an estimated flow."""

LEAST_PIXELS = 200
LEAST_CONTRAST = 25.0
"""Mean square in levels between past and present, below which no ghost would show."""


@dataclass(frozen=True)
class Uncovered:
    """positions: float32 (H, W, 2), where each pixel of a frame was in the frame before. hidden: bool
    (H, W), it could not be seen there."""

    positions: NDArray[np.float32]
    hidden: NDArray[np.bool_]


Motion = Callable[[int], Uncovered]
"""The part that frame `index` of a film, 1 or more, uncovered."""


def estimated_motion(film: Film) -> Motion:
    """Motion by flow at full size (`metrics.warp_error.correspondence`). What the flow does not explain but
    the past looks like all the same was seen: a ghost there could not be told from the truth."""
    known: dict[int, Uncovered] = {}

    def of(index: int) -> Uncovered:
        if index not in known:
            match = correspondence(film[index], film[index - 1])
            rest = cv2.absdiff(brought(film[index - 1], match.positions), film[index]).max(axis=2)
            known[index] = Uncovered(match.positions, ~match.visible & (rest >= UNLIKE))
        return known[index]

    return of


def brought(past: Picture, positions: NDArray[np.float32]) -> Picture:
    """The past (H, W, 3) where its pixels are now; edges are replicated."""
    columns, rows = (np.ascontiguousarray(positions[..., i]) for i in (0, 1))
    moved = cv2.remap(past, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def ghost_leak(corrected: Picture, injected: Picture, past: Picture, new: Uncovered) -> float | None:
    """`clip(<C - X, W_prev - X> / |W_prev - X|^2, 0, 1)` over the uncovered pixels.

    C `corrected`, X `injected` as it was painted, W_prev the frame `past` that left before, along the motion;
    RGB uint8 (H, W, 3). 0: nothing of the past; 1: the past itself. None where too little was uncovered.
    """
    hidden = new.hidden
    if int(hidden.sum()) < LEAST_PIXELS:
        return None
    here = injected[hidden].astype(np.float64)
    way = brought(past, new.positions)[hidden] - here
    power = float((way * way).mean())
    if power < LEAST_CONTRAST:
        return None
    product: NDArray[np.float64] = (corrected[hidden] - here) * way
    return float(np.clip(product.mean() / power, 0, 1))
