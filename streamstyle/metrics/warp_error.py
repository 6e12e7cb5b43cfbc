"""Warping error: changes of pixels of a film that are the same according to the input."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture


@dataclass(frozen=True)
class FlowMatch:
    """Position of each pixel of a frame in a later one."""

    positions: NDArray[np.float32]
    """(H, W, 2): (x, y) in pixels of the later frame."""
    visible: NDArray[np.bool_]
    """(H, W): False if the pixel is occluded, at a motion boundary or outside the later frame."""


def correspondence(now: Picture, later: Picture) -> FlowMatch:
    """Flow between two frames, RGB uint8 (H, W, 3), both ways: dense inverse search (Kroeger et al. 2016),
    "medium", at full size.

    With a the forward flow and b the backward flow at x + a, a pixel is left out where
    |a + b|^2 > 0.01 (|a|^2 + |b|^2) + 0.5 (occlusion) or
    |grad a_x|^2 + |grad a_y|^2 > 0.01 |a|^2 + 0.002 (motion boundary): Ruder et al. 2016, eq. 5 and 6,
    as Lai et al. 2018 use them.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (now, later))
    ahead = search.calc(first, second, None)  # type: ignore[call-overload]
    back = search.calc(second, first, None)  # type: ignore[call-overload]
    height, width = first.shape
    rows, columns = np.mgrid[:height, :width]
    positions = ahead + np.stack([columns, rows], axis=-1).astype(np.float32)
    back_there = cv2.remap(back, positions, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    length = _square(ahead)
    occluded = _square(ahead + back_there) > 0.01 * (length + _square(back_there)) + 0.5
    slope = _square(np.diff(ahead, axis=0, append=ahead[-1:]))
    slope += _square(np.diff(ahead, axis=1, append=ahead[:, -1:]))
    inside = ((positions >= 0) & (positions <= (width - 1, height - 1))).all(axis=-1)
    return FlowMatch(positions, inside & ~occluded & (slope <= 0.01 * length + 0.002))


def _square(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((vectors**2).sum(axis=-1), np.float32)


def pair_error(now: Picture, later: Picture, match: FlowMatch) -> float:
    """Mean squared difference, in [0, 1], between the visible pixels of `now` and the same pixels in `later`.

    RGB uint8 (H, W, 3), values taken as 0..1, mean over channels: the warping error of Lai et al. 2018. nan
    if no pixel is visible.
    """
    if not match.visible.any():
        return float("nan")
    warped = cv2.remap(later.astype(np.float32), match.positions, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    change = (warped - now)[match.visible]
    return float(np.mean(change**2, dtype=np.float64) / 255**2)


class WarpError:
    """Mean of `pair_error` over all pairs of frames that are `gap` frames apart, for films painted from one
    source; the flow is the source's. Holds `gap` frames of each film.

    Values of different papers, flows and sizes are not comparable; those of one source are.
    """

    def __init__(self, gap: int = 1) -> None:
        self.gap = gap
        self._past: deque[tuple[Picture, ...]] = deque(maxlen=gap)
        self._errors: list[list[float]] = []

    def add(self, source: Picture, *films: Picture) -> None:
        """Add the next frame of the source and of every film, RGB uint8 (H, W, 3), all of one size."""
        frames = (source, *films)
        if len(self._past) == self.gap:
            earlier = self._past[0]
            match = correspondence(earlier[0], source)
            # A pair without a visible pixel (a cut) says nothing of any film.
            if match.visible.any():
                pairs = zip(earlier, frames, strict=True)
                self._errors.append([pair_error(before, after, match) for before, after in pairs])
        self._past.append(frames)

    def means(self) -> tuple[float, ...]:
        """The source's own error (the floor: noise, interpolation, light), then that of each film. Empty if
        no pair of frames was comparable."""
        return tuple(float(mean) for mean in np.mean(self._errors, axis=0)) if self._errors else ()
