"""Flicker: does the brightness of the whole picture change where the input's does not?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def flicker_index(styled: Sequence[float], source: Sequence[float]) -> float:
    """Mean over pairs of frames of max(0, |dY styled| - |dY source|), in levels of 0..255.

    styled, source: mean luma of each frame (`similarity.mean_luma`), two frames or more. The excess is taken
    pair by pair, so a calm moment of the film does not pay for a flicker at another one.
    """
    changes = [np.abs(np.diff(np.asarray(values, np.float64))) for values in (styled, source)]
    return float(np.maximum(changes[0] - changes[1], 0).mean())
