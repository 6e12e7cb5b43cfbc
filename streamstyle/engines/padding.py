"""Any frame size on a network that wants multiples of 8: edge replication, then an exact crop."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture


@dataclass(frozen=True)
class Padding:
    """Rows and columns to add at the bottom and the right of a `height` x `width` frame."""

    height: int
    width: int
    bottom: int
    right: int

    @classmethod
    def to_multiple(cls, height: int, width: int, multiple: int) -> Padding:
        """The smallest padding that makes both sides multiples of `multiple`."""
        return cls(height, width, -height % multiple, -width % multiple)

    @property
    def padded_size(self) -> tuple[int, int]:
        """(height, width) that the network sees."""
        return self.height + self.bottom, self.width + self.right

    def pad(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (height, width, 3) or mask (height, width) to the padded size; the same array where
        nothing is to add."""
        if not self.bottom and not self.right:
            return pixels
        padded = cv2.copyMakeBorder(pixels, 0, self.bottom, 0, self.right, cv2.BORDER_REPLICATE)
        return padded.astype(np.uint8, copy=False)

    def pad_into(self, pixels: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """The same into `out`, of the padded size."""
        out[: self.height, : self.width] = pixels
        out[self.height :, : self.width] = out[self.height - 1, : self.width]
        out[:, self.width :] = out[:, self.width - 1 : self.width]

    def crop(self, pixels: Picture) -> Picture:
        """The padded size back to (height, width, 3), in a new array."""
        return pixels[: self.height, : self.width].copy()
