"""A small mask at the frame's size, with edges that follow the frame's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_RADIUS = 1  # of the windows, in pixels of the small picture
_REGULARISATION = 2e-3  # variance of grey, 0..1, below which a window counts as flat
_CONTRAST = 2.0  # of the edge: values of almost 0 or 1 after the filter become 0 or 1


class MaskUpsampling:
    """A guided filter: in each window the mask is a linear function of the grey levels.

    The functions are fitted in the small picture and applied to the large one (He and Sun, Fast Guided
    Filter, 2015).
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._reserve(self._size)

    def upsampled(
        self, mask: NDArray[np.float32], small: NDArray[np.uint8], large: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """A new mask (H, W), 0..255.

        mask: (h, w), 0..1. small, large: one grey picture, (h, w) and (H, W), 0..255.
        """
        slope, offset = _fitted(mask, small)
        if large.shape != self._size:
            self._reserve(large.shape)
        height, width = self._size
        np.copyto(self._grey, large)
        cv2.resize(slope, (width, height), self._slope, interpolation=cv2.INTER_LINEAR)
        cv2.resize(offset, (width, height), self._offset, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(self._slope, self._grey, self._slope)
        return np.asarray(cv2.add(self._slope, self._offset, dtype=cv2.CV_8U), np.uint8)

    def _reserve(self, size: tuple[int, ...]) -> None:
        """Memory of the frame's size, which costs more to get than to fill."""
        self._size = (size[0], size[1])
        self._grey, self._slope, self._offset = (np.empty(self._size, np.float32) for _ in range(3))


def _fitted(
    mask: NDArray[np.float32], small: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and offset (h, w) of the mask's linear functions: of grey levels in 0..255, to 0..255."""
    guide = (small * np.float32(1 / 255)).astype(np.float32, copy=False)
    mean, mean_of_mask = _mean(guide), _mean(mask)
    variance = _mean(guide * guide) - mean * mean
    covariance = _mean(guide * mask) - mean * mean_of_mask
    slope = (covariance / (variance + np.float32(_REGULARISATION))).astype(np.float32, copy=False)
    offset = _mean(mean_of_mask - slope * mean)
    # The contrast of the edge costs nothing here, in the small pictures.
    steep = _mean(slope) * np.float32(_CONTRAST)
    low = 255 * ((offset - np.float32(0.5)) * np.float32(_CONTRAST) + np.float32(0.5))
    return steep, low


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
