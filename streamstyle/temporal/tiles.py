"""Means over the tiles of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 9, 12

Tiles = NDArray[np.float32]


class TileGrid:
    """9x12 tiles over pictures of one size (h, w), at least 9x12 pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._down = _membership(size[0], ROWS)
        self._across = _membership(size[1], COLUMNS)

    def mean(self, values: NDArray[np.float32]) -> Tiles:
        """Values (h, w) or (h, w, C) to their means over each tile, (9, 12) or (9, 12, C)."""
        height, width = values.shape[:2]
        strips = (self._down @ values.reshape(height, -1)).reshape(ROWS, width, -1)
        means = np.matmul(self._across, strips)
        return np.asarray(means[..., 0] if values.ndim == 2 else means, np.float32)


def _membership(pixels: int, tiles: int) -> NDArray[np.float32]:
    """Averaging matrix (tiles, pixels): each pixel belongs to the tile that holds its centre."""
    owner = np.arange(pixels) * tiles // pixels
    member = (owner == np.arange(tiles)[:, None]).astype(np.float32)
    return np.asarray(member / member.sum(axis=1, keepdims=True), np.float32)
