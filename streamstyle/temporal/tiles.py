"""Means over the tiles of a picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 9, 12

Tiles = NDArray[np.float32]
Integral = NDArray[np.integer[Any] | np.floating[Any]]


class TileGrid:
    """9x12 tiles over uint8 pictures of one size (h, w), at least 9x12 pixels, by integral images.

    These are kept: new memory for each costs more than what is counted in it. One thread at a time.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        # Pixel i belongs to tile i * tiles // pixels, so a tile begins at the ceiling of its share.
        rows = -(-np.arange(ROWS + 1) * size[0] // ROWS)
        columns = -(-np.arange(COLUMNS + 1) * size[1] // COLUMNS)
        self._corners = (rows[:, None] * (size[1] + 1) + columns).ravel()
        self._area = np.outer(np.diff(rows), np.diff(columns)).astype(np.float64)
        self._sums: dict[int, Integral] = {}
        self._squares: tuple[Integral, Integral] | tuple[None, None] = None, None

    def mean(self, values: NDArray[np.uint8]) -> Tiles:
        """Values (h, w) or (h, w, 3) to their means over each tile, float32 (9, 12) or (9, 12, 3)."""
        sums = cv2.integral(values, self._sums.get(values.ndim))
        self._sums[values.ndim] = sums
        return self._means(sums)

    def mean_square(self, values: NDArray[np.uint8]) -> Tiles:
        """Values (h, w) to the means of their squares over each tile, float32 (9, 12)."""
        plain, squares = cv2.integral2(values, *self._squares)
        self._squares = plain, squares
        return self._means(squares)

    def _means(self, integral: Integral) -> Tiles:
        channels = integral.shape[2:]
        corners = integral.reshape(-1, *channels).take(self._corners, axis=0)
        corners = corners.reshape(ROWS + 1, COLUMNS + 1, *channels)
        above = corners[1:] - corners[:-1]
        sums = above[:, 1:] - above[:, :-1]
        return np.asarray(sums / (self._area[..., None] if channels else self._area), np.float32)


def strongest(values: Tiles, count: int) -> float:
    """Mean of the `count` largest of (9, 12) values."""
    flat = np.partition(values.ravel(), -count)[-count:]
    return float(flat.mean())
