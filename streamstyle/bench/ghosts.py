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

MIN_PIXELS = 200
MIN_CONTRAST = 25.0
"""Mean square in levels between past and present, below which no ghost would show."""


@dataclass(frozen=True)
class Uncovered:
    """The pixels that a frame uncovers: those that could not be seen in the frame before."""

    positions: NDArray[np.float32]
    """float32 (H, W, 2), the place of each pixel of the frame in the frame before."""
    hidden: NDArray[np.bool_]
    """bool (H, W), True where the pixel could not be seen there."""


Motion = Callable[[int], Uncovered]
"""The part that frame `index` of a film, 1 or more, uncovered."""


def estimated_motion(film: Film) -> Motion:
    """Motion by flow at full size (`metrics.warp_error.correspondence`). Pixels that the flow does not
    explain, but that equal the past anyway, do not count as uncovered: a ghost there would look like the
    truth."""
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

    C `corrected`, X `injected` as painted, W_prev the previous output `past`, warped along the motion; RGB
    uint8 (H, W, 3). 0: nothing of the past; 1: the past itself. None if too little was uncovered.
    """
    hidden = new.hidden
    if int(hidden.sum()) < MIN_PIXELS:
        return None
    here = injected[hidden].astype(np.float64)
    way = brought(past, new.positions)[hidden] - here
    power = float((way * way).mean())
    if power < MIN_CONTRAST:
        return None
    product: NDArray[np.float64] = (corrected[hidden] - here) * way
    return float(np.clip(product.mean() / power, 0, 1))
