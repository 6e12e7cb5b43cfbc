"""The tile gains and chroma offsets that undo a step, and how long they are held.

Gain: `g_k = (<m W O_before> + kappa s_I) / <m P_now>`, which makes the excess of the tile 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.excess import Change, Correspondence
from streamstyle.temporal.judgement import MEDIUM, Verdict
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles

DARK = 4 / 255

LEAST_OFFSET = 0.5
"""Chroma offsets below half a level are left out: rounding would swallow them."""


@dataclass(frozen=True)
class RemedyConfig:
    """least, most: limits of the gain. offset: limit of a chroma offset, levels of 0..255.
    least_chroma: common step of chroma, relative to medium brightness, that may be chance.
    hold_frames: a tile flagged for longer has changed for good (that is no flicker); from then on the
    share `fade` of the remaining difference is kept each frame, which brings it to 4 % in half a second. A
    tile that is no longer flagged is let go likewise, until its gain is within `nothing` of 1.
    """

    least: float = 0.6
    most: float = 1.6
    offset: float = 24.0
    least_chroma: float = 0.005
    hold_frames: int = 12
    fade: float = 0.8
    nothing: float = 0.012


class Remedy:
    """Holds how long each tile has been flagged without a change of sign."""

    def __init__(self, config: RemedyConfig) -> None:
        self._config = config
        self._held = np.zeros((ROWS, COLUMNS), np.int32)
        self._sign = np.zeros((ROWS, COLUMNS), np.float32)

    def tiles(
        self, matched: Correspondence, change: Change, verdict: Verdict, kappa: NDArray[np.float32]
    ) -> tuple[Tiles, Tiles]:
        """Gain (9, 12) and chroma offset (9, 12, 2) in levels; exactly 1 and 0 in tiles that are neither
        flagged nor being let go."""
        easing = (self._held > 0) & ~verdict.tiles
        touched = verdict.tiles | easing
        if not touched.any():
            return np.ones((ROWS, COLUMNS), np.float32), np.zeros((ROWS, COLUMNS, 2), np.float32)
        config, weight = self._config, verdict.excess.weight
        expected = change.before + kappa * matched.source.step
        own = expected[..., 0] / np.maximum(change.now[..., 0], DARK)
        whole = verdict.common or (bool(easing.all()) and bool(weight.any()))
        total = 1 / max(1 + float(verdict.steps.common[0]), 1 / config.most) if whole else 1.0
        sure = _shrinkage((own - total) * expected[..., 0], weight)
        wanted = np.clip(total + sure * (own - total), config.least, config.most)
        chroma = change.now[..., 1:] - np.float32(128 / 255)
        rest = expected[..., 1:] - np.float32(128 / 255) - wanted[..., None] * chroma
        shared = np.zeros(2, np.float32)
        if whole and weight.any():
            shared = (weight[..., None] * rest).sum(axis=(0, 1)) / weight.sum()
            shared *= _shrinkage(shared, 1 / (MEDIUM * config.least_chroma) ** 2)
        rest = np.float32(255) * (shared + _shrinkage(rest - shared, weight[..., None]) * (rest - shared))
        fade = np.where(easing | (self._held >= config.hold_frames), config.fade, 1.0).astype(np.float32)
        gain = np.where(touched, 1 + fade * (wanted - 1), 1).astype(np.float32)
        gain = np.where(easing & (np.abs(gain - 1) < config.nothing), np.float32(1), gain)
        rest = np.clip(fade[..., None] * rest, -config.offset, config.offset)
        seen = touched[..., None] & (np.abs(rest) > LEAST_OFFSET)
        return gain, np.where(seen, rest, 0).astype(np.float32)

    def learn(self, verdict: Verdict, touched: NDArray[np.bool_]) -> None:
        """Take the frame in; touched: bool (9, 12), the tiles that were repaired."""
        sign = np.sign(verdict.excess.signed[..., 0])
        if verdict.common:
            sign = np.full_like(sign, verdict.sign)
        turned = verdict.tiles & (sign != self._sign) & (self._sign != 0)
        self._held = np.where(touched, np.where(turned, 1, self._held + 1), 0).astype(np.int32)
        self._sign = np.where(verdict.tiles, sign, np.where(touched, self._sign, 0)).astype(np.float32)


def _shrinkage(step: NDArray[Any], weight: NDArray[Any] | float) -> NDArray[Any]:
    """How far an estimate is to be followed, 0..1: `max(0, 1 - 1 / z^2)`, z the estimate in standard
    deviations, weight its inverse variance (the positive part of James and Stein 1961)."""
    return np.asarray(np.maximum(0, 1 - 1 / np.maximum(step * step * weight, 1e-6)), np.float32)
