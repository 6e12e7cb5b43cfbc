"""Noise that the generator paints from: its canvas, and pictures made of nothing else."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.nets import patterns

SIZE_MULTIPLE = 8
WOVEN_CHANNELS = 8
"""Channels of the canvas that enter at 1/8; the others are patterns."""
CELL_CHANNELS = slice(2, WOVEN_CHANNELS)
"""Those of the woven channels that tell of cells."""
PATTERNS = 8
PATTERN_KINDS = {
    "dots": slice(0, 1),
    "lines": slice(1, 2),
    "joints": slice(2, 4),
    "small_facets": slice(4, 5),
    "large_facets": slice(5, 6),
    "fine_strokes": slice(6, 7),
    "broad_strokes": slice(7, 8),
}
"""Which of the patterns are of a kind; joints are those of small and of large facets."""
PATTERN_SCALE = 4
"""A pattern has as many positions to each side of a cell of the canvas: it is half as large as the frame."""
CANVAS_CHANNELS = WOVEN_CHANNELS + PATTERNS * PATTERN_SCALE**2

_MARGIN = 88  # cells before the frame in which noise begins: no value depends on the frame's size
_AROUND = 8  # cells beyond the frame from which brush strokes come
_BENDS = (8.0, 20.0)  # how far a stroke field runs before it turns: sigma of its angles in cells
_BLOBS = (1.5, 4.0)  # sigma in cells
_FACETS = (18, 56, 56)  # sides of cells, in positions of a pattern; the large ones overlap
_FACET_EDGES = ((2.8, 2.1), (5.7, 4.8))  # mean and deviation of the distance to the joint; measured
_BRUSHES = ((2, 12), (6, 26))  # width and length of a stroke in positions
_LINES_BEND = 9.0  # sigma in cells
_LINES_MOVE = 14.0  # pixels


@dataclass(frozen=True, eq=False)
class Fields:
    """Parts of a canvas, not yet packed."""

    woven: NDArray[np.float32]
    """(WOVEN_CHANNELS, rows, columns)."""
    patterns: NDArray[np.float32]
    """(PATTERNS, PATTERN_SCALE * rows, PATTERN_SCALE * columns)."""

    def part(self, top: int, left: int, rows: int, columns: int) -> Fields:
        """So many rows and columns of it, from row `top` and column `left` on."""
        woven = self.woven[:, top : top + rows, left : left + columns]
        top, left, rows, columns = (PATTERN_SCALE * side for side in (top, left, rows, columns))
        part = self.patterns[:, top : top + rows, left : left + columns]
        return Fields(np.ascontiguousarray(woven), np.ascontiguousarray(part))

    def packed(self) -> NDArray[np.float32]:
        """As one array (CANVAS_CHANNELS, rows, columns): the patterns as blocks of PATTERN_SCALE x
        PATTERN_SCALE positions."""
        rows, columns = self.woven.shape[1:]
        canvas = np.empty((CANVAS_CHANNELS, rows, columns), np.float32)
        canvas[:WOVEN_CHANNELS] = self.woven
        blocks = self.patterns.reshape(PATTERNS, rows, PATTERN_SCALE, columns, PATTERN_SCALE)
        packed = canvas[WOVEN_CHANNELS:].reshape(PATTERNS, PATTERN_SCALE, PATTERN_SCALE, rows, columns)
        packed[:] = blocks.transpose(0, 2, 4, 1, 3)
        return canvas


def canvas(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """The field to paint from, for frames of `height` x `width` (multiples of 8): float32 (CANVAS_CHANNELS,
    height/8, width/8), see `fields`."""
    return fields(height, width, seed).packed()


def fields(height: int, width: int, seed: int = 0) -> Fields:
    """The fields to paint from, for frames of `height` x `width` (multiples of 8).

    Mean 0, deviation about 1 but for joints, which are 0 or 1. Woven: small and large blobs; small and large
    cells, of each the distance to the joint and two numbers of its own. Nothing finer: what changes from cell
    to cell at 1/8 of the size becomes droplets. Patterns: dots, lines, joints and shaded facets of small
    and large cells, fine and broad brush strokes along fields that bend tightly and widely. A smaller frame
    gets the top left part of what a seed gives, so that a frame and a crop of it agree.
    """
    rows, columns = height // SIZE_MULTIPLE, width // SIZE_MULTIPLE
    fine = rows * PATTERN_SCALE, columns * PATTERN_SCALE
    woven = np.empty((WOVEN_CHANNELS, rows, columns), np.float32)
    with ThreadPoolExecutor() as pool:
        brushed = pool.map(lambda brush: _brushed(seed, brush, rows, columns), range(len(_BRUSHES)))
        small, *large = pool.map(
            lambda i: patterns.cells(*fine, _FACETS[i], seed + 100 * i), range(len(_FACETS))
        )
    cells = [small, patterns.overlaid(*large)]
    for i, sigma in enumerate(_BLOBS):
        woven[i] = _smooth(seed, 4 + i, sigma, rows, columns)
    for i, (cell, (mean, deviation)) in enumerate(zip(cells, _FACET_EDGES, strict=True)):
        at = CELL_CHANNELS.start + 3 * i
        for channel, x in enumerate(((cell[0] - mean) / deviation, *cell[1:3]), at):
            woven[channel] = cv2.resize(x, (columns, rows), interpolation=cv2.INTER_AREA)
    bent = _LINES_MOVE * _smooth(seed, 20, _LINES_BEND, rows + 1, columns + 1)
    drawn = [
        patterns.dots(*fine),
        patterns.lines(_enlarged(bent)),
        *(patterns.joints(cell[0]) for cell in cells),
        *(cell[3] for cell in cells),
        *brushed,
    ]
    return Fields(woven, np.stack(drawn))


def _brushed(seed: int, brush: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Brush strokes along a field of angles: (4 * rows, 4 * columns)."""
    wide = rows + 2 * _AROUND + 1, columns + 2 * _AROUND + 1
    along = _enlarged(math.pi * _smooth(seed, 12 + brush, _BENDS[brush], *wide, before=_AROUND))
    return patterns.strokes(along, *_BRUSHES[brush], _AROUND * PATTERN_SCALE, seed + 200 + brush)


def _enlarged(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolated to the size of patterns: (rows + 1, columns + 1) to (4 * rows, 4 * columns)."""
    # One cell more, cut off again: at the end of a picture the interpolation has no next cell to go to.
    height, width = (side * PATTERN_SCALE for side in cells.shape)
    large = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    return large[:-PATTERN_SCALE, :-PATTERN_SCALE].astype(np.float32, copy=False)


def _smooth(
    seed: int, channel: int, sigma: float, rows: int, columns: int, *, before: int = 0
) -> NDArray[np.float32]:
    """Blurred white noise of deviation 1 (rows, columns). before: cells before the frame where it begins."""
    reach = round(4 * sigma)  # of OpenCV's kernel
    start = _MARGIN - before - reach
    white = _white(seed, channel, rows + 2 * reach, start + columns + 2 * reach, first=start)
    return _blurred(white[:, start:], sigma)[reach:-reach, reach:-reach]


def _white(seed: int, channel: int, rows: int, columns: int, *, first: int = 0) -> NDArray[np.float32]:
    """Standard normal (rows, columns), from row `first` on; fewer rows or columns give the top left part."""
    field = np.empty((rows, columns), np.float32)
    for row, values in enumerate(field, first):
        rng = np.random.default_rng(np.array([seed, channel, row], np.uint32))
        rng.standard_normal(dtype=np.float32, out=values)
    return field


def _blurred(white: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blurred white noise, brought back to deviation 1: a Gaussian's norm is 1/(2 sigma sqrt(pi))."""
    blurred = cv2.GaussianBlur(white, (0, 0), sigma) * (2 * sigma * math.sqrt(math.pi))
    return blurred.astype(np.float32, copy=False)


def coloured_noise(
    height: int, width: int, rng: np.random.Generator, *, smoothest: float = 1.8
) -> NDArray[np.uint8]:
    """Noise with a 1/f^a spectrum, a drawn from 0.7 to `smoothest`: RGB uint8 (height, width, 3).

    Grain at 0.7, a hazy sky at 3. Photos have a near 1 (Field 1987); channels share most of the field, as
    photos do.
    """
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = np.inf
    spectrum = radius ** -rng.uniform(0.7, smoothest)
    white = rng.standard_normal((4, height, width))
    fields = np.fft.irfft2(np.fft.rfft2(white) * spectrum, (height, width))
    shared, *own = [field / field.std() for field in fields]
    x = np.stack([0.85 * shared + 0.5 * field for field in own], axis=2)
    return (rng.uniform(90, 165) + rng.uniform(25, 60) * x).clip(0, 255).astype(np.uint8)
