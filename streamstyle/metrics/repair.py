"""How much of a known anomaly a repair took away."""

from __future__ import annotations

import numpy as np

from streamstyle.types import Picture


def repaired_share(corrected: Picture, injected: Picture, clean: Picture) -> float:
    """`R = 1 - sum (C - G)^2 / sum (X - G)^2` over all pixels and channels, pictures (..., 3) uint8.

    1: as clean as without the anomaly; 0: no better than with it; negative: worse. `injected` must differ
    from `clean`.
    """
    truth = clean.astype(np.float64)
    left = ((corrected - truth) ** 2).sum()
    return float(1 - left / ((injected - truth) ** 2).sum())
