"""From tile steps to scores: the style's gain, the excess, its significance, the flagged tiles.

The excess of a tile is weighed by its own uncertainty, and judged as a common factor of brightness over
windows of tiles (a matched filter; Turin 1960): strokes that come and go have all signs and average out, a
flicker has one. docs/temporal.md has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.excess import DARK, LEAST_TRUST, Change, Correspondence
from streamstyle.temporal.gain import StyleGain
from streamstyle.temporal.texture import TextureGain, expected_residue
from streamstyle.temporal.threshold import RunningThreshold
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles

WINDOW = 2
"""Side of the windows of the local score, in tiles."""

MEDIUM = 0.4
"""Luma 0..1 against which steps of chroma are counted."""

HOLD_FRAMES = 12
"""What steps and stays away for longer has changed for good: that is no flicker. From then on ..."""

FADE = 0.8
"""... this share of what is left of the difference is kept each frame: 4 % after half a second."""

_MOST = 0.55  # share of the judged tiles that go along with a common step
_BELIEVED = 0.125  # how far a frame with texture drawn anew tells what is usual
_FEWEST = 0.7  # share of a window's tiles that must be judged
_NO_DEBT = np.zeros((ROWS, COLUMNS), np.float32)


@dataclass(frozen=True)
class ExcessConfig:
    """event: |step| of the input's luma (0..1) from which a tile saw a real event and is not judged.
    relative_event: step of the frame's mean, relative to what it was, from which nothing is judged. whole:
    share of eventful tiles from which nothing is judged.
    gain_limits: between which the style gain of luma may lie. memory: input energy, in tile steps squared,
    that it remembers. gain_error: share of the input's mean step, relative to its brightness, that may be an
    error of the style gain everywhere at once.
    level, residue_share, step_share: uncertainty of a tile's excess: a level of its own (0..1), a share of
    the spread of the luma difference inside the tile, and a share of the input's own step.
    frame_prior: the gain of the whole frame's mean before anything is known of it. frame_limits,
    frame_memory, frame_error: the same as gain_limits, memory and gain_error for these means. The defaults
    pin it to 0, as it is for a network that normalises over the frame; see `UNKNOWN`.
    still: share of its threshold that counts while a step of the frame lasts. least: relative step below
    which nothing is worth a look.
    texture_rate: weight of the newest frame in what a style makes of the variation of its input.
    texture_masked: how much less of its texture counts per pixel of speed beyond the first.
    edge: share of the threshold from which a tile belongs to a step beside it. alike: shares of the relative
    step of the strongest window between which it does.
    levels: name, floor, multiple and reluctance of the `RunningThreshold` of each score.
    """

    event: float = 0.04
    relative_event: float = 0.25
    whole: float = 0.25
    gain_limits: tuple[float, float] = (0.2, 3.0)
    memory: float = 0.4
    gain_error: float = 1.0
    level: float = 0.004
    residue_share: float = 0.3
    step_share: float = 0.5
    frame_prior: float = 0.0
    frame_limits: tuple[float, float] = (0.0, 0.0)
    frame_memory: float = 0.01
    frame_error: float = 0.03
    still: float = 0.5
    least: float = 0.005
    texture_rate: float = 0.05
    texture_masked: float = 0.2
    edge: float = 0.4
    alike: tuple[float, float] = (0.25, 2.0)
    levels: tuple[tuple[str, float, float, int], ...] = (
        ("common", 3.0, 6.0, 8),
        ("local", 7.0, 4.0, 8),
        ("texture", 0.011, 2.6, 1),
    )


UNKNOWN = ExcessConfig(frame_prior=1.0, frame_limits=(-0.5, 3.0), frame_error=0.3)
"""For stylizers of which nothing is known: how they answer the mean of their input is learnt."""


def explain(
    source: Change, styled: Change, gain: NDArray[np.float32], frame_gain: NDArray[np.float32]
) -> Tiles:
    """The step (9, 12, 3) of the styled video that the input explains; see `excess`."""
    lit = source.frame[1, 0] - source.frame[0, 0]
    level = max(float(styled.frame[0, 0]), DARK)
    explained = gain * source.own_step
    explained[..., 0] += frame_gain[0] * lit * styled.before[..., 0] / level
    return np.asarray(explained, np.float32)


@dataclass(frozen=True)
class Excess:
    """explained: the step of (Y, Cr, Cb) that the input explains, float32 (9, 12, 3).
    signed: e_k, what is left of the step without that, float32 (9, 12, 3), 0 in tiles that are not judged.
    expected: luma 0..1 that each tile should have, float32 (9, 12).
    weight: 1 / variance of the excess, float32 (9, 12), 0 in tiles that are not judged.
    doubt: relative step that an error of the style gain would explain everywhere at once.
    means: float32 (3,), (Y, Cr, Cb) that the whole frame should have on average. common: float32 (3,), its
    relative excess over these. common_z: its significance.
    event: the input itself changed abruptly in some tile. whole: ... in a large part of it, or it is black.
    """

    explained: Tiles
    signed: Tiles
    expected: Tiles
    weight: Tiles
    doubt: float
    means: NDArray[np.float32]
    common: NDArray[np.float32]
    common_z: float
    event: bool
    whole: bool


def excess(
    matched: Correspondence,
    styled: Change,
    gain: NDArray[np.float32],
    frame_gain: NDArray[np.float32],
    debt: Tiles,
    frame_debt: float,
    config: ExcessConfig,
) -> Excess:
    """The signed excess of every tile and of the whole frame, and how sure it is.

    A network that normalises over the frame answers what one tile does differently from the others, and next
    to nothing of what all do. So luma is explained in two parts; c is the relative step of the frame's mean:
    `kappa (s_I - c Y_I) + kappa_f c Ybar_I Y_O / Ybar_O`.

    gain, frame_gain: float32 (3,), kappa of tiles and of frame means. debt: float32 (9, 12), doubt left from
    the frames over which a correction has been held. frame_debt: the same of the frame's relative mean.
    """
    source, trust = matched.source, matched.trust
    # A black input says nothing of what its painting ought to be.
    black = float(source.frame[:, 0].min()) < DARK
    trusted = (trust >= LEAST_TRUST) & (not black)
    size = np.abs(source.step[..., 0])
    eventful = trusted & (size > config.event)
    judged = trusted & ~eventful
    explained = explain(source, styled, gain, frame_gain)
    signed = np.where(judged[..., None], styled.step - explained, 0).astype(np.float32)
    answer = max(float(gain[0]), 1.0)
    # Normalisation over the whole picture answers relative changes of the input, and everywhere.
    doubt = config.gain_error * answer * matched.mean(source.relative_step)
    doubt = math.hypot(doubt, float(debt.mean()) / MEDIUM)
    expected = np.maximum(styled.before[..., 0] + explained[..., 0], np.float32(DARK))
    known = np.float32(config.level**2 + (doubt * MEDIUM) ** 2)
    residue, unsure = config.residue_share * styled.residue, config.step_share * answer * size
    variance = known + residue * residue + unsure * unsure + debt * debt
    weight = np.where(judged, trust / variance, 0).astype(np.float32)
    lit, relit = source.frame[0, 0], source.frame[1] - source.frame[0]
    least_event = min(config.event, config.relative_event * max(float(lit), DARK))
    events = int(np.count_nonzero(eventful))
    whole = black or events > config.whole * eventful.size or abs(float(relit[0])) > least_event
    level = np.array([max(float(styled.frame[0, 0]), DARK), MEDIUM, MEDIUM], np.float32)
    means = styled.frame[0] + frame_gain * relit
    common = (styled.frame[1] - means) / level
    error = math.hypot(frame_debt, frame_error(source, frame_gain, config))
    chance = np.array([config.least, *[2 * config.least] * 2], np.float32)
    common_z = float((np.abs(common) / np.hypot(chance, error)).max())
    return Excess(
        *(explained, signed, np.asarray(expected, np.float32), weight, doubt),
        *(np.asarray(means, np.float32), np.asarray(common, np.float32), common_z, events > 0, whole),
    )


def frame_error(source: Change, frame_gain: NDArray[np.float32], config: ExcessConfig) -> float:
    """Relative step of the frame's mean that an error of its gain would explain."""
    before, now = source.frame[:, 0]
    answer = max(abs(float(frame_gain[0])), 1.0)
    return config.frame_error * answer * abs(float(now - before)) / max(float(before), DARK)


@dataclass(frozen=True)
class Steps:
    """Relative steps of luma (0.03: 3 % brighter than explained) and of chroma, and their significance.

    windows: float32 (8, 11, 3), of each window of tiles. windows_z: float32 (8, 11), the larger significance
    of luma and chroma. whole: float32 (3,), of what is found again of the frame. shared: most tiles went
    along with the common step of the frame.
    """

    whole: NDArray[np.float32]
    shared: bool
    windows: Tiles
    windows_z: Tiles


def steps(found: Excess, least: float) -> Steps:
    """Weighted least squares of `e_k = g E_k` over windows; significance is
    `|g| / sqrt(var(g) + least^2 + doubt^2)`."""
    design = np.full_like(found.signed, MEDIUM)
    design[..., 0] = found.expected
    judged = found.weight > 0
    weighted = found.weight[..., None] * design
    # Side by side, so that they are summed at once: cross products, powers, whether a tile counts.
    terms = np.concatenate([weighted * found.signed, weighted * design, judged[..., None]], axis=-1)
    floor = least**2 + found.doubt**2
    sums = terms.sum(axis=(0, 1))
    whole, _ = _significance(sums[:3], sums[3:6], floor)
    # A patch moves the mean of the frame as well: a common step is one that most tiles took.
    most = int(np.abs(found.common / (1, 2, 2)).argmax())
    common = found.common[most]
    went = found.signed[..., most] * np.sign(common) > 0.5 * abs(common) * design[..., most]
    shared = bool(np.count_nonzero(went & judged) > _MOST * sums[6])
    sums = _window_sums(terms)
    windows, windows_z = _significance(sums[..., :3], sums[..., 3:6], floor)
    enough = sums[..., 6] >= _FEWEST * WINDOW**2
    return Steps(whole, shared, windows, np.where(enough, windows_z.max(axis=-1), 0))


def _significance(cross: Tiles, power: Tiles, floor: float) -> tuple[Tiles, Tiles]:
    power = np.maximum(power, np.float32(1e-6))
    size = cross / power
    return size, np.asarray(np.abs(size) / np.sqrt(1 / power + floor), np.float32)


def _window_sums(values: Tiles) -> Tiles:
    """(9, 12, C) to the sums over every window, (8, 11, C)."""
    rows = values[:-1] + values[1:]
    return np.asarray(rows[:, :-1] + rows[:, 1:], np.float32)


@dataclass(frozen=True)
class Verdict:
    """step, texture: ratios of the frame's scores to their thresholds; above 1 is flagged. frame: the part of
    step that speaks of the whole frame.
    common: the whole frame stepped (else only tiles did). sign: of the step, 0 where not flagged.
    tiles: bool (9, 12), flagged. measures: the scores before their thresholds. residue: `expected_residue`.
    """

    step: float
    frame: float
    texture: float
    common: bool
    sign: int
    tiles: NDArray[np.bool_]
    excess: Excess
    steps: Steps
    measures: Mapping[str, float]
    residue: Tiles


class Judge:
    """Scores against what is normal for this style and scene: the significance of the common step and of the
    strongest window, and texture; each has a `RunningThreshold`."""

    def __init__(self, config: ExcessConfig) -> None:
        self._config = config
        self._gain = StyleGain(config.memory, config.gain_limits)
        self._frame_gain = StyleGain(config.frame_memory, config.frame_limits, config.frame_prior)
        self._texture_gain = TextureGain(config.texture_rate)
        self._debt = _NO_DEBT
        self._frame_debt = 0.0
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
        """Is the frame away from its settled means by a step?"""
        return self._frame_held > 0

    def verdict(self, matched: Correspondence, change: Change) -> Verdict:
        """Judge one frame; no effect."""
        gains = self.gain, self._frame_gain.value
        found = excess(matched, change, *gains, self._debt, self._frame_debt, self._config)
        taken = steps(found, self._config.least)
        residue = expected_residue(matched.source, change)
        usual = self._texture_gain.usual(residue, matched.moved)
        measures = {
            "common": 0.0 if found.whole else found.common_z,
            "local": float(taken.windows_z.max()),
            "texture": 0.0 if found.whole else self._texture(matched, change, usual),
        }
        limits = {name: threshold.value for name, threshold in self._thresholds.items()}
        # Whoever takes a swing of a flicker for its end takes the next one for a step the other way.
        common = measures["common"] / (limits["common"] * (self._config.still if self._common else 1))
        local = measures["local"] / limits["local"]
        step, whole = max(common, local), common > 1 and taken.shared
        tiles = np.full((ROWS, COLUMNS), whole, np.bool_)
        if not whole and step > 1:
            # Where the mean of the frame tells of a patch, the patch is where the steps are largest.
            tiles = stepped(found, taken, min(limits["local"], measures["local"]), self._config)
        return Verdict(
            step=step,
            frame=common,
            texture=measures["texture"] / limits["texture"],
            common=whole,
            sign=_sign(found, taken, common=common >= local) if step > 1 else 0,
            tiles=tiles,
            excess=found,
            steps=taken,
            measures=measures,
            residue=residue,
        )

    def _texture(self, matched: Correspondence, change: Change, usual: Tiles) -> float:
        """Variation inside tiles beyond what is usual, frame mean, 0..1; less where motion masks it."""
        beyond = max(0.0, matched.mean(change.residue - usual))
        return beyond / (1 + self._config.texture_masked * max(0.0, matched.speed - 1))

    def settle(self, change: Change, verdict: Verdict, stepped: Verdict) -> NDArray[np.float32]:
        """The means (3,) to judge the next frame against, and the frame taken in as one of them: those of
        this frame as it was painted, or while it is away by a step those that it should have.

        change, verdict: against the means that were settled before. stepped: against the past as it was
        painted. What is repaired in places does not count, so no repair is taken for a step of the frame.
        """
        painted = change.frame[1]
        self._common = verdict.common
        if not verdict.sign:
            self._frame_held = 0
            return np.asarray(painted, np.float32)
        self._frame_held = 1 if stepped.sign else self._frame_held + 1
        kept = FADE if self._frame_held > HOLD_FRAMES else 1.0
        return np.asarray(painted + np.float32(kept) * (verdict.excess.means - painted), np.float32)

    def learn(
        self, matched: Correspondence, change: Change, verdict: Verdict, held: NDArray[np.bool_]
    ) -> None:
        """Take the frame in. change, verdict: against the past as it was painted: a style answers as it
        paints, not as it is repaired. held: bool (9, 12), tiles that are being repaired."""
        config, source, styled = self._config, matched.source.own_step, change.own_step
        if held.any():
            doubt = config.step_share * np.abs(matched.source.step[..., 0])
            self._debt = np.where(held, self._debt + doubt, 0).astype(np.float32)
            self._frame_debt += frame_error(matched.source, self._frame_gain.value, config)
        else:
            self._debt, self._frame_debt = _NO_DEBT, 0.0
        limit = np.float32(config.event)
        self._gain.learn(
            np.clip(source, -limit, limit), np.clip(styled, -2 * limit, 2 * limit), matched.trust
        )
        frame = [
            np.clip(each.frame[1] - each.frame[0], -limit, limit)[None, None]
            for each in (matched.source, change)
        ]
        self._frame_gain.learn(frame[0], frame[1], np.ones((1, 1), np.float32))
        if not verdict.excess.whole:
            usual = matched.mean(self._texture_gain.usual(verdict.residue, matched.moved))
            spread = min(matched.mean(change.residue), usual + self._thresholds["texture"].value)
            share = 1.0 if verdict.texture <= 1 else _BELIEVED
            self._texture_gain.learn(matched.mean(verdict.residue), matched.moved, spread, share=share)
            for name, threshold in self._thresholds.items():
                threshold.learn(verdict.measures[name])


def stepped(found: Excess, taken: Steps, threshold: float, config: ExcessConfig) -> NDArray[np.bool_]:
    """Tiles (9, 12) that went along with a window above the threshold, by `edge` of it, and their neighbours
    (8, twice) that went along with the strongest; a tile alone counts as a window of its like."""
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


def _alike(found: Excess, step: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.bool_]:
    """Tiles (9, 12) whose relative step lies between these shares of a window's, (3,), in the channel where
    that is largest: a flicker is one factor; what else changed beside it is none of it."""
    channel = int(np.abs(step / (1, 2, 2)).argmax())
    level = found.expected if channel == 0 else np.full_like(found.expected, MEDIUM)
    along, whole = found.signed[..., channel] * np.sign(step[channel]), np.abs(step[channel]) * level
    return np.asarray((along > limits[0] * whole) & (along < limits[1] * whole), np.bool_)


def _sign(found: Excess, taken: Steps, *, common: bool) -> int:
    """Direction of the strongest part of a step."""
    where = np.unravel_index(taken.windows_z.argmax(), taken.windows_z.shape)
    values = found.common if common else taken.windows[where]
    return 1 if values[np.abs(values).argmax()] >= 0 else -1
