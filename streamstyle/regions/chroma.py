"""Region of one colour, as a green screen."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.regions.spec import ChromaKey
from streamstyle.types import Frame

SOFTNESS = 1.5  # outside begins at this multiple of the tolerance


class ChromaRegion:
    """Pixels whose (Cb, Cr), BT.601 full range, is near the key's; brightness does not count."""

    def __init__(self, spec: ChromaKey) -> None:
        key = cv2.cvtColor(np.array([[spec.colour]], np.uint8), cv2.COLOR_RGB2YCrCb)[0, 0].astype(np.float32)
        levels = np.arange(256, dtype=np.float32)
        distance = np.hypot(levels[:, None] - key[1], levels[None] - key[2])
        share = (SOFTNESS * spec.tolerance - distance) / ((SOFTNESS - 1) * spec.tolerance)
        # One look-up per pixel instead of a root: the mask for every pair (Cr, Cb).
        self._table: NDArray[np.uint8] = (255 * share.clip(0, 1)).round().astype(np.uint8).ravel()

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """See `streamstyle.types.Region`."""
        chroma = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2YCrCb)
        pair = chroma[..., 1].astype(np.uint16) * np.uint16(256) + chroma[..., 2].astype(np.uint16)
        mask: NDArray[np.uint8] = self._table[pair]
        return mask

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
