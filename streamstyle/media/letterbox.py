"""Frames of another size than the output was opened for."""

from __future__ import annotations

import cv2
import numpy as np

from streamstyle.types import Picture


def letterboxed(picture: Picture, width: int, height: int) -> Picture:
    """The picture (h, w, 3) as large as fits (height, width, 3), amid black; itself where it fits."""
    h, w = picture.shape[:2]
    if (h, w) == (height, width):
        return picture
    scale = min(width / w, height / h)
    inner_w, inner_h = max(round(w * scale), 1), max(round(h * scale), 1)
    # INTER_AREA is for making smaller only; elsewhere it is nearest neighbour.
    scaled = cv2.resize(
        picture, (inner_w, inner_h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    boxed = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    boxed[top : top + inner_h, left : left + inner_w] = scaled
    return boxed
