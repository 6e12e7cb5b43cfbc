"""A film as a mask, in step with the source."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.regions.picture_region import stretched
from streamstyle.types import Frame, Source

# Matroska counts in milliseconds: each of two times and of two beginnings may be half of one off.
_ROUNDING = 0.003


class FilmRegion:
    """Luma of the mask film's frame at the source frame's time.

    Both films begin together, regardless of their time stamps; the last frame of the mask is held.
    """

    def __init__(self, source: Source, height: int, width: int) -> None:
        """Takes ownership of `source` and opens it. Raises SourceError."""
        self._size = height, width
        self._source = source.__enter__()
        self._frames: Iterator[Frame] = iter(source)
        self._next: Frame | None = next(self._frames, None)
        self._mask_begins = 0.0 if self._next is None else self._next.time
        self._source_begins: float | None = None
        self._mask = np.zeros(self._size, np.uint8)

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """See `streamstyle.types.Region`; the same array as long as the film shows the same frame."""
        if self._source_begins is None:
            self._source_begins = frame.time
        now = frame.time - self._source_begins + self._mask_begins + _ROUNDING
        shown: Frame | None = None
        while self._next is not None and self._next.time <= now:
            shown, self._next = self._next, next(self._frames, None)
        if shown is not None:
            luma = cv2.cvtColor(shown.pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
            self._mask = stretched(luma, *self._size)
        return self._mask

    def close(self) -> None:
        """Close the film."""
        self._source.__exit__(None, None, None)
