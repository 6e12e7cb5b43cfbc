"""Regions that are suddenly painted in another style, or not painted at all.

A style makes certain colours of the colours of its input, and in each place it does so in its own way: a
colour map `Lab_out = C phi(Lab_in)` that follows the shot, and what each tile normally leaves of it. A tile
that leaves much else has changed its style. The patch discriminator of the training cannot tell: it was
taught that what this very network paints is false, and finds photos and other styles more genuine
(docs/temporal.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.drift import EXPOSURE, KNOWN, LEAST_KNOWN, RIDGE, TERMS, Labs
from streamstyle.temporal.threshold import RunningThreshold
from streamstyle.temporal.tiles import COLUMNS, ROWS, Tiles, strongest

_SIZE = (18, 32)  # rows and columns of the pixels of `Labs`
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
    """Times are counted in frames that are looked at. map_frames: before the colour map says anything;
    warm_up: before a tile is judged. memory: share of the past in the map that a frame leaves. rate: weight
    of the newest frame in what a tile normally leaves, spread_rate: in how much that varies. spread: how much
    at first, steady: at least, in dE; moved: share of how far the tile's input is from what it was that adds
    to it. floor, multiple: of the `RunningThreshold` of the score. top: how many of the worst tiles make it.
    least: variations from which a tile is flagged. hold_frames: after so many the style is another one for
    good.
    """

    map_frames: int = 4
    warm_up: int = 8
    memory: float = 0.97
    rate: float = 0.2
    spread_rate: float = 0.12
    spread: float = 2.0
    min_spread: float = 1.5
    moved: float = 0.5
    floor: float = 7.0
    multiple: float = 4.0
    top: int = 4
    least: float = 4.0
    hold_frames: int = 60


@dataclass(frozen=True)
class Mismatch:
    """ratio: score over threshold of the frame. tiles: bool (9, 12), where the style is another one. measure:
    the score itself, None where nothing was judged. colours: float32 (9, 12, 6), mean Lab of each tile beyond
    the colour map, and of its input; nan where the map knows too few of them; None without a map. labs: the
    pixels, None where they were not looked at."""

    ratio: float
    tiles: NDArray[np.bool_]
    measure: float | None = None
    colours: Tiles | None = None
    labs: Labs | None = None


MATCHES = Mismatch(0.0, np.zeros((ROWS, COLUMNS), np.bool_))
"""Nothing was found."""


class StyleWatch:
    """Follows one shot. `judge` has no effect; `learn` takes the same frame in."""

    def __init__(self, config: StyleConfig) -> None:
        self._config = config
        self._threshold = RunningThreshold(config.floor, config.multiple)
        self.restart()

    def restart(self) -> None:
        """A new shot: the colour map is learnt again."""
        self._moments: NDArray[np.float64] = np.zeros((TERMS, TERMS))
        self._products: NDArray[np.float64] = np.zeros((TERMS, 3))
        self._weight = 0.0
        self._age = 0
        self._held = 0
        self._normal = np.zeros((ROWS, COLUMNS, 6), np.float32)
        self._spread = np.full((ROWS, COLUMNS), self._config.spread, np.float32)
        self._last = MATCHES

    @property
    def active(self) -> bool:
        """Was something found in the last frame, so that the next one must be looked at?"""
        return self._last.ratio > 1

    def judge(self, labs: Labs | None, *, new_shot: bool = False) -> Mismatch:
        """Judge a frame; where it is not looked at (None), what was found last still holds. new_shot: the
        colour map belongs to another one."""
        config = self._config
        if labs is None:
            return self._last
        if new_shot or self._age < config.map_frames:
            return replace(MATCHES, labs=labs)
        colours = self._colours(labs)
        if colours is None or self._age < config.warm_up:
            return Mismatch(0.0, MATCHES.tiles, None, colours, labs)
        away, moved = self._distances(colours)
        away = np.nan_to_num(away / (self._spread + config.moved * moved))
        measure = strongest(away, config.top)
        ratio = measure / self._threshold.value
        return Mismatch(ratio, np.asarray(away > config.least, np.bool_), measure, colours, labs)

    def learn(self, found: Mismatch) -> None:
        """Take the frame in; another style does not become normal before `hold_frames`."""
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

    def _colours(self, labs: Labs) -> Tiles | None:
        """See `Mismatch`; None where the map knows too little of the frame."""
        terms = labs.terms
        if abs(float(terms[:, 0].mean() - self._moments[0, -1] / self._weight)) > EXPOSURE:
            return None
        precision = np.linalg.inv(self._moments / self._weight + RIDGE * np.eye(TERMS))
        known = ((terms @ precision) * terms).sum(axis=1) < KNOWN * TERMS
        if known.mean() < LEAST_KNOWN:
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
        """How far each tile is from what it normally leaves, and its input from what it was; dE, (9, 12)."""
        squares = (colours - self._normal) ** 2
        return np.sqrt(squares[..., :3].sum(axis=-1)), np.sqrt(squares[..., 3:].sum(axis=-1))
