"""Region of the people in the picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.regions.mask_upsampling import MaskUpsampling
from streamstyle.regions.steady_mask import SteadyMask
from streamstyle.types import Frame, Picture

_DENOISED = (3, 3)  # means of so many pixels: the edges follow the grey levels, and their noise


class PersonRegion:
    """The region that a network takes for people, steady over time, with edges that follow the picture's.

    The network sees a small picture. Its mask is held where nothing moves, and brought to the frame's size
    along the frame's edges.
    """

    def __init__(
        self,
        foreground: Callable[[Picture], NDArray[np.float32]],
        size: tuple[int, int],
        *,
        inverse: bool,
    ) -> None:
        """foreground: RGB (h, w, 3) to the share of each pixel that belongs to a person, (h, w), 0..1.
        size: (h, w). inverse: take everything else."""
        self._foreground = foreground
        self._size = size
        self._inverse = inverse
        self._steady = SteadyMask()
        self._upsampling = MaskUpsampling()

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """See `streamstyle.types.Region`."""
        height, width = self._size
        small = _shrunk(frame.pixels, height, width)
        steady = self._steady.steadied(small, self._foreground(small))
        grey = np.asarray(cv2.blur(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY), _DENOISED), np.uint8)
        of_small = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        share = self._upsampling.upsampled(steady, of_small, grey)
        return 255 - share if self._inverse else share

    def close(self) -> None:
        """Do nothing: the garbage collector frees all."""


def _shrunk(picture: Picture, height: int, width: int) -> Picture:
    """A picture at the network's size. Halving is by far the cheapest way to take means of pixels."""
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        half = picture.shape[1] // 2, picture.shape[0] // 2
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
