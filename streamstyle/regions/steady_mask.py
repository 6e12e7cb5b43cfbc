"""A mask that holds still where the picture does."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

_SLOWEST = 0.1  # share of the new mask where nothing changes: ten frames undo an error
_NOISE = 2.5  # changes below this multiple of the median change are the camera's noise
_STILL = 6.0, 15.0  # of 0..255: a change below the first is none, and one above the second is no noise
_REACH = np.ones((3, 3), np.uint8)  # what is around a change changes with it, in halved pixels
_EVERY = 2  # the median is that of every second halved pixel in both directions


class SteadyMask:
    """The mean of the masks so far, renewed as fast as the picture changes.

    A picture is kept with its mask. The new mask replaces the kept one where the new picture differs from
    the kept one, so that movement is followed at once; elsewhere it is averaged in. Slow movement adds up
    in the difference, since the kept picture is renewed no faster than its mask.
    """

    def __init__(self) -> None:
        self._picture: NDArray[np.float32] | None = None
        self._mask: NDArray[np.float32] | None = None

    def steadied(self, picture: Picture, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """The steady mask (H, W), 0..1, of the next frame; not to be altered. picture: (H, W, 3), of even
        sides. mask: (H, W), 0..1."""
        height, width = mask.shape
        # Halved, which takes some of the noise away, and in planes, which is faster.
        half = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        seen = np.stack(cv2.split(half)).astype(np.float32)
        if self._picture is None or self._mask is None:
            self._picture, self._mask = seen, mask.astype(np.float32)
            return self._mask
        seen -= self._picture
        renewal = _renewal(np.abs(seen).max(axis=0))
        self._picture += seen * renewal
        wide = cv2.resize(renewal, (width, height), interpolation=cv2.INTER_LINEAR)
        self._mask = self._mask + wide * (mask - self._mask)
        return self._mask


def _renewal(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the new mask, `_SLOWEST` to 1, by the change of the picture in 0..255."""
    still = float(np.clip(_NOISE * np.median(change[::_EVERY, ::_EVERY]), *_STILL))
    share = cv2.dilate(change, _REACH) * np.float32(1 / still)
    return np.clip(share - 1, _SLOWEST, 1, out=share)
