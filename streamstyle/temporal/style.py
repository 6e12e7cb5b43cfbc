"""Detection of regions in another style, or not painted at all.

A style maps input colours to output colours, and each place deviates in its own way: a colour map `Lab_out =
C phi(Lab_in)` that follows the shot, and each tile's normal deviation from it. A tile with another deviation
has changed its style. The patch discriminator of the training cannot detect this: it learnt that paintings of
this very network are false, and rates photos and other styles as more genuine (docs/temporal.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.drift import (
    MAX_EXPOSURE_CHANGE,
    MAX_LEVERAGE,
    MIN_KNOWN_SHARE,
    RIDGE,
    TERMS,
    LabPair,
)
from streamstyle.temporal.threshold import RunningThreshold
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles, strongest

_SIZE = (18, 32)  # rows and columns of the pixels of `LabPair`
_FIRST_ROWS, _FIRST_COLUMNS = (
    -(-np.arange(n) * size // n) for n, size in zip((ROWS, COLUMNS), _SIZE, strict=True)
)


def _tile_sums(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(18 * 32, C) to the sums over each tile, (9 * 12, C)."""
    rows = np.add.reduceat(pixels.reshape(*_SIZE, -1), _FIRST_ROWS, axis=0)
    return np.asarray(np.add.reduceat(rows, _FIRST_COLUMNS, axis=1), np.float64).reshape(ROWS * COLUMNS, -1)


_PIXELS = _tile_sums(np.ones((_SIZE[0] * _SIZE[1], 1)))


@dataclass(frozen=True)
class StyleConfig:
    """Settings of `StyleTest`. Times are in examined frames."""

    map_frames: int = 4
    """Frames before the colour map is used."""
    warm_up: int = 8
    """Frames before tiles are judged."""
    memory: float = 0.97
    """Share of the past in the map that a frame leaves."""
    rate: float = 0.2
    """Weight of the newest frame in a tile's normal deviation."""
    spread_rate: float = 0.12
    """Weight of the newest frame in the variation of that deviation."""
    spread: float = 2.0
    """Variation at first, in dE."""
    min_spread: float = 1.5
    """Least variation, in dE."""
    moved: float = 0.5
    """Share of the change of the tile's input that adds to the variation."""
    floor: float = 7.0
    """`floor` of the `RunningThreshold` of the score."""
    multiple: float = 4.0
    """`multiple` of the `RunningThreshold` of the score."""
    top: int = 4
    """Number of worst tiles that make the score."""
    least: float = 4.0
    """Variations from which a tile is flagged."""
    hold_frames: int = 60
    """Flagged frames after which the new style counts as normal."""


@dataclass(frozen=True)
class StyleMismatch:
    """Result for one frame."""

    ratio: float
    """Score over threshold."""
    tiles: NDArray[np.bool_]
    """(9, 12): where the style is another one."""
    measure: float | None = None
    """The score itself; None if nothing was judged."""
    colours: Tiles | None = None
    """(9, 12, 6): mean Lab of each tile beyond the colour map, and of its input; nan if the map knows too few
    of its colours. None without a map."""
    labs: LabPair | None = None
    """The examined pixels; None if the frame was not examined."""


NO_MISMATCH = StyleMismatch(0.0, np.zeros((ROWS, COLUMNS), np.bool_))
"""The result of a frame without a mismatch."""


class StyleTest:
    """Follows one shot. `evaluate` has no effect; `learn` takes the same frame in."""

    def __init__(self, config: StyleConfig) -> None:
        self._config = config
        self._threshold = RunningThreshold(config.floor, config.multiple)
        self.restart()

    def restart(self) -> None:
        """Start a new shot: learn the colour map again."""
        self._moments: NDArray[np.float64] = np.zeros((TERMS, TERMS))
        self._products: NDArray[np.float64] = np.zeros((TERMS, 3))
        self._weight = 0.0
        self._age = 0
        self._held = 0
        self._normal = np.zeros((ROWS, COLUMNS, 6), np.float32)
        self._spread = np.full((ROWS, COLUMNS), self._config.spread, np.float32)
        self._last = NO_MISMATCH

    @property
    def active(self) -> bool:
        """True if something was found in the last frame, so that the next one must be examined."""
        return self._last.ratio > 1

    def evaluate(self, labs: LabPair | None, *, new_shot: bool = False) -> StyleMismatch:
        """Test a frame; for an unexamined frame (None) the last result still holds. new_shot: True if the
        colour map belongs to another shot."""
        config = self._config
        if labs is None:
            return self._last
        if new_shot or self._age < config.map_frames:
            return replace(NO_MISMATCH, labs=labs)
        colours = self._colours(labs)
        if colours is None or self._age < config.warm_up:
            return StyleMismatch(0.0, NO_MISMATCH.tiles, None, colours, labs)
        away, moved = self._distances(colours)
        away = np.nan_to_num(away / (self._spread + config.moved * moved))
        measure = strongest(away, config.top)
        ratio = measure / self._threshold.value
        return StyleMismatch(ratio, np.asarray(away > config.least, np.bool_), measure, colours, labs)

    def learn(self, found: StyleMismatch) -> None:
        """Take the frame in. Another style does not become normal before `hold_frames`."""
        if found.labs is None:
            return
        self._last = replace(found, labs=None)
        self._held = self._held + 1 if found.ratio > 1 else 0
        if found.ratio > 1:
            if self._held > self._config.hold_frames:
                self.restart()
            return
        if found.measure is not None:
            self._threshold.learn(found.measure)
        if found.colours is not None:
            self._learn_tiles(found.colours)
        terms = found.labs.terms
        memory = self._config.memory
        self._moments = memory * self._moments + terms.T @ terms
        self._products = memory * self._products + terms.T @ found.labs.styled
        self._weight = memory * self._weight + len(terms)
        self._age += 1

    def _colours(self, labs: LabPair) -> Tiles | None:
        """See `StyleMismatch`; None where the map knows too little of the frame."""
        terms = labs.terms
        if abs(float(terms[:, 0].mean() - self._moments[0, -1] / self._weight)) > MAX_EXPOSURE_CHANGE:
            return None
        precision = np.linalg.inv(self._moments / self._weight + RIDGE * np.eye(TERMS))
        known = ((terms @ precision) * terms).sum(axis=1) < MAX_LEVERAGE * TERMS
        if known.mean() < MIN_KNOWN_SHARE:
            return None
        rest = labs.styled - terms @ (precision @ (self._products / self._weight))
        sums = _tile_sums(
            np.concatenate([rest, labs.source, np.ones_like(rest[:, :1])], axis=1) * known[:, None]
        )
        count = sums[:, 6:]
        means = np.where(2 * count > _PIXELS, sums[:, :6] / np.maximum(count, 1), np.nan)
        return means.reshape(ROWS, COLUMNS, 6).astype(np.float32)

    def _learn_tiles(self, colours: Tiles) -> None:
        config = self._config
        known = ~np.isnan(colours[..., 0])
        if self._age > config.map_frames:
            away = np.clip(self._distances(colours)[0], config.min_spread, 3 * self._spread)
            spread = self._spread + np.float32(config.spread_rate) * (away - self._spread)
            self._spread = np.where(known, spread, self._spread)
        rate = max(config.rate, 1 / (self._age - config.map_frames + 1))
        normal = self._normal + np.float32(rate) * (colours - self._normal)
        self._normal = np.where(known[..., None], normal, self._normal)

    def _distances(self, colours: Tiles) -> tuple[Tiles, Tiles]:
        """Distance of each tile from its normal deviation, and of its input from the usual one; dE, (9,
        12)."""
        squares = (colours - self._normal) ** 2
        return np.sqrt(squares[..., :3].sum(axis=-1)), np.sqrt(squares[..., 3:].sum(axis=-1))
