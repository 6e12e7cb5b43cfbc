"""Slow colour drift: the styled colours against the shot's own map from input to output colours.

`(a, b)_out = C phi(Lab_in)` with phi = (L, a, b, L^2, a^2, b^2, La, Lb, 1), fitted to the first 24 frames of
a shot at 32x18. The first statistic is the median residual over the pixels whose input colour the fit knows;
it errs if a style answers to other content of the picture. The second is the walk: the sum of the common
chroma steps since the fit, which follows pixels along their motion and errs slowly. DriftState is the part on
which both agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

TERMS = 9
RIDGE = 1e-4
MAX_LEVERAGE = 2.0
"""A colour is known if its leverage is below this multiple of the mean leverage of the fitted pixels."""

MAX_EXPOSURE_CHANGE = 0.08
"""Change of the input's mean lightness since the fit, in units of 50 L, from which the map is not trusted:
the same colours under another exposure are other colours."""

MIN_KNOWN_SHARE = 0.6
"""Share of known colours below which a frame is not judged."""


@dataclass(frozen=True)
class DriftConfig:
    """Settings of `DriftTest`."""

    every: int = 3
    """One frame in so many is examined: drift is slow."""
    fit_frames: int = 24
    """Length of the fit."""
    flag: float = 2.6
    """dE in (a, b) above which drift is flagged."""
    release: float = 1.2
    """dE below which flagged drift ends."""
    fade_frames: int = 15
    """Frames over which the repair fades in and out."""
    hold_frames: int = 1800
    """Flagged frames after which the colours count as the style's own, and the map is fitted again."""
    smoothing: float = 0.6
    """Weight of the newest residual."""


@dataclass(frozen=True)
class LabPair:
    """Pixels of the input and of the styled frame before repair, as Lab (n, 3)."""

    source: NDArray[np.float32]
    styled: NDArray[np.float32]

    @cached_property
    def terms(self) -> NDArray[np.float64]:
        """See `colour_terms`."""
        return colour_terms(self.source)


class ColourMap:
    """Least squares in normal form: `add` pixels, `solve` once, then `residual`."""

    def __init__(self) -> None:
        self._moments: NDArray[np.float64] = np.zeros((TERMS, TERMS))
        self._products: NDArray[np.float64] = np.zeros((TERMS, 2))
        self._pixels = 0
        self._coefficients: NDArray[np.float64] = np.zeros((TERMS, 2))
        self._precision: NDArray[np.float64] = np.eye(TERMS)

    def add(self, labs: LabPair) -> None:
        """Take pixels of one frame."""
        terms = labs.terms
        self._moments += np.asarray(terms.T @ terms, np.float64)
        self._products += np.asarray(terms.T @ labs.styled[:, 1:], np.float64)
        self._pixels += len(terms)

    def solve(self) -> None:
        """Fit the map to everything added so far (at least one frame)."""
        moments = self._moments / self._pixels + RIDGE * np.eye(TERMS)
        self._precision = np.asarray(np.linalg.inv(moments), np.float64)
        slopes = self._precision @ (self._products / self._pixels)
        self._coefficients = np.asarray(slopes, np.float64)

    def residual(self, labs: LabPair) -> tuple[NDArray[np.float32], float]:
        """Median (a, b) of styled minus mapped source, float32 (2,), and the share of known pixels."""
        terms = labs.terms
        light = float(self._moments[0, -1]) / self._pixels
        if abs(float(terms[:, 0].mean()) - light) > MAX_EXPOSURE_CHANGE:
            return np.zeros(2, np.float32), 0.0
        leverage = ((terms @ self._precision) * terms).sum(axis=1)
        known = leverage < MAX_LEVERAGE * TERMS
        share = float(known.mean())
        if share < MIN_KNOWN_SHARE:
            return np.zeros(2, np.float32), share
        rest = labs.styled[known, 1:] - terms[known] @ self._coefficients
        return _median(rest), share


def _median(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Median of each column of (n, C), as (C,). `np.median` delays the first frame that calls it by 50 ms."""
    middle = [(len(values) - 1) // 2, len(values) // 2]
    return np.asarray(np.partition(values, middle, axis=0)[middle].mean(axis=0), np.float32)


def colour_terms(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lab (n, 3) to the nine terms (n, 9), scaled to about -1..1 for conditioning."""
    light, a, b = (lab.astype(np.float64) / (50.0, 50.0, 50.0) - (1.0, 0.0, 0.0)).T
    return np.stack([light, a, b, light**2, a**2, b**2, light * a, light * b, np.ones_like(light)], axis=1)


@dataclass(frozen=True)
class DriftState:
    """State of a shot after a frame."""

    residual: NDArray[np.float32]
    """(2,): smoothed residual in Lab units."""
    agreed: NDArray[np.float32]
    """(2,): the part of it on which the walk agrees."""
    level: float = 0.0
    """Norm of `agreed`."""
    share: float = 0.0
    """0..1, share of the repair that is faded in."""
    active: bool = False
    """True while flagged."""
    held: int = 0
    """Frames since it was flagged."""
    blind: int = 0
    """Frames without enough known colours."""

    @property
    def shift(self) -> NDArray[np.float32]:
        """(a, b) to subtract from the styled colours now."""
        return np.asarray(self.agreed * np.float32(self.share), np.float32)


NO_DRIFT = DriftState(np.zeros(2, np.float32), np.zeros(2, np.float32))


class DriftTest:
    """Follows one shot. `evaluate` has no effect; `learn` takes the same frame in. Both take the pixels if
    the frame is `due`, else None."""

    def __init__(self, config: DriftConfig) -> None:
        self._config = config
        self.restart()

    def restart(self) -> None:
        """Start a new shot: fit again."""
        self._map = ColourMap()
        self._age = 0
        self._walk = np.zeros(2, np.float32)
        self._drift = NO_DRIFT

    @property
    def due(self) -> bool:
        """True if the next frame is to be examined."""
        return self._age % self._config.every == 0

    def evaluate(self, labs: LabPair | None) -> DriftState:
        """The state after this frame."""
        config, before = self._config, self._drift
        if self._age < config.fit_frames:
            return before
        if labs is None:
            return self._faded(replace(before, held=before.held + 1 if before.active else 0))
        measured, known = self._map.residual(labs)
        if known < MIN_KNOWN_SHARE:
            return self._faded(replace(before, active=False, blind=before.blind + config.every))
        residual = before.residual + np.float32(config.smoothing) * (measured - before.residual)
        agreed = common_part(residual, self._walk)
        level = float(np.hypot(*agreed))
        active = level > (config.release if before.active else config.flag)
        held = before.held + 1 if active else 0
        return self._faded(DriftState(residual, agreed, level, before.share, active, held))

    def learn(self, labs: LabPair | None, drift: DriftState, step: NDArray[np.float32]) -> None:
        """Take the frame in. drift: the result of `evaluate`. step: (2,), movement of the unrepaired colours
        in (a, b) since the last frame that was due."""
        config = self._config
        self._age += 1
        if self._age <= config.fit_frames:
            if labs is not None:
                self._map.add(labs)
            if self._age == config.fit_frames:
                self._map.solve()
            return
        self._drift = drift
        self._walk = self._walk + step
        if drift.held > config.hold_frames or drift.blind > config.fit_frames:
            self.restart()

    def _faded(self, drift: DriftState) -> DriftState:
        step = (1 if drift.active else -1) / self._config.fade_frames
        return replace(drift, share=min(1.0, max(0.0, drift.share + step)))


def common_part(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part of vector `one` (2,) that `other` confirms: `one`, shortened to the projection of `other` on
    it; 0 if they point apart."""
    length = float(np.hypot(*one))
    along = float(one @ other) / max(length, 1e-6)
    return np.asarray(one * (min(max(along, 0.0), length) / max(length, 1e-6)), np.float32)
