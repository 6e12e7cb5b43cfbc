"""How each tile of a styled frame changed, and how much of that the input explains.

Formulas: the signed excess of docs/temporal.md. All levels are 0..1 (one level of 255 is 1/255).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import Analysis, BackwardFlow, photometric_mask
from streamstyle.temporal.tiles import TileGrid, Tiles

DARK = 0.02
"""Luma 0..1 below which a relative step means nothing."""

LEAST_TRUST = 0.25
"""Tiles with less of their area in correspondence are not judged."""


@dataclass(frozen=True)
class Change:
    """What happened to one video between two frames, over the trusted pixels of each tile.

    now, before: mean YCrCb, float32 (9, 12, 3), 0..1; `before` was warped onto `now`.
    residue: float32 (9, 12), standard deviation inside the tile of the luma difference.
    slope: float32 (9, 12), root mean square of the `Analysis.gradient` of the past.
    frame: float32 (2, 3), mean YCrCb of the whole pictures before and now, trusted or not, not warped.
    """

    now: Tiles
    before: Tiles
    residue: Tiles
    slope: Tiles
    frame: NDArray[np.float32]

    @cached_property
    def step(self) -> Tiles:
        """Signed change of the means, (9, 12, 3)."""
        return self.now - self.before

    @cached_property
    def own_step(self) -> Tiles:
        """The step without each tile's share in the relative step of the frame's mean luma, float32
        (9, 12, 3)."""
        before, now = self.frame[:, 0]
        own = self.step.copy()
        own[..., 0] -= (now - before) / max(before, np.float32(DARK)) * self.before[..., 0]
        return own

    @cached_property
    def relative_step(self) -> Tiles:
        """|step| of luma as a share of the brightness before, float32 (9, 12)."""
        before = np.maximum(self.before[..., 0], np.float32(DARK))
        return np.asarray(np.abs(self.step[..., 0]) / before, np.float32)

    def offset(self, chroma: NDArray[np.float32]) -> Change:
        """The same change had (Cr, Cb) (2,), 0..1, been added to the present frame."""
        more = np.array([0, *chroma], np.float32)
        return replace(self, now=self.now + more, frame=self.frame + np.stack([0 * more, more]))

    def since(self, means: NDArray[np.float32]) -> Change:
        """The same change had the whole picture had these means (3,) before."""
        return replace(self, frame=np.array((means, self.frame[1])))


@dataclass(frozen=True)
class _Past:
    """An analysis picture warped onto the present, and what is counted of it whatever the present is. means:
    of what the mask leaves, float32 (9, 12, 3), 0..1. slope: see `Change`. frame: mean of the picture itself,
    (3,)."""

    warped: Analysis
    means: Tiles
    slope: Tiles
    frame: NDArray[np.float32]


class Correspondence:
    """The pixels of a frame that are found again in the frame before, and tile statistics over them.

    Made of two analysis pictures of the *input*, luma included, both uint8 YCrCb (h, w, 3).
    flow: float32 (h, w, 2), backward. mask: uint8 (h, w), 255 where pixels correspond.
    trust: float32 (9, 12), share of each tile's pixels that correspond.
    moved: 0..1, mean of min(|flow|, 1): the share of a pixel by which the picture moved. speed: mean of
    min(|flow|, 4), in pixels.
    source: how the input changed. warped: the input's past on the present.
    """

    def __init__(
        self, grid: TileGrid, flow: BackwardFlow, now: Analysis, before: Analysis, tolerance: float
    ) -> None:
        self._grid = grid
        self.flow = flow.estimate(now.luma, before.luma)
        self._positions = flow.positions(self.flow)
        speed = cv2.magnitude(self.flow[..., 0], self.flow[..., 1])
        self.moved, self.speed = (
            cv2.mean(cv2.threshold(speed, limit, 0, cv2.THRESH_TRUNC)[1])[0] for limit in (1, 4)
        )
        self.warped = before.warped(self._positions)
        self.mask = photometric_mask(now.luma, self.warped.luma, self._positions, tolerance)
        self.trust = grid.mean(self.mask) / np.float32(255)
        self._share = np.maximum(self.trust, np.float32(1e-3)) * np.float32(255)
        self._trusted = max(float(self.trust.sum()), 1.0)
        self._styled_before: Analysis | None = None
        self.source = self._change(now, self._past(before, self.warped))

    def styled(self, now: Analysis, before: Analysis) -> Change:
        """How the styled video changed between the same two frames."""
        if before is not self._styled_before:
            self._styled_before = before
            self._styled_past = self._past(before, before.warped(self._positions))
        return self._change(now, self._styled_past)

    def mean(self, values: Tiles) -> float:
        """Of values (9, 12), over what is trusted."""
        return float(np.vdot(self.trust, values)) / self._trusted

    def _past(self, before: Analysis, warped: Analysis) -> _Past:
        return _Past(warped, self._means(warped), np.sqrt(before.edges(self._grid)), before.mean)

    def _change(self, now: Analysis, past: _Past) -> Change:
        means = self._means(now)
        # The square does not mind the sign that a difference of uint8 loses.
        distance = self._masked(cv2.absdiff(now.luma, past.warped.luma))
        square = self._grid.mean_square(distance) / (self._share * np.float32(255))
        step = means[..., 0] - past.means[..., 0]
        residue = np.sqrt(np.maximum(square - step * step, 0))
        return Change(means, past.means, residue, past.slope, np.array((past.frame, now.mean)))

    def _means(self, picture: Analysis) -> Tiles:
        """Over the trusted pixels of each tile, float32 (9, 12, 3), 0..1."""
        return np.asarray(self._grid.mean(self._masked(picture.pixels)) / self._share[..., None], np.float32)

    def _masked(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values (h, w) or (h, w, 3) with 0 outside the mask."""
        return np.asarray(cv2.copyTo(values, self.mask), np.uint8)
