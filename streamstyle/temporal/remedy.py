"""The tile gains and chroma offsets that undo a step, and how long they are held.

Gain: `g_k = (<m W O_before> + kappa s_I) / <m P_now>`, which makes the excess of the tile 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.excess import Change, Correspondence
from streamstyle.temporal.judgement import Verdict
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles

DARK = 4 / 255

LEAST_OFFSET = 0.5
"""Chroma offsets below half a level are left out: rounding would swallow them."""


@dataclass(frozen=True)
class RemedyConfig:
    """least, most: limits of the gain. offset: limit of a chroma offset, levels of 0..255.
    hold_frames: a tile flagged for longer has changed for good (that is no flicker); from then on the
    share `fade` of the remaining difference is kept each frame, which brings it to 4 % in half a second.
    own: how far a tile follows its own gain rather than the common one when the whole frame is flagged.
    """

    least: float = 0.6
    most: float = 1.6
    offset: float = 24.0
    hold_frames: int = 12
    fade: float = 0.8
    own: float = 0.5


class Remedy:
    """Holds how long each tile has been flagged without a change of sign."""

    def __init__(self, config: RemedyConfig) -> None:
        self._config = config
        self._held = np.zeros((ROWS, COLUMNS), np.int32)
        self._sign = np.zeros((ROWS, COLUMNS), np.float32)

    def tiles(
        self, matched: Correspondence, change: Change, verdict: Verdict, kappa: NDArray[np.float32]
    ) -> tuple[Tiles, Tiles]:
        """Gain (9, 12) and chroma offset (9, 12, 2) in levels; exactly 1 and 0 in tiles not flagged."""
        gain = np.ones((ROWS, COLUMNS), np.float32)
        offset = np.zeros((ROWS, COLUMNS, 2), np.float32)
        if not verdict.tiles.any():
            return gain, offset
        config = self._config
        weight = np.maximum(verdict.excess.weight, np.float32(1e-4))
        expected = change.before + kappa * matched.source.step
        luma = expected[..., 0]
        own = np.clip(luma / np.maximum(change.now[..., 0], DARK), config.least, config.most)
        wanted = own
        if verdict.common:
            total = float((weight * luma).sum() / np.maximum((weight * change.now[..., 0]).sum(), DARK))
            follow = np.where(verdict.excess.weight > 0, config.own, 0)
            follow = np.where(verdict.ratio > verdict.edge, np.maximum(follow, 1), follow)
            wanted = np.clip(total + follow * (own - total), config.least, config.most)
        chroma = change.now[..., 1:] - np.float32(128 / 255)
        rest = np.float32(255) * (expected[..., 1:] - np.float32(128 / 255) - wanted[..., None] * chroma)
        if verdict.common:
            mean = (weight[..., None] * rest).sum(axis=(0, 1)) / weight.sum()
            rest = mean + follow[..., None] * (rest - mean)
        fade = np.where(self._held >= config.hold_frames, config.fade, 1.0).astype(np.float32)
        gain = np.where(verdict.tiles, 1 + fade * (wanted - 1), 1).astype(np.float32)
        rest = np.clip(fade[..., None] * rest, -config.offset, config.offset)
        seen = verdict.tiles[..., None] & (np.abs(rest) > LEAST_OFFSET)
        return gain, np.where(seen, rest, 0).astype(np.float32)

    def learn(self, verdict: Verdict) -> None:
        """Take the frame in."""
        sign = np.sign(verdict.excess.signed[..., 0])
        if verdict.common:
            sign = np.full_like(sign, verdict.sign)
        goes_on = verdict.tiles & ((sign == self._sign) | (self._held == 0))
        self._held = np.where(goes_on, self._held + 1, verdict.tiles).astype(np.int32)
        self._sign = np.where(verdict.tiles, sign, 0).astype(np.float32)
