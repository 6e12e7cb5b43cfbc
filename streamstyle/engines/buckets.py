"""Ranges of frame sizes that share one compiled engine.

A build takes minutes, so that an engine serves a range of sizes. Frames are padded to multiples of 8 and
never to the range's end: the network normalises with the statistics of the whole picture, and a wide margin
of repeated edge pixels would change how it is painted.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamstyle.errors import EngineError
from streamstyle.nets.noise import SIZE_MULTIPLE

MIN_EDGE = 16
_EDGES = (272, 544, 1088, 2176, 4352, 8704)  # halves and doubles of 1088, what 1080 lines are padded to
_USUAL = 15 / 17  # of an edge: 1920 of 2176, 960 of 1088; for which a range is tuned


@dataclass(frozen=True)
class Span:
    """One side of a bucket, in pixels, multiples of 8."""

    low: int
    usual: int
    """Side that the engine is tuned for."""
    high: int


@dataclass(frozen=True)
class Bucket:
    """The sizes that one engine serves."""

    height: Span
    width: Span

    @classmethod
    def of(cls, height: int, width: int) -> Bucket:
        """The bucket of frames of `height` x `width`. Raises EngineError for sizes that no bucket has."""
        return cls(_span(height), _span(width))

    def __contains__(self, size: tuple[int, int]) -> bool:
        """True if frames of (height, width), multiples of 8, are served."""
        return all(s.low <= side <= s.high for s, side in zip((self.height, self.width), size, strict=True))

    def __str__(self) -> str:
        """All its sizes for people, width first."""
        return f"{self.width.low}x{self.height.low} to {self.width.high}x{self.height.high}"

    def to_json(self) -> list[list[int]]:
        """Plain values for a key: low, usual and high of height and width."""
        return [[s.low, s.usual, s.high] for s in (self.height, self.width)]


def _span(side: int) -> Span:
    low = MIN_EDGE
    padded = side + -side % SIZE_MULTIPLE
    for high in _EDGES:
        if low <= padded <= high:
            usual = round(_USUAL * high / SIZE_MULTIPLE) * SIZE_MULTIPLE
            return Span(low, usual, high)
        low = high + SIZE_MULTIPLE
    raise EngineError(
        f"a side of {side} pixels is not supported: tensorrt paints frames of {MIN_EDGE} to "
        f"{_EDGES[-1]} pixels"
    )
