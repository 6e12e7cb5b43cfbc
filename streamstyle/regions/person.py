"""Region of the people in the picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.regions.mask_smoothing import MaskSmoothing
from streamstyle.regions.mask_upsampling import MaskUpsampling
from streamstyle.types import Frame, Picture

_Number = TypeVar("_Number", np.uint8, np.float32)


class PersonRegion:
    """The region that a network takes for people, smoothed over time, with edges that follow the picture's.

    The network sees a small picture. Its mask is held where nothing moves, and follows the edges of the frame
    at half its sides, where a pixel has a quarter of the noise's power.
    """

    def __init__(
        self,
        foreground: Callable[[Picture], NDArray[np.float32]],
        size: tuple[int, int],
        *,
        inverse: bool,
    ) -> None:
        """foreground: RGB (h, w, 3) to the share of each pixel that belongs to a person, (h, w), 0..1. size:
        (h, w). inverse: select everything else."""
        self._foreground = foreground
        self._size = size
        self._inverse = inverse
        self._smoothing = MaskSmoothing()
        self._upsampling = MaskUpsampling()

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """See `streamstyle.types.Region`."""
        height, width = self._size
        half = _halved(frame.pixels)
        large_enough = half.shape[0] >= height and half.shape[1] >= width
        seen = _shrunk(half if large_enough else frame.pixels, height, width)
        small = _halved(seen)
        mask = self._smoothing.smoothed(small, _halved(self._foreground(seen)))
        share = self._upsampling.upsampled(mask, _grey(small), _grey(half))
        whole = frame.pixels.shape[1], frame.pixels.shape[0]
        share = np.asarray(cv2.resize(share, whole, interpolation=cv2.INTER_LINEAR), np.uint8)
        return 255 - share if self._inverse else share

    def close(self) -> None:
        """Do nothing: the garbage collector frees all."""


def _shrunk(picture: Picture, height: int, width: int) -> Picture:
    """A picture at the network's size. Halving is by far the cheapest way to take means of pixels."""
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        picture = _halved(picture)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _halved(picture: NDArray[_Number]) -> NDArray[_Number]:
    """Means of 2x2 pixels."""
    half = picture.shape[1] // 2, picture.shape[0] // 2
    return np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), picture.dtype)


def _grey(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
