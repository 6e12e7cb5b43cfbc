"""Means over the tiles of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 9, 12

Tiles = NDArray[np.float32]


class TileGrid:
    """9x12 tiles over uint8 pictures of one size (h, w), at least 9x12 pixels.

    Sums are products with 0/1 matrices: whole numbers below 2^24, which float32 holds exactly, as long as a
    tile has no more than 258 pixels. For one thread at a time, because memory is reused.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._rows = _members(size[0], ROWS)
        self._columns = _members(size[1], COLUMNS).T
        # Of interleaved channels.
        self._columns_of_three = np.kron(self._columns, np.eye(3, dtype=np.float32))
        self._plane = np.empty(size, np.float32)
        self._planes = np.empty((*size, 3), np.float32)
        self._area = np.outer(self._rows.sum(axis=1), self._columns.sum(axis=0))

    def mean(self, values: NDArray[np.uint8]) -> Tiles:
        """Values (h, w) or (h, w, 3) to their means over each tile, float32 (9, 12) or (9, 12, 3)."""
        if values.ndim == 2:
            np.copyto(self._plane, values)
            return self._plain(self._plane)
        height, width = self._plane.shape
        np.copyto(self._planes, values)
        # In pieces that BLAS does not spread over threads: waking them takes longer than the sums.
        pieces = self._planes.reshape(height, 3, width).transpose(1, 0, 2)
        rows = (self._rows @ pieces).transpose(1, 0, 2).reshape(ROWS, 3 * width)
        sums = (rows @ self._columns_of_three).reshape(ROWS, COLUMNS, 3)
        return np.asarray(sums / self._area[..., None], np.float32)

    def mean_square(self, values: NDArray[np.uint8]) -> Tiles:
        """Values (h, w) to the means of their squares over each tile, float32 (9, 12)."""
        np.copyto(self._plane, values)
        return self._plain(np.multiply(self._plane, self._plane, out=self._plane))

    def _plain(self, values: NDArray[np.float32]) -> Tiles:
        return np.asarray(self._rows @ values @ self._columns / self._area, np.float32)


def _members(length: int, tiles: int) -> NDArray[np.float32]:
    """(tiles, length): 1 where a pixel belongs to a tile; pixel i belongs to tile i * tiles // length."""
    return np.asarray(np.arange(length) * tiles // length == np.arange(tiles)[:, None], np.float32)


def strongest(values: Tiles, count: int) -> float:
    """Mean of the `count` largest of (9, 12) values."""
    return float(np.partition(values.ravel(), -count)[-count:].sum()) / count
