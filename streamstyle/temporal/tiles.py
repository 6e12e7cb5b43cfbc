"""Means over the tiles of a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 9, 12

Tiles = NDArray[np.float32]


class TileGrid:
    """9x12 tiles over uint8 pictures of one size (h, w), at least 9x12 pixels, by integral images."""

    def __init__(self, size: tuple[int, int]) -> None:
        # Pixel i belongs to tile i * tiles // pixels, so a tile begins at the ceiling of its share.
        rows = -(-np.arange(ROWS + 1) * size[0] // ROWS)
        columns = -(-np.arange(COLUMNS + 1) * size[1] // COLUMNS)
        self._corners = np.ix_(rows, columns)
        self._area = np.outer(np.diff(rows), np.diff(columns)).astype(np.float64)

    def mean(self, values: NDArray[np.uint8] | NDArray[np.float32]) -> Tiles:
        """Values (h, w) or (h, w, C) to their means over each tile, float32 (9, 12) or (9, 12, C)."""
        return self._means(cv2.integral(values))

    def mean_square(self, values: NDArray[np.uint8]) -> Tiles:
        """Values (h, w) to the means of their squares over each tile, float32 (9, 12)."""
        return self._means(cv2.integral2(values)[1])

    def _means(self, integral: NDArray[np.generic]) -> Tiles:
        corners = integral[self._corners].astype(np.float64)
        sums = np.diff(np.diff(corners, axis=0), axis=1)
        area = self._area if sums.ndim == 2 else self._area[..., None]
        return np.asarray(sums / area, np.float32)
