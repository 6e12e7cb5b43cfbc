"""Distance between the colours of two pictures, regardless of position."""

from __future__ import annotations

import cv2
import numpy as np

from streamstyle.types import Picture

_SIDE = 128
_DIRECTIONS = 32


def sliced_wasserstein_lab(a: Picture, b: Picture) -> float:
    """Sliced Wasserstein-1 distance (Bonneel et al. 2015, eq. 9) of the Lab colours of two pictures.

    RGB uint8 (H, W, 3), any sizes: both are resized to 128 x 128. Mean over 32 fixed unit directions of
    the mean absolute difference of sorted projections, in OpenCV's 8-bit Lab units.
    """
    directions = np.random.default_rng(0).normal(size=(3, _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    projected = []
    for picture in (a, b):
        small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
        projected.append(np.sort(lab @ directions, axis=0))
    return float(np.abs(projected[0] - projected[1]).mean())
