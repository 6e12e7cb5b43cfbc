"""Variation inside tiles that the style adds."""

from __future__ import annotations

import numpy as np

from streamstyle.temporal.residual import Change
from streamstyle.temporal.tiles import Tiles

_MIN_SLOPE = 1.0  # below which a tile is flat
_STEEPER = 0.3, 8.0  # limits of the painting's slopes relative to the input's


def expected_variation(source: Change, styled: Change) -> Tiles:
    """Standard deviation (9, 12), 0..1, of the luma difference inside tiles of the painting, expected from
    the input's alone: `r_I sqrt(slope_O / slope_I)`.

    Motion that the flow misses grows with the slopes of the picture; noise and occlusion do not. The root
    lies between both. Without it, the high contrast that a style makes of faint grain would count as texture
    drawn anew as soon as the camera moves.
    """
    steeper = np.clip(styled.slope / np.maximum(source.slope, _MIN_SLOPE), *_STEEPER)
    return np.asarray(source.variation * np.sqrt(steeper), np.float32)


class TextureGain:
    """Gain of a style from variation that the input leaves unexplained (noise, occlusion, failed flow), and
    from motion, which strokes follow only roughly.

    `r_O^2 = a r^2 + b m^2` by least squares over running means; r is `expected_variation`, m
    `Correspondence.moved`.
    """

    _START = np.array([0.01**2, 0.5**2])  # r^2 and m^2 from which it sets out, with ...
    _PRIOR = np.array([1.5**2, 0.008**2])  # ... these a and b, which weigh as a tenth of what is learnt later
    _MIN_STATE, _MAX_STATE = np.array([1.0, 0.0]), np.array([6.0**2, 0.03**2])

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._power = np.diag(self._START**2)
        self._cross = self._power @ self._PRIOR
        self._ridge, self._pull = 0.1 * self._power, 0.1 * self._cross
        self._solve()

    def _solve(self) -> None:
        # Cramer's rule: two unknowns are not worth a call of LAPACK.
        (a, b), (_, d) = (self._power + self._ridge).tolist()
        x, y = (self._cross + self._pull).tolist()
        found = np.array([d * x - b * y, a * y - b * x]) / (a * d - b * b)
        self._gain, self._stir = np.sqrt(np.minimum(np.maximum(found, self._MIN_STATE), self._MAX_STATE))

    def usual(self, variation: Tiles, moved: float) -> Tiles:
        """Expected variation (9, 12) of the painting, from that of `expected_variation` (9, 12)."""
        return np.asarray(np.hypot(self._gain * variation, self._stir * moved), np.float32)

    def learn(self, variation: float, moved: float, styled: float, *, share: float = 1.0) -> None:
        """Take the mean spreads of one frame. share: 0..1, weight of this frame."""
        seen, rate = np.array([variation**2, moved**2]), self._rate * share
        self._power += rate * (np.outer(seen, seen) - self._power)
        self._cross += rate * (styled**2 * seen - self._cross)
        self._solve()
