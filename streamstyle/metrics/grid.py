"""Checkerboards: dependence of the picture's fine detail on the pixel grid."""

from __future__ import annotations

import cv2
import numpy as np

from streamstyle.types import Picture

_PERIOD = 4


def grid_contrast(picture: Picture) -> float:
    """(max - min) / mean of mean |Laplacian of luma| over the 16 pixel phases (x mod 4, y mod 4).

    RGB uint8 (H, W, 3). 0 where no phase stands out; JPEG blocks and resizing raise it in photos too.
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(cv2.Laplacian(luma, cv2.CV_32F))[_PERIOD:-_PERIOD, _PERIOD:-_PERIOD]
    phases = [float(detail[y::_PERIOD, x::_PERIOD].mean()) for y in range(_PERIOD) for x in range(_PERIOD)]
    mean = sum(phases) / len(phases)
    return (max(phases) - min(phases)) / mean if mean else 0.0
