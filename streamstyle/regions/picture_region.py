"""A picture as a mask: white is inside, black is outside."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import SourceError
from streamstyle.types import Frame


class PictureRegion:
    """The luma of a picture, stretched over the frame once."""

    def __init__(self, path: str, height: int, width: int) -> None:
        """Raises SourceError if the picture cannot be read."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise SourceError(f"cannot read the mask {path}: {error.strerror}.") from error
        try:
            luma = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
        except cv2.error:
            luma = None
        if luma is None:
            raise SourceError(f"the mask {path} is not a picture that can be read: save it as PNG.")
        self._mask = stretched(luma.astype(np.uint8, copy=False), height, width)

    def mask(self, frame: Frame) -> NDArray[np.uint8]:  # noqa: ARG002  # the protocol's name
        """See `streamstyle.types.Region`."""
        return self._mask

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


def stretched(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A mask of any size as one of `height` x `width`; the same array if it has that size."""
    if mask.shape == (height, width):
        return mask
    smaller = mask.shape[0] * mask.shape[1] > height * width
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(mask, (width, height), interpolation=way).astype(np.uint8, copy=False)
