"""Slow colour drift: the styled colours against the shot's own input-to-output colour map.

`(a, b)_out = C phi(Lab_in)` with phi = (L, a, b, L^2, a^2, b^2, La, Lb, 1), fitted on the first 24 frames
of a shot at 32x18; the first statistic is the median residual over the pixels whose input colour the fit
knows. It errs where a style answers to what else is in the picture. The second is the walk: the sum of the
common chroma steps since the fit, which follows pixels along their motion and errs slowly. Drift is what both
say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

TERMS = 9
RIDGE = 1e-4
KNOWN = 2.0
"""A colour is known if its leverage is below this multiple of the mean leverage of the fitted pixels."""

EXPOSURE = 0.08
"""Change of the input's mean lightness since the fit, in units of 50 L, from which the map is not trusted:
the same colours under another exposure are other colours."""

LEAST_KNOWN = 0.6
"""With a smaller share of known colours the frame says nothing about drift."""


@dataclass(frozen=True)
class DriftConfig:
    """every: only one frame in so many is looked at: drift is slow. fit_frames: length of the fit. flag,
    release: dE in (a, b) above which drift is flagged, and below which it ends. fade_frames: frames over
    which the repair comes and goes. hold_frames: after so many frames the colours are the style's own, and
    the map is fitted again. smoothing: weight of the newest residual.
    """

    every: int = 3
    fit_frames: int = 24
    flag: float = 2.6
    release: float = 1.2
    fade_frames: int = 15
    hold_frames: int = 1800
    smoothing: float = 0.6


@dataclass(frozen=True)
class Labs:
    """Lab pixels (n, 3) of the input and of the uncorrected styled frame."""

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

    def add(self, labs: Labs) -> None:
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

    def residual(self, labs: Labs) -> tuple[NDArray[np.float32], float]:
        """Median (a, b) of styled minus mapped source, float32 (2,), and the share of known pixels."""
        terms = labs.terms
        light = float(self._moments[0, -1]) / self._pixels
        if abs(float(terms[:, 0].mean()) - light) > EXPOSURE:
            return np.zeros(2, np.float32), 0.0
        leverage = ((terms @ self._precision) * terms).sum(axis=1)
        known = leverage < KNOWN * TERMS
        share = float(known.mean())
        if share < LEAST_KNOWN:
            return np.zeros(2, np.float32), share
        rest = labs.styled[known, 1:] - terms[known] @ self._coefficients
        return _median(rest), share


def _median(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of each column of (n, C), (C,). `np.median` makes the first frame that asks it 50 ms late."""
    middle = [(len(values) - 1) // 2, len(values) // 2]
    return np.asarray(np.partition(values, middle, axis=0)[middle].mean(axis=0), np.float32)


def colour_terms(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lab (n, 3) to the nine terms (n, 9), scaled to about -1..1 for conditioning."""
    light, a, b = (lab.astype(np.float64) / (50.0, 50.0, 50.0) - (1.0, 0.0, 0.0)).T
    return np.stack([light, a, b, light**2, a**2, b**2, light * a, light * b, np.ones_like(light)], axis=1)


@dataclass(frozen=True)
class Drift:
    """Where a shot stands: the smoothed residual (2,) in Lab units, the part of it `agreed` (2,) that the
    walk says as well and its norm `level`, `share` of the repair that is faded in (0..1), `active` while
    flagged, `held` frames since it was, `blind` frames without enough known colours."""

    residual: NDArray[np.float32]
    agreed: NDArray[np.float32]
    level: float = 0.0
    share: float = 0.0
    active: bool = False
    held: int = 0
    blind: int = 0

    @property
    def shift(self) -> NDArray[np.float32]:
        """(a, b) to take off the styled colours now."""
        return np.asarray(self.agreed * np.float32(self.share), np.float32)


NO_DRIFT = Drift(np.zeros(2, np.float32), np.zeros(2, np.float32))


class DriftWatch:
    """Follows one shot. `judge` has no effect; `learn` takes the same frame in. Both want the pixels where
    the frame is `due`, else None."""

    def __init__(self, config: DriftConfig) -> None:
        self._config = config
        self.restart()

    def restart(self) -> None:
        """A new shot: fit again."""
        self._map = ColourMap()
        self._age = 0
        self._walk = np.zeros(2, np.float32)
        self._drift = NO_DRIFT

    @property
    def due(self) -> bool:
        """Is the next frame looked at?"""
        return self._age % self._config.every == 0

    def judge(self, labs: Labs | None) -> Drift:
        """State after this frame."""
        config, before = self._config, self._drift
        if self._age < config.fit_frames:
            return before
        if labs is None:
            return self._faded(replace(before, held=before.held + 1 if before.active else 0))
        measured, known = self._map.residual(labs)
        if known < LEAST_KNOWN:
            return self._faded(replace(before, active=False, blind=before.blind + config.every))
        residual = before.residual + np.float32(config.smoothing) * (measured - before.residual)
        agreed = common_part(residual, self._walk)
        level = float(np.hypot(*agreed))
        active = level > (config.release if before.active else config.flag)
        held = before.held + 1 if active else 0
        return self._faded(Drift(residual, agreed, level, before.share, active, held))

    def learn(self, labs: Labs | None, drift: Drift, step: NDArray[np.float32]) -> None:
        """Take the frame in; `drift` is what `judge` said of it, `step` (2,) how far the colours of the
        uncorrected frames moved in (a, b) since the last frame that was due."""
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

    def _faded(self, drift: Drift) -> Drift:
        step = (1 if drift.active else -1) / self._config.fade_frames
        return replace(drift, share=min(1.0, max(0.0, drift.share + step)))


def common_part(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """What two vectors (2,) agree on: the first, no longer than the second reaches along it; 0 where they
    point apart."""
    length = float(np.hypot(*one))
    along = float(one @ other) / max(length, 1e-6)
    return np.asarray(one * (min(max(along, 0.0), length) / max(length, 1e-6)), np.float32)
