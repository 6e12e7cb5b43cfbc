"""Smoothing of a mask over time, where the picture stands still."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

_MIN_RATE = 0.1  # share of the new mask where nothing changes: an error is gone after ten frames
_NOISE = 2.5  # changes below this multiple of the median change are the camera's noise
_STILL = 6.0, 15.0  # of 0..255: below the first ignored, above the second not noise
_NEIGHBOURHOOD = np.ones((3, 3), np.uint8)  # surroundings of a change are updated with it
_MEDIAN_STRIDE = 2  # the median is that of every second pixel in both directions


class MaskSmoothing:
    """The mean of the masks so far, renewed as fast as the picture changes.

    A picture is kept with its mask. The new mask replaces the kept one where the new picture differs from
    the kept one, so that movement is followed at once; elsewhere it is averaged in. Slow movement adds up
    in the difference, since the kept picture is renewed no faster than its mask.
    """

    def __init__(self) -> None:
        self._picture: NDArray[np.float32] | None = None
        self._mask: NDArray[np.float32] | None = None

    def smoothed(self, picture: Picture, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """The smoothed mask (H, W), 0..1, of the next frame; not to be altered. picture: (H, W, 3). mask:
        (H, W), 0..1."""
        seen = np.stack(cv2.split(picture)).astype(np.float32)  # in planes, which is faster
        if self._picture is None or self._mask is None:
            self._picture, self._mask = seen, mask.astype(np.float32)
            return self._mask
        seen -= self._picture
        renewal = _renewal(np.abs(seen).max(axis=0))
        self._picture += seen * renewal
        self._mask = self._mask + renewal * (mask - self._mask)
        return self._mask


def _renewal(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the new mask, `_MIN_RATE` to 1, by the change of the picture in 0..255."""
    some = change[::_MEDIAN_STRIDE, ::_MEDIAN_STRIDE].ravel()
    still = float(np.clip(_NOISE * np.partition(some, some.size // 2)[some.size // 2], *_STILL))
    share = cv2.dilate(change, _NEIGHBOURHOOD) * np.float32(1 / still)
    return np.clip(share - 1, _MIN_RATE, 1, out=share)
