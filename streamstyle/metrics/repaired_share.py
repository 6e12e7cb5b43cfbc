"""Share of a known anomaly that a repair removed."""

from __future__ import annotations

from collections.abc import Iterable

import cv2

from streamstyle.types import Picture


def repaired_share(
    corrected: Iterable[Picture], injected: Iterable[Picture], clean: Iterable[Picture]
) -> float:
    """`R = 1 - sum (C - G)^2 / sum (X - G)^2` over all pixels and channels of three films, or of three
    pictures (H, W, 3), uint8.

    1: as clean as without the anomaly; 0: no better than with it; negative: worse. `injected` must differ
    from `clean`.
    """
    left = harm = 0.0
    for c, x, g in zip(corrected, injected, clean, strict=True):
        left += cv2.norm(c, g, cv2.NORM_L2SQR)
        harm += cv2.norm(x, g, cv2.NORM_L2SQR)
    return 1 - left / harm
