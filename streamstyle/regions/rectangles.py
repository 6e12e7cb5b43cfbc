"""Region of fixed rectangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import ConfigError
from streamstyle.regions.spec import Rectangle, Rectangles
from streamstyle.types import Frame


class RectanglesRegion:
    """The union of rectangles, cut at the frame's edges; drawn once."""

    def __init__(self, spec: Rectangles, height: int, width: int) -> None:
        """Raises ConfigError if a rectangle is outside frames of `height` x `width`."""
        self._mask = np.zeros((height, width), np.uint8)
        for part in spec.parts:
            rows, columns = _inside(part, height, width)
            self._mask[rows, columns] = 255

    def mask(self, frame: Frame) -> NDArray[np.uint8]:  # noqa: ARG002  # the protocol's name
        """See `streamstyle.types.Region`."""
        return self._mask

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


def _inside(part: Rectangle, height: int, width: int) -> tuple[slice, slice]:
    left, top = part.x.pixels(width), part.y.pixels(height)
    right = min(round(left + part.width.pixels(width)), width)
    bottom = min(round(top + part.height.pixels(height)), height)
    if round(left) >= right or round(top) >= bottom:
        raise ConfigError(
            f"a rectangle of the region has no pixel in frames of {width}x{height}: "
            f"x and y count from the upper left corner"
        )
    return slice(round(top), bottom), slice(round(left), right)
