"""Scores of tile steps: the significance of the residual, and the flagged tiles.

The residual of a tile is weighted by its uncertainty, and tested as a common factor of brightness over
windows of tiles (a matched filter; Turin 1960): strokes that come and go have both signs and average out, a
flicker has one. docs/temporal.md has the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.gain import StyleGain
from streamstyle.temporal.residual import (
    MEDIUM,
    Change,
    Correspondence,
    Residual,
    StepTestConfig,
    frame_error,
    residual,
)
from streamstyle.temporal.texture import TextureGain, expected_variation
from streamstyle.temporal.threshold import RunningThreshold
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles

WINDOW = 2
"""Side of the windows of the local score, in tiles."""

HOLD_FRAMES = 12
"""Frames after which a step that lasts counts as permanent, and no longer as flicker. From then on ..."""

FADE = 0.8
"""... this share of the remaining difference is kept per frame: 4 % after half a second."""

_SHARED_STEP_SHARE = 0.55  # share of the judged tiles that go along with a common step
_REDRAWN_WEIGHT = 0.125  # weight of a frame with redrawn texture in the usual level
_MIN_JUDGED_SHARE = 0.7  # share of a window's tiles that must be judged
_NO_UNCERTAINTY = np.zeros((ROWS, COLUMNS), np.float32)


@dataclass(frozen=True)
class WindowSteps:
    """Relative steps of luma (0.03: 3 % brighter than explained) and of chroma, and their significance."""

    whole: NDArray[np.float32]
    """(3,): of the trusted part of the frame."""
    shared: bool
    """True if most tiles took the common step of the frame."""
    windows: Tiles
    """(8, 11, 3): of each window of tiles."""
    windows_z: Tiles
    """(8, 11): the larger significance of luma and chroma."""


def window_steps(found: Residual, least: float) -> WindowSteps:
    """Weighted least squares of `e_k = g E_k` over windows; significance is `|g| / sqrt(var(g) + least^2 +
    uncertainty^2)`."""
    design = np.full_like(found.signed, MEDIUM)
    design[..., 0] = found.expected
    judged = found.weight > 0
    weighted = found.weight[..., None] * design
    # Side by side, so that they are summed at once: cross products, powers, whether a tile counts.
    terms = np.concatenate([weighted * found.signed, weighted * design, judged[..., None]], axis=-1)
    floor = least**2 + found.uncertainty**2
    sums = terms.sum(axis=(0, 1))
    whole, _ = _significance(sums[:3], sums[3:6], floor)
    # A patch moves the mean of the frame as well: a common step is one that most tiles took.
    most = int(np.abs(found.common / (1, 2, 2)).argmax())
    common = found.common[most]
    went = found.signed[..., most] * np.sign(common) > 0.5 * abs(common) * design[..., most]
    shared = bool(np.count_nonzero(went & judged) > _SHARED_STEP_SHARE * sums[6])
    sums = _window_sums(terms)
    windows, windows_z = _significance(sums[..., :3], sums[..., 3:6], floor)
    enough = sums[..., 6] >= _MIN_JUDGED_SHARE * WINDOW**2
    return WindowSteps(whole, shared, windows, np.where(enough, windows_z.max(axis=-1), 0))


def _significance(cross: Tiles, power: Tiles, floor: float) -> tuple[Tiles, Tiles]:
    power = np.maximum(power, np.float32(1e-6))
    size = cross / power
    return size, np.asarray(np.abs(size) / np.sqrt(1 / power + floor), np.float32)


def _window_sums(values: Tiles) -> Tiles:
    """(9, 12, C) to the sums over every window, (8, 11, C)."""
    rows = values[:-1] + values[1:]
    return np.asarray(rows[:, :-1] + rows[:, 1:], np.float32)


@dataclass(frozen=True)
class StepResult:
    """Result of the step test for one frame."""

    step: float
    """Step score over its threshold; flagged above 1."""
    frame: float
    """The part of `step` that belongs to the whole frame."""
    texture: float
    """Texture score over its threshold; flagged above 1."""
    common: bool
    """True if the whole frame stepped, False if only tiles did."""
    sign: int
    """Direction of the step; 0 if not flagged."""
    tiles: NDArray[np.bool_]
    """(9, 12): the flagged tiles."""
    residual: Residual
    window_steps: WindowSteps
    measures: Mapping[str, float]
    """The scores before their thresholds."""
    variation: Tiles
    """See `expected_variation`."""


class StepTest:
    """Scores relative to what is normal for this style and scene: the significance of the common step and of
    the strongest window, and texture. Each has a `RunningThreshold`."""

    def __init__(self, config: StepTestConfig) -> None:
        self._config = config
        self._gain = StyleGain(config.memory, config.gain_limits)
        self._frame_gain = StyleGain(config.frame_memory, config.frame_limits, config.frame_prior)
        self._texture_gain = TextureGain(config.texture_rate)
        self._held_uncertainty = _NO_UNCERTAINTY
        self._held_frame_uncertainty = 0.0
        self._frame_held = 0
        self._common = False
        self._thresholds = {
            name: RunningThreshold(floor, multiple, reluctance)
            for name, floor, multiple, reluctance in config.levels
        }

    @property
    def gain(self) -> NDArray[np.float32]:
        """kappa of (Y, Cr, Cb)."""
        return self._gain.value

    @property
    def holds(self) -> bool:
        """True while the frame is away from its settled means by a step."""
        return self._frame_held > 0

    def evaluate(self, matched: Correspondence, change: Change) -> StepResult:
        """Test one frame; no effect."""
        gains = self.gain, self._frame_gain.value
        found = residual(
            matched, change, *gains, self._held_uncertainty, self._held_frame_uncertainty, self._config
        )
        taken = window_steps(found, self._config.least)
        variation = expected_variation(matched.source, change)
        usual = self._texture_gain.usual(variation, matched.moved)
        measures = {
            "common": 0.0 if found.whole else found.common_z,
            "local": float(taken.windows_z.max()),
            "texture": 0.0 if found.whole else self._texture(matched, change, usual),
        }
        limits = {name: threshold.value for name, threshold in self._thresholds.items()}
        # If one half-wave of a flicker counted as its end, the next would count as a step back.
        common = measures["common"] / (limits["common"] * (self._config.still if self._common else 1))
        local = measures["local"] / limits["local"]
        step, whole = max(common, local), common > 1 and taken.shared
        tiles = np.full((ROWS, COLUMNS), whole, np.bool_)
        if not whole and step > 1:
            # If the mean of the frame shows a patch, it lies where the steps are largest.
            tiles = stepped(found, taken, min(limits["local"], measures["local"]), self._config)
        return StepResult(
            step=step,
            frame=common,
            texture=measures["texture"] / limits["texture"],
            common=whole,
            sign=_sign(found, taken, common=common >= local) if step > 1 else 0,
            tiles=tiles,
            residual=found,
            window_steps=taken,
            measures=measures,
            variation=variation,
        )

    def _texture(self, matched: Correspondence, change: Change, usual: Tiles) -> float:
        """Variation inside tiles beyond the usual, frame mean, 0..1; reduced where motion masks it."""
        beyond = max(0.0, matched.mean(change.variation - usual))
        return beyond / (1 + self._config.texture_masked * max(0.0, matched.speed - 1))

    def settle(self, change: Change, result: StepResult, stepped: StepResult) -> NDArray[np.float32]:
        """Take the frame in and return the means (3,) for the test of the next frame: those of this frame as
        it was painted, or, during a step, those that it should have.

        change, result: against the means settled before. stepped: against the history as it was painted.
        Local repairs do not count, so no repair is mistaken for a step of the frame.
        """
        painted = change.frame[1]
        self._common = result.common
        if not result.sign:
            self._frame_held = 0
            return np.asarray(painted, np.float32)
        self._frame_held = 1 if stepped.sign else self._frame_held + 1
        kept = FADE if self._frame_held > HOLD_FRAMES else 1.0
        return np.asarray(painted + np.float32(kept) * (result.residual.means - painted), np.float32)

    def learn(
        self, matched: Correspondence, change: Change, result: StepResult, held: NDArray[np.bool_]
    ) -> None:
        """Take the frame in. change, result: against the history as it was painted, because a style answers
        as it paints and not as it is repaired. held: bool (9, 12), tiles that are being repaired."""
        config, source, styled = self._config, matched.source.own_step, change.own_step
        if held.any():
            uncertainty = config.step_share * np.abs(matched.source.step[..., 0])
            self._held_uncertainty = np.where(held, self._held_uncertainty + uncertainty, 0).astype(
                np.float32
            )
            self._held_frame_uncertainty += frame_error(matched.source, self._frame_gain.value, config)
        else:
            self._held_uncertainty, self._held_frame_uncertainty = _NO_UNCERTAINTY, 0.0
        limit = np.float32(config.event)
        self._gain.learn(
            np.clip(source, -limit, limit), np.clip(styled, -2 * limit, 2 * limit), matched.trust
        )
        frame = [
            np.clip(each.frame[1] - each.frame[0], -limit, limit)[None, None]
            for each in (matched.source, change)
        ]
        self._frame_gain.learn(frame[0], frame[1], np.ones((1, 1), np.float32))
        if not result.residual.whole:
            usual = matched.mean(self._texture_gain.usual(result.variation, matched.moved))
            spread = min(matched.mean(change.variation), usual + self._thresholds["texture"].value)
            share = 1.0 if result.texture <= 1 else _REDRAWN_WEIGHT
            self._texture_gain.learn(matched.mean(result.variation), matched.moved, spread, share=share)
            for name, threshold in self._thresholds.items():
                threshold.learn(result.measures[name])


def stepped(
    found: Residual, taken: WindowSteps, threshold: float, config: StepTestConfig
) -> NDArray[np.bool_]:
    """Tiles (9, 12) that share the step of a window above the threshold, by `edge` of it, and their
    neighbours (8, twice) that share the step of the strongest window. A single tile counts as a window of its
    like."""
    size = WINDOW * np.abs(found.signed).max(axis=-1) * np.sqrt(found.weight)
    large = size > config.edge * threshold
    flagged = np.zeros((ROWS, COLUMNS), np.uint8)
    for row, column in np.argwhere(taken.windows_z > 0.8 * threshold):
        part = np.s_[row : row + WINDOW, column : column + WINDOW]
        flagged[part] |= (large & _alike(found, taken.windows[row, column], config.alike))[part]
    strongest = np.unravel_index(taken.windows_z.argmax(), taken.windows_z.shape)
    candidates = (large & _alike(found, taken.windows[strongest], config.alike)).astype(np.uint8)
    for _ in range(2):
        flagged |= np.asarray(cv2.dilate(flagged, np.ones((3, 3), np.uint8)), np.uint8) & candidates
    return np.asarray(flagged > 0, np.bool_)


def _alike(found: Residual, step: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.bool_]:
    """Tiles (9, 12) whose relative step lies between these shares of a window's step (3,), in the channel
    where that is largest. A flicker has one factor; other changes do not belong to it."""
    channel = int(np.abs(step / (1, 2, 2)).argmax())
    level = found.expected if channel == 0 else np.full_like(found.expected, MEDIUM)
    along, whole = found.signed[..., channel] * np.sign(step[channel]), np.abs(step[channel]) * level
    return np.asarray((along > limits[0] * whole) & (along < limits[1] * whole), np.bool_)


def _sign(found: Residual, taken: WindowSteps, *, common: bool) -> int:
    """Direction of the strongest part of a step."""
    where = np.unravel_index(taken.windows_z.argmax(), taken.windows_z.shape)
    values = found.common if common else taken.windows[where]
    return 1 if values[np.abs(values).argmax()] >= 0 else -1
