"""What variation a style makes inside tiles of its own accord."""

from __future__ import annotations

import numpy as np

from streamstyle.temporal.tiles import Tiles


class TextureGain:
    """How much variation inside tiles a style makes of what its input leaves unexplained (noise, occlusion,
    failed flow), and of motion, which its strokes follow only roughly.

    `r_O^2 = a r_I^2 + b m^2` by least squares over running means; r is the spread of the luma difference
    inside tiles, m `Correspondence.moved`.
    """

    _START = np.array([0.01**2, 0.5**2])  # r_I^2 and m^2 from which it sets out, with ...
    _PRIOR = np.array([2.0**2, 0.008**2])  # ... these a and b, which weigh as a tenth of what is learnt later
    _LEAST, _MOST = np.array([1.0, 0.0]), np.array([6.0**2, 0.03**2])

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._power = np.diag(self._START**2)
        self._cross = self._power @ self._PRIOR
        self._ridge, self._pull = 0.1 * self._power, 0.1 * self._cross
        self._solve()

    def _solve(self) -> None:
        found = np.linalg.solve(self._power + self._ridge, self._cross + self._pull)
        self._gain, self._stir = np.sqrt(np.clip(found, self._LEAST, self._MOST))

    def usual(self, residue: Tiles, brightening: Tiles, moved: float) -> Tiles:
        """The spread (9, 12) to expect of the input's: where the painting is brighter it makes more of it."""
        usual = np.hypot(np.maximum(brightening, self._gain) * residue, self._stir * moved)
        return np.asarray(usual, np.float32)

    def learn(self, source: float, moved: float, styled: float) -> None:
        """Mean spreads of one frame."""
        seen = np.array([source**2, moved**2])
        self._power += self._rate * (np.outer(seen, seen) - self._power)
        self._cross += self._rate * (styled**2 * seen - self._cross)
        self._solve()
