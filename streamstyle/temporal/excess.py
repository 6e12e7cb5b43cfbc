"""How each tile of a styled frame changed, and how much of that the input explains.

Formulas: the signed excess of docs/temporal.md. All levels are 0..1 (one level of 255 is 1/255).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import BackwardFlow, luma_of, photometric_mask, warp
from streamstyle.temporal.tiles import TileGrid, Tiles
from streamstyle.types import Picture

DARK = 0.02
"""Luma 0..1 below which a relative step means nothing."""

LEAST_TRUST = 0.25
"""Tiles with less of their area in correspondence are not judged."""


@dataclass(frozen=True)
class Change:
    """What happened to one video between two frames, over the trusted pixels of each tile.

    now, before: mean YCrCb, float32 (9, 12, 3), 0..1; `before` was warped onto `now`.
    residue: float32 (9, 12), standard deviation inside the tile of the luma difference.
    frame: float32 (2, 3), mean YCrCb of the whole pictures before and now, trusted or not, not warped.
    """

    now: Tiles
    before: Tiles
    residue: Tiles
    frame: NDArray[np.float32]

    @property
    def step(self) -> Tiles:
        """Signed change of the means, (9, 12, 3)."""
        return self.now - self.before

    @property
    def common_step(self) -> Tiles:
        """How each tile's luma would have changed, had all changed as the frame's mean did: float32
        (9, 12, 3), 0 in chroma."""
        before, now = self.frame[:, 0]
        common = np.zeros_like(self.before)
        common[..., 0] = (now - before) / max(float(before), DARK) * self.before[..., 0]
        return common

    def offset(self, chroma: NDArray[np.float32]) -> Change:
        """The same change had (Cr, Cb) (2,), 0..1, been added to the present frame."""
        more = np.array([0, *chroma], np.float32)
        return replace(self, now=self.now + more, frame=self.frame + np.stack([0 * more, more]))

    def since(self, means: NDArray[np.float32]) -> Change:
        """The same change had the whole picture had these means (3,) before."""
        return replace(self, frame=np.stack([means, self.frame[1]]))


def relative_step(change: Change) -> Tiles:
    """|step| of luma as a share of the brightness before, float32 (9, 12)."""
    return np.asarray(np.abs(change.step[..., 0]) / np.maximum(change.before[..., 0], DARK), np.float32)


class Correspondence:
    """The pixels of a frame that are found again in the frame before, and tile statistics over them.

    Made of two analysis pictures of the *input*, luma included, both uint8 YCrCb (h, w, 3).
    flow: float32 (h, w, 2), backward. mask: uint8 (h, w), 255 where pixels correspond.
    trust: float32 (9, 12), share of each tile's pixels that correspond.
    moved: 0..1, mean of min(|flow|, 1): the share of a pixel by which the picture moved. speed: mean of
    min(|flow|, 4), in pixels.
    source: how the input changed. warped: the input's past on the present, uint8 YCrCb (h, w, 3).
    """

    def __init__(
        self, grid: TileGrid, flow: BackwardFlow, now: Picture, before: Picture, tolerance: float
    ) -> None:
        self._grid = grid
        luma = luma_of(now)
        self.flow = flow.estimate(luma, luma_of(before))
        self._positions = flow.positions(self.flow)
        speed = cv2.magnitude(self.flow[..., 0], self.flow[..., 1])
        self.moved, self.speed = (float(np.minimum(speed, limit).mean()) for limit in (1, 4))
        self.warped = warp(before, self._positions)
        self.mask = photometric_mask(luma, luma_of(self.warped), self._positions, tolerance)
        self.trust = grid.mean(self.mask) / np.float32(255)
        self._styled_before: Picture | None = None
        self.source = self._change(now, self._past(before, self.warped))

    def styled(self, now: Picture, before: Picture) -> Change:
        """How the styled video changed between the same two frames (analysis pictures)."""
        if before is not self._styled_before:
            self._styled_before = before
            self._styled_past = self._past(before, warp(before, self._positions))
        return self._change(now, self._styled_past)

    def mean(self, values: Tiles) -> float:
        """Of values (9, 12), over what is trusted."""
        return float((self.trust * values).sum() / max(float(self.trust.sum()), 1.0))

    def _past(self, before: Picture, warped: Picture) -> tuple[Picture, Tiles, NDArray[np.float32]]:
        """Masked picture, its means over tiles, and the mean of the whole; the same for every present."""
        masked = self._masked(warped)
        return masked, self._grid.mean(masked), frame_means(before)

    def _change(self, now: Picture, past: tuple[Picture, Tiles, NDArray[np.float32]]) -> Change:
        share = np.maximum(self.trust, 1e-3) * np.float32(255)
        here, (there, before, frame) = self._masked(now), past
        means_now = self._grid.mean(here) / share[..., None]
        means_before = before / share[..., None]
        # The square does not mind the sign that a difference of uint8 loses.
        distance = cv2.absdiff(luma_of(here), luma_of(there))
        square = self._grid.mean_square(np.asarray(distance, np.uint8))
        step = means_now[..., 0] - means_before[..., 0]
        residue = np.sqrt(np.maximum(square / (share * np.float32(255)) - step * step, 0))
        frames = np.stack([frame, frame_means(now)])
        return Change(means_now, means_before, np.asarray(residue, np.float32), frames)

    def _masked(self, picture: Picture) -> Picture:
        """The picture with 0 outside the mask."""
        return np.asarray(cv2.copyTo(picture, self.mask), np.uint8)


def frame_means(picture: Picture) -> NDArray[np.float32]:
    """Mean of each channel of an analysis picture, float32 (3,), 0..1."""
    return np.array(cv2.mean(picture)[:3], np.float32) / np.float32(255)
