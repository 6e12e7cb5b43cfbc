"""Frames as the blocks that `streamstyle.nets.packed` reads and writes: eight bytes are moved at a time."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.nets.layout import BLOCK_BYTES
from streamstyle.types import Picture

_BAND_BYTES = 2**19  # of RGBA rows that are packed at once: the size of a core's cache


class FramePacker:
    """Packs frames of one size, height x width with even sides, into one buffer and unpacks the result.

    blocks: uint8 (1, (h+2) * (w+2), 16) with h = height/2 and w = width/2; what `pack` fills.
    """

    def __init__(self, height: int, width: int) -> None:
        self._height, self._width = height, width
        self._framed = np.empty((height // 2 + 2, width // 2 + 2, 2), np.uint64)
        self._band = np.empty((2 * min(height // 2, max(1, _BAND_BYTES // (8 * width))), width, 4), np.uint8)
        self.blocks: NDArray[np.uint8] = self._framed.view(np.uint8).reshape(1, -1, BLOCK_BYTES)

    def pack(self, pixels: NDArray[np.uint8]) -> None:
        """Fill `blocks` with a picture (height, width, 3); blocks at its edges are repeated around it."""
        framed = self._framed
        for rows, band, pairs in self._bands():
            cv2.cvtColor(pixels[rows], cv2.COLOR_RGB2RGBA, dst=band)
            inside = framed[1 + rows.start // 2 : 1 + rows.stop // 2, 1:-1]
            inside[..., 0], inside[..., 1] = pairs[0::2], pairs[1::2]
        framed[1:-1, 0], framed[1:-1, -1] = framed[1:-1, 1], framed[1:-1, -2]
        framed[0], framed[-1] = framed[1], framed[-2]

    def unpack(self, blocks: NDArray[np.uint8]) -> Picture:
        """A new picture (height, width, 3) from blocks (1, h, w, 16)."""
        picture = np.empty((self._height, self._width, 3), np.uint8)
        packed = np.ascontiguousarray(blocks[0]).view(np.uint64)
        for rows, band, pairs in self._bands():
            inside = packed[rows.start // 2 : rows.stop // 2]
            pairs[0::2], pairs[1::2] = inside[..., 0], inside[..., 1]
            cv2.cvtColor(band, cv2.COLOR_RGBA2RGB, dst=picture[rows])
        return picture

    def _bands(self) -> Iterator[tuple[slice, NDArray[np.uint8], NDArray[np.uint64]]]:
        """Rows of the picture, memory for them as RGBA, and the same memory two pixels at a time."""
        most = len(self._band)
        for top in range(0, self._height, most):
            rows = slice(top, min(top + most, self._height))
            band = self._band[: rows.stop - top]
            yield rows, band, band.reshape(len(band), -1).view(np.uint64)
