"""From tile steps to scores: the style's gain, the excess, its significance, the flagged tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.excess import LEAST_TRUST, Change, Correspondence
from streamstyle.temporal.threshold import RunningThreshold
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles


@dataclass(frozen=True)
class ExcessConfig:
    """event: |step| of the input's luma (0..1) from which a tile saw a real event and is not judged.
    whole: share of eventful tiles from which nothing is judged. gain_error: share of the input's own step
    that is never called excess (the style gain is an estimate, and styles answer in curves).
    residue_error: the same for the unexplained variation inside the tile (occlusion, failed flow).
    memory: input energy, in tile steps squared, that the style gain remembers.
    top: how many of the worst tiles make the local score.
    tile_floors: excess of (luma, chroma), 0..1, that is ever worth a look. tile_noise: multiple of a tile's
    own running mean excess, learned with weight noise_rate, that is normal for it.
    seed, edge: multiples of the local threshold: a tile is flagged above seed, or next to one above edge.
    levels: name, floor and multiple of the `RunningThreshold` of each score.
    """

    event: float = 0.04
    gain_error: float = 1.0
    residue_error: float = 0.25
    memory: float = 0.4
    whole: float = 0.25
    top: int = 4
    tile_floors: tuple[float, float] = (0.006, 0.006)
    tile_noise: float = 2.0
    noise_rate: float = 0.05
    seed: float = 0.8
    edge: float = 0.4
    levels: tuple[tuple[str, float, float], ...] = (
        ("common luma", 0.006, 2.5),
        ("common chroma", 0.006, 2.5),
        ("local luma", 2.0, 2.5),
        ("local chroma", 2.0, 2.5),
        ("texture", 0.010, 1.8),
    )


class StyleGain:
    """kappa: how strongly the styled video answers to a change of the input, per channel (3,).

    The ratio of the running sums of s_O s_I and s_I^2. Forgetting goes by energy, not by time: a static
    scene teaches nothing and so erases nothing. Before the first evidence kappa is 1.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._cross = np.full(3, memory / 20)
        self._power = np.full(3, memory / 20)

    @property
    def value(self) -> NDArray[np.float32]:
        """kappa of (Y, Cr, Cb): luma clipped to 0.2..3, chroma to -3..3 (styles may swap colours)."""
        ratio = self._cross / self._power
        return np.asarray(np.clip(ratio, (0.2, -3, -3), 3), np.float32)

    def learn(self, source: Tiles, styled: Tiles, weight: Tiles) -> None:
        """Steps (9, 12, 3) of the input and the styled video; weight (9, 12) 0..1."""
        self._cross += (weight[..., None] * source * styled).sum(axis=(0, 1))
        self._power += (weight[..., None] * source * source).sum(axis=(0, 1))
        fade = np.minimum(1, self._memory / self._power)
        self._cross *= fade
        self._power *= fade


@dataclass(frozen=True)
class Excess:
    """signed: e_k of (Y, Cr, Cb), float32 (9, 12, 3), 0 in tiles that are not judged.
    sure: the part of it that is beyond doubt, same shape. weight: float32 (9, 12), trust of the judged tiles,
    0 elsewhere. common: float32 (3,), the same as `sure` for the mean over all tiles, signed.
    doubt: float32 (9, 12), luma excess that an error of the style gain would explain.
    event: the input itself changed abruptly in some tile. whole: ... in a large part of the picture.
    """

    signed: Tiles
    sure: Tiles
    weight: Tiles
    common: NDArray[np.float32]
    doubt: Tiles
    event: bool
    whole: bool


def excess(
    source: Change,
    styled: Change,
    trust: Tiles,
    gain: NDArray[np.float32],
    debt: Tiles,
    config: ExcessConfig,
) -> Excess:
    """The signed excess `s_O - kappa s_I` of every tile, and how much of it is beyond doubt.

    A tile may answer to its own change of the input or, where the network normalises over the whole
    picture, to everybody's: the larger of the two is doubted. debt: float32 (9, 12), doubt left from the
    frames over which a correction has been held.
    """
    trusted = trust >= LEAST_TRUST
    size = np.abs(source.step[..., 0])
    eventful = trusted & (size > config.event)
    weight = np.where(trusted & ~eventful, trust, 0).astype(np.float32)
    signed = np.where(weight[..., None] > 0, styled.step - gain * source.step, 0).astype(np.float32)
    everywhere = float((trust * size).sum() / max(float(trust.sum()), 1.0))
    scale = config.gain_error * max(float(gain[0]), 1.0)
    doubt = np.asarray(scale * np.maximum(size, everywhere) + debt, np.float32)
    local = doubt + config.residue_error * max(float(gain[0]), 1.0) * source.residue
    sure = np.sign(signed) * np.maximum(np.abs(signed) - local[..., None], 0)
    common = _common(signed, weight, doubt)
    whole = float(eventful.mean()) > config.whole
    return Excess(signed, sure.astype(np.float32), weight, common, doubt, bool(eventful.any()), whole)


def _common(signed: Tiles, weight: Tiles, doubt: Tiles) -> NDArray[np.float32]:
    """Mean excess over the tiles less its mean doubt and twice its standard error, (3,), signed."""
    total = float(weight.sum())
    if total < 1:
        return np.zeros(3, np.float32)
    share = weight[..., None] / np.float32(total)
    mean = (share * signed).sum(axis=(0, 1))
    spread = (share * (signed - mean) ** 2).sum(axis=(0, 1))
    unsure = 2 * np.sqrt(spread / total) + (share[..., 0] * doubt).sum()
    return np.asarray(np.sign(mean) * np.maximum(np.abs(mean) - unsure, 0), np.float32)


@dataclass(frozen=True)
class Verdict:
    """step, texture: ratios of the frame's scores to their thresholds; above 1 is flagged.
    common: the whole frame stepped (else only tiles did). sign: of the step, 0 where not flagged.
    ratio: float32 (9, 12), excess of each tile against its own normal level. edge: ratio from which a tile
    belongs to a local step. tiles: bool (9, 12), flagged. measures: the scores before their thresholds.
    """

    step: float
    texture: float
    common: bool
    sign: int
    ratio: Tiles
    edge: float
    tiles: NDArray[np.bool_]
    excess: Excess
    measures: Mapping[str, float]


class Judge:
    """Scores against what is normal for this style and scene.

    Five scores: common and local excess of luma and of chroma, and texture; each has a `RunningThreshold`.
    """

    def __init__(self, config: ExcessConfig) -> None:
        self._config = config
        self._gain = StyleGain(config.memory)
        self._noise = np.zeros((ROWS, COLUMNS, 2), np.float32)
        self._debt = np.zeros((ROWS, COLUMNS), np.float32)
        self._thresholds = {
            name: RunningThreshold(floor, multiple) for name, floor, multiple in config.levels
        }

    @property
    def gain(self) -> NDArray[np.float32]:
        """kappa of (Y, Cr, Cb)."""
        return self._gain.value

    def verdict(self, matched: Correspondence, change: Change) -> Verdict:
        """Judge one frame; no effect."""
        config = self._config
        found = excess(matched.source, change, matched.trust, self.gain, self._debt, config)
        common = np.abs(found.common)
        size = _luma_chroma(np.abs(found.sure))
        normal = np.array(config.tile_floors, np.float32) + np.float32(config.tile_noise) * self._noise
        ratios = np.asarray(size / normal, np.float32)
        measures = {
            "common luma": 0.0 if found.whole else float(common[0]),
            "common chroma": 0.0 if found.whole else float(common[1:].max()),
            "local luma": strongest(ratios[..., 0], config.top),
            "local chroma": strongest(ratios[..., 1], config.top),
            "texture": 0.0 if found.whole else _texture(matched, change, float(self.gain[0])),
        }
        against = {name: measures[name] / self._thresholds[name].value for name in measures}
        whole = max(against["common luma"], against["common chroma"])
        local = max(against["local luma"], against["local chroma"])
        step = max(whole, local)
        limits = [self._thresholds[name].value for name in ("local luma", "local chroma")]
        ratio = np.asarray((ratios / np.array(limits, np.float32)).max(axis=-1), np.float32)
        tiles = np.zeros((ROWS, COLUMNS), np.bool_)
        if local > 1:
            tiles = grown(ratio, config.seed, config.edge)
        if whole > 1:
            tiles = np.ones((ROWS, COLUMNS), np.bool_)
        return Verdict(
            step=step,
            texture=against["texture"],
            common=whole > 1,
            sign=_sign(found, against, ratio) if step > 1 else 0,
            ratio=ratio,
            edge=config.edge,
            tiles=tiles,
            excess=found,
            measures=measures,
        )

    def learn(self, matched: Correspondence, change: Change, verdict: Verdict) -> None:
        """Take the frame in."""
        config = self._config
        self._debt = np.where(verdict.tiles, verdict.excess.doubt, 0).astype(np.float32)
        quiet = np.where(verdict.tiles, 0, matched.trust).astype(np.float32)
        limit = np.float32(config.event)
        source, styled = matched.source.step, change.step
        self._gain.learn(np.clip(source, -limit, limit), np.clip(styled, -2 * limit, 2 * limit), quiet)
        size = _luma_chroma(np.abs(verdict.excess.sure))
        ceiling = 2 * self._noise + np.float32(0.002)
        judged = (verdict.excess.weight > 0)[..., None]
        self._noise += np.where(judged, config.noise_rate * (np.minimum(size, ceiling) - self._noise), 0)
        if not verdict.excess.whole:
            for name, threshold in self._thresholds.items():
                threshold.learn(verdict.measures[name])


def _luma_chroma(values: Tiles) -> Tiles:
    """(9, 12, 3) of (Y, Cr, Cb) to (9, 12, 2) of (Y, larger of Cr and Cb)."""
    return np.stack([values[..., 0], values[..., 1:].max(axis=-1)], axis=-1)


def _texture(matched: Correspondence, change: Change, gain: float) -> float:
    """Unexplained variation inside tiles beyond what the input shows, mean over the frame, 0..1."""
    rest = change.residue - np.float32(max(gain, 1.0)) * matched.source.residue
    return max(0.0, float((matched.trust * rest).sum() / max(float(matched.trust.sum()), 1.0)))


def _sign(found: Excess, against: Mapping[str, float], ratio: Tiles) -> int:
    """Direction of the strongest part of a step."""
    worst = max(("common luma", "common chroma", "local luma", "local chroma"), key=lambda n: against[n])
    values = found.common if worst.startswith("common") else found.signed.reshape(-1, 3)[ratio.argmax()]
    if worst.endswith("chroma"):
        values = values[1:]
    return 1 if values[np.abs(values).argmax()] >= 0 else -1


def strongest(values: Tiles, count: int) -> float:
    """Mean of the `count` largest of (9, 12) values."""
    flat = np.partition(values.ravel(), -count)[-count:]
    return float(flat.mean())


def grown(values: Tiles, seed: float, edge: float) -> NDArray[np.bool_]:
    """Tiles (9, 12) above `seed`, with the tiles above `edge` that touch them (8-neighbourhood, twice)."""
    flagged = (values > seed).astype(np.uint8)
    candidates = (values > edge).astype(np.uint8)
    for _ in range(2):
        flagged = np.asarray(cv2.dilate(flagged, np.ones((3, 3), np.uint8)), np.uint8) & candidates
    return flagged.astype(np.bool_)
