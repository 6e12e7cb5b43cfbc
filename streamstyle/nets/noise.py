"""Noise that the generator paints from: its canvas, and pictures made of nothing else."""

from __future__ import annotations

import math

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
PATTERN_SCALE = 4
"""A pattern has as many positions to each side of a cell of the canvas: it is half as large as the frame."""
CANVAS_CHANNELS = WOVEN_CHANNELS + PATTERNS * PATTERN_SCALE**2

_MARGIN = 88  # cells drawn around the frame, so that no value depends on the frame's size
_BENDS = (8.0, 20.0)  # how far a stroke field runs before it turns: sigma of its angles in cells
_BLOBS = (1.5, 4.0)  # sigma in cells
_FACETS = (18, 40)  # sides of cells, in positions of a pattern
_FACET_EDGES = ((2.8, 2.1), (6.5, 4.7))  # mean and deviation of the distance to the joint; measured
_BRUSHES = ((1.0, 11), (2.0, 20))  # sigma across, and reach along, in positions
_LINES_BEND = 9.0  # sigma in cells
_BRUSH_DEVIATIONS = (1.9, 2.6)  # of strokes of blurred noise; measured
_LINES_MOVE = 14.0  # pixels


def canvas(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """The field to paint from, for frames of `height` x `width` (multiples of 8).

    float32 (CANVAS_CHANNELS, height/8, width/8), mean 0, deviation about 1 but for joints, which are 0 or 1.
    Woven channels: small and large blobs; small and large cells, of each the distance to the joint and two
    numbers of its own. Nothing finer: what changes from cell to cell at 1/8 of the size becomes droplets.
    Patterns, as blocks of PATTERN_SCALE x PATTERN_SCALE positions: dots, lines, joints and the first numbers
    of small and large cells, fine and broad brush strokes along fields that bend tightly and widely. One seed
    gives one field: a smaller frame gets its top left part, so that a frame and a crop of it agree.
    """
    rows, columns = height // SIZE_MULTIPLE, width // SIZE_MULTIPLE
    wide = rows + 2 * _MARGIN, columns + 2 * _MARGIN
    inside = slice(_MARGIN, _MARGIN + rows), slice(_MARGIN, _MARGIN + columns)
    fine = rows * PATTERN_SCALE, columns * PATTERN_SCALE
    field = np.empty((CANVAS_CHANNELS, rows, columns), np.float32)
    angles = [math.pi * _blurred(_white(seed, 12 + i, *wide), bend) for i, bend in enumerate(_BENDS)]
    for i, sigma in enumerate(_BLOBS):
        field[i] = _blurred(_white(seed, 4 + i, *wide), sigma)[inside]
    cells = [patterns.cells(*fine, side, seed + 100 * i) for i, side in enumerate(_FACETS)]
    for i, (cell, (mean, deviation)) in enumerate(zip(cells, _FACET_EDGES, strict=True)):
        at = CELL_CHANNELS.start + 3 * i
        for channel, x in enumerate(((cell[0] - mean) / deviation, *cell[1:]), at):
            field[channel] = cv2.resize(x, (columns, rows), interpolation=cv2.INTER_AREA)
    bent = _LINES_MOVE * _blurred(_white(seed, 20, *wide), _LINES_BEND)
    drawn = [
        patterns.dots(*fine),
        patterns.lines(_enlarged(bent, rows, columns, 0)),
        *(patterns.joints(cell[0]) for cell in cells),
        *(cell[1] for cell in cells),
        *(_brushed(seed, i, angle, rows, columns) for i, angle in enumerate(angles)),
    ]
    field[WOVEN_CHANNELS:] = _blocks(np.stack(drawn))
    return field


def _blocks(drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    """Patterns (K, 4 * rows, 4 * columns) as channels of cells, (K * 16, rows, columns)."""
    count, height, width = drawn.shape
    blocks = drawn.reshape(
        count, height // PATTERN_SCALE, PATTERN_SCALE, width // PATTERN_SCALE, PATTERN_SCALE
    )
    return blocks.transpose(0, 2, 4, 1, 3).reshape(-1, *blocks.shape[1::2])


def _brushed(
    seed: int, brush: int, angle: NDArray[np.float32], rows: int, columns: int
) -> NDArray[np.float32]:
    """Brush strokes along a field of angles, which is drawn with its margin: (4 * rows, 4 * columns)."""
    across, reach = _BRUSHES[brush]
    around = 8  # cells
    along = _enlarged(angle, rows + around, columns + around, around)
    white = _blurred(_white(seed, 30 + brush, *along.shape), across)
    start = around * PATTERN_SCALE
    inside = slice(start, start + rows * PATTERN_SCALE), slice(start, start + columns * PATTERN_SCALE)
    x = patterns.strokes(white, along, reach)[inside]
    return (x / _BRUSH_DEVIATIONS[brush]).astype(np.float32)


def _enlarged(wide: NDArray[np.float32], rows: int, columns: int, around: int) -> NDArray[np.float32]:
    """Part of a field, interpolated to the size of patterns: (4 * (rows + around), 4 * (columns + around)).

    wide: with _MARGIN cells on every side of the frame. The part begins `around` cells before the frame.
    """
    # One cell more, cut off again: at the end of a picture the interpolation has no next cell to go to.
    start = _MARGIN - around
    part = wide[start : start + rows + around + 1, start : start + columns + around + 1]
    height, width = (size * PATTERN_SCALE for size in part.shape)
    large = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
    return large[:-PATTERN_SCALE, :-PATTERN_SCALE].astype(np.float32, copy=False)


def _white(seed: int, channel: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Standard normal (rows, columns); fewer rows or columns give the top left part."""
    field = np.empty((rows, columns), np.float32)
    for row in range(rows):
        rng = np.random.default_rng([seed, channel, row])
        field[row] = rng.standard_normal(columns, dtype=np.float32)
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
