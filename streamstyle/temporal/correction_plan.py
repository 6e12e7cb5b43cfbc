"""Tile gains and chroma offsets that undo a step, and how long they are held.

Gain: `g_k = (<m W O_before> + the step that the input explains) / <m P_now>`, which removes the residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.residual import MEDIUM, Change
from streamstyle.temporal.step_test import FADE, HOLD_FRAMES, StepResult
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles

DARK = 4 / 255

MIN_OFFSET = 0.5
"""Chroma offsets below half a level are left out: rounding would remove them."""


@dataclass(frozen=True)
class CorrectionPlanConfig:
    """Settings of `CorrectionPlanner`."""

    least: float = 0.6
    """Least gain."""
    most: float = 1.6
    """Largest gain."""
    offset: float = 24.0
    """Largest chroma offset, in levels of 0..255."""
    least_chroma: float = 0.005
    """Common step of chroma, relative to medium brightness, that may be chance."""
    nothing: float = 0.012
    """Distance of a gain from 1 below which a repair that is being released ends. A repair is released after
    HOLD_FRAMES, or when its tile is no longer flagged, and ends within HOLD_FRAMES: later changes of the
    picture must not keep it alive."""
    smoothing: float = 0.0
    """0..1, share of the gain that every tile gets, flagged or not."""


@dataclass(frozen=True)
class CorrectionPlan:
    """Correction of each tile."""

    gain: Tiles
    """(9, 12): exactly 1 in untouched tiles."""
    offset: Tiles
    """(9, 12, 2): to be added to (Cr, Cb) in levels of 0..255; exactly 0 in untouched tiles."""

    @cached_property
    def touched(self) -> NDArray[np.bool_]:
        """bool (9, 12): the tiles that change."""
        return np.asarray((self.gain != 1) | (self.offset != 0).any(axis=-1), np.bool_)


_NOTHING = np.zeros((ROWS, COLUMNS), np.int32)
NO_CORRECTION = CorrectionPlan(np.ones((ROWS, COLUMNS), np.float32), np.zeros((ROWS, COLUMNS, 2), np.float32))


class CorrectionPlanner:
    """Plans corrections, and tracks how long each tile has been corrected.

    A correction answers a *step*. While the frame stays away from its history without another step, the
    correction is held constant, so that the picture's own changes come through.
    """

    def __init__(self, config: CorrectionPlanConfig) -> None:
        self._config = config
        self._held = self._releasing = _NOTHING
        self._last = NO_CORRECTION

    def plan(
        self,
        change: Change,
        result: StepResult,
        stepped: NDArray[np.bool_],
    ) -> CorrectionPlan:
        """The correction of a frame; no effect. change, result: against the history as it left. stepped: bool
        (9, 12), tiles that stepped against the history as it was painted."""
        config = self._config
        releasing = (self._held > 0) & ~result.tiles
        touched = result.tiles | releasing | (config.smoothing > 0)
        if not touched.any():
            return NO_CORRECTION
        wanted = self._wanted(change, result, whole=bool(touched.all()))
        held = result.tiles & (self._held > 0) & ~stepped
        gain = np.where(held, self._last.gain, wanted.gain)
        offset = np.where(held[..., None], self._last.offset, wanted.offset)
        # Smoothing removes only a part, otherwise intended changes of the style would never appear.
        release = FADE * np.maximum(1 - (self._releasing + 1) / HOLD_FRAMES, 0)
        share = np.where(result.tiles, 1.0, np.where(releasing, release, 0.95 * config.smoothing))
        share = np.where(self._held >= HOLD_FRAMES, np.minimum(share, FADE), share)
        gain = np.where(touched, 1 + share * (gain - 1), 1)
        if not config.smoothing:
            gain = np.where(releasing & (np.abs(gain - 1) < config.nothing), 1, gain)
        offset = np.clip(share[..., None] * offset, -config.offset, config.offset)
        seen = touched[..., None] & (np.abs(offset) > MIN_OFFSET)
        return CorrectionPlan(gain.astype(np.float32), np.where(seen, offset, 0).astype(np.float32))

    def _wanted(self, change: Change, result: StepResult, *, whole: bool) -> CorrectionPlan:
        """The correction that makes the residual of every tile 0, as far as it is certain."""
        config, weight = self._config, result.residual.weight
        whole = bool(weight.any()) and (whole or result.common)
        expected = change.before + result.residual.explained
        own = expected[..., 0] / np.maximum(change.now[..., 0], DARK)
        total = 1 / max(1 + float(result.residual.common[0]), 1 / config.most) if whole else 1.0
        # With a common step a tile deviates from it only if that is certain. A tile that is flagged
        # for its neighbours' step and hardly changed itself is better left unchanged.
        sigmas = 1.0 if config.smoothing else 3.0 if whole else 2.0
        sure = _shrinkage((own - total) * expected[..., 0] / sigmas, weight)
        gain = np.clip(total + sure * (own - total), config.least, config.most)
        chroma = change.now[..., 1:] - np.float32(128 / 255)
        rest = expected[..., 1:] - np.float32(128 / 255) - gain[..., None] * chroma
        shared = np.zeros(2, np.float32)
        if whole:
            shared = (weight[..., None] * rest).sum(axis=(0, 1)) / weight.sum()
            shared *= _shrinkage(shared, 1 / (MEDIUM * config.least_chroma) ** 2)
        rest = shared + _shrinkage(rest - shared, weight[..., None]) * (rest - shared)
        return CorrectionPlan(gain.astype(np.float32), np.asarray(np.float32(255) * rest, np.float32))

    def learn(self, result: StepResult, stepped: NDArray[np.bool_], plan: CorrectionPlan) -> None:
        """Take the frame in."""
        if plan is NO_CORRECTION:
            self._held, self._releasing, self._last = _NOTHING, _NOTHING, plan
            return
        tiles = result.tiles if self._config.smoothing else plan.touched
        anew = result.tiles & stepped
        self._held = np.where(tiles, np.where(anew, 1, self._held + 1), 0).astype(np.int32)
        self._releasing = np.where(result.tiles | ~plan.touched, 0, self._releasing + 1).astype(np.int32)
        self._last = plan


def _shrinkage(step: NDArray[Any], weight: NDArray[Any] | float) -> NDArray[Any]:
    """Share of an estimate that is to be followed, 0..1: `max(0, 1 - 1 / z^2)`, z the estimate in standard
    deviations, weight its inverse variance (the positive part of James and Stein 1961)."""
    return np.asarray(np.maximum(0, 1 - 1 / np.maximum(step * step * weight, 1e-6)), np.float32)
