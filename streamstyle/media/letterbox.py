"""Fitting of frames whose size differs from the output's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from streamstyle.types import Frame, Picture


def letterboxed(picture: Picture, width: int, height: int) -> Picture:
    """The picture (h, w, 3) scaled to fit (height, width, 3) on black; unchanged if it has that size."""
    if picture.shape[:2] == (height, width):
        return picture
    box = _Box.inside(picture, width, height)
    boxed = np.zeros((height, width, 3), np.uint8)
    boxed[box.top : box.top + box.height, box.left : box.left + box.width] = box.scaled(picture)
    return boxed


class LetterboxedProcess:
    """Wraps `process`, so that it gets frames of one size only.

    Fitting before painting keeps engine, masks and the detector's history, so a change of size costs no
    frame. The border beside a picture of another shape is painted as a continuation of its edge, so that it
    does not change the painting's colours, and black afterwards.
    """

    def __init__(
        self, process: Callable[[Iterable[Frame | None]], Iterator[Frame]], width: int, height: int
    ) -> None:
        self._process = process
        self._width, self._height = width, height
        self._boxes: dict[int, _Box] = {}

    def __call__(self, frames: Iterable[Frame | None]) -> Iterator[Frame]:
        """Frames of the size that this was made for, as `process` yields them."""
        for styled in self._process(self._fit(frames)):
            for index in [i for i in self._boxes if i <= styled.index]:
                box = self._boxes.pop(index)
                if index == styled.index:
                    box.darken_around_(styled.pixels)
            yield styled

    def _fit(self, frames: Iterable[Frame | None]) -> Iterator[Frame | None]:
        for frame in frames:
            if frame is None or frame.pixels.shape[:2] == (self._height, self._width):
                yield frame
                continue
            box = _Box.inside(frame.pixels, self._width, self._height)
            self._boxes[frame.index] = box
            bottom, right = self._height - box.top - box.height, self._width - box.left - box.width
            scaled = box.scaled(frame.pixels)
            padded = cv2.copyMakeBorder(scaled, box.top, bottom, box.left, right, cv2.BORDER_REPLICATE)
            yield replace(frame, pixels=padded.astype(np.uint8, copy=False))


@dataclass(frozen=True)
class _Box:
    """Place of a picture of another shape in the middle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def inside(cls, picture: Picture, width: int, height: int) -> _Box:
        h, w = picture.shape[:2]
        scale = min(width / w, height / h)
        inner_w, inner_h = max(round(w * scale), 1), max(round(h * scale), 1)
        return cls((height - inner_h) // 2, (width - inner_w) // 2, inner_h, inner_w)

    def scaled(self, picture: Picture) -> Picture:
        # INTER_AREA is for making smaller only; elsewhere it is nearest neighbour.
        smaller = self.height < picture.shape[0]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        resized = cv2.resize(picture, (self.width, self.height), interpolation=how)
        return resized.astype(np.uint8, copy=False)

    def darken_around_(self, picture: Picture) -> None:
        picture[: self.top] = picture[self.top + self.height :] = 0
        picture[:, : self.left] = picture[:, self.left + self.width :] = 0
