"""Patterns as style codes mix them: made when a code changes, and not by the network for every frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import Fields


class PatternMixer:
    """Mixes patterns for networks that `config` describes; keeps the last mix."""

    def __init__(self, config: GeneratorConfig) -> None:
        self._patterns = config.patterns
        self._place = config.layout.place("pattern")
        self._shares = np.empty(0, np.float32)
        self._fields: Fields | None = None
        self._mixed = np.empty(0, np.float32)

    def mixed(self, codes: NDArray[np.float32], fields: Fields) -> NDArray[np.float32]:
        """The sums that each code (N, size) adds always and through the gate: float32 (2 * N, h * w, c0), not
        to be written to. See `PackedFrameGenerator`."""
        shares = codes[:, self._place]
        if fields is not self._fields or not np.array_equal(shares, self._shares):
            of_feature = shares.reshape(2 * len(codes), -1, self._patterns)
            self._mixed = fields.patterns.reshape(self._patterns, -1).T @ of_feature.transpose(0, 2, 1)
            self._shares, self._fields = shares.copy(), fields
        return self._mixed
