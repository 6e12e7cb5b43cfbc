"""Flicker: changes of the whole picture's brightness that the input does not have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def flicker_index(styled: Sequence[float], source: Sequence[float]) -> float:
    """Mean over pairs of frames of max(0, |dY styled| - |dY source|), in levels of 0..255.

    styled, source: mean luma of each frame (`similarity.mean_luma`), two frames or more. The excess is taken
    pair by pair, so that a calm moment does not compensate flicker at another one.
    """
    changes = [np.abs(np.diff(np.asarray(values, np.float64))) for values in (styled, source)]
    return float(np.maximum(changes[0] - changes[1], 0).mean())
