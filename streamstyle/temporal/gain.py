"""Response of a style to changes of its input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.tiles import Tiles


class StyleGain:
    """kappa: how strongly the styled video responds to a change of the input, per channel (3,).

    The ratio of the running sums of s_O s_I and s_I^2. Forgetting depends on energy and not on time: a static
    scene teaches nothing, so it erases nothing. Before the first evidence kappa is the prior.
    """

    def __init__(self, memory: float, limits: tuple[float, float], prior: float = 1.0) -> None:
        self._memory = memory
        self._limits = limits
        self._cross = np.full(3, prior * memory / 20)
        self._power = np.full(3, memory / 20)

    @property
    def value(self) -> NDArray[np.float32]:
        """kappa of (Y, Cr, Cb): luma within the limits, chroma within +- the upper one (styles may swap
        colours)."""
        least, most = self._limits
        return np.asarray(np.clip(self._cross / self._power, (least, -most, -most), most), np.float32)

    def learn(self, source: Tiles, styled: Tiles, weight: Tiles) -> None:
        """Steps (9, 12, 3) of the input and the styled video; weight (9, 12) 0..1."""
        if not any(self._limits):
            return  # pinned to 0
        weighted = weight[..., None] * source
        self._cross += (weighted * styled).sum(axis=(0, 1))
        self._power += (weighted * source).sum(axis=(0, 1))
        fade = np.minimum(1, self._memory / self._power)
        self._cross *= fade
        self._power *= fade
