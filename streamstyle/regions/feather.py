"""Soft edges: a gradual transition between two styles instead of a seam."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Frame, Region


class FeatheredRegion:
    """A region with edges that rise from 0 to 255 over about `pixels` pixels.

    Two box blurs of half that side give a smooth ramp of that width; one would leave kinks.
    """

    def __init__(self, region: Region, pixels: float) -> None:
        self._region = region
        self._side = round(pixels / 2) | 1  # odd: an even side would move the mask by half a pixel
        self._hard: NDArray[np.uint8] | None = None
        self._soft: NDArray[np.uint8] | None = None

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """See `streamstyle.types.Region`; the same array as long as the inner region returns the same."""
        hard = self._region.mask(frame)
        if self._soft is None or hard is not self._hard:
            self._hard, self._soft = hard, self._blurred(hard)
        return self._soft

    def close(self) -> None:
        """Close the region."""
        self._region.close()

    def _blurred(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._side == 1:
            return mask
        side = (self._side, self._side)
        once = cv2.blur(mask, side, borderType=cv2.BORDER_REPLICATE)
        return cv2.blur(once, side, borderType=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
