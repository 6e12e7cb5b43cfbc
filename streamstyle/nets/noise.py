"""Noise that the generator paints from: its canvas, and pictures made of nothing else."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

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

_LEAST = 64  # cells to each side, so that a small frame's strokes turn as those of a large one do
_BENDS = (8.0, 20.0)  # how far a stroke field runs before it turns: sigma of its angles in cells
_BLOBS = (1.5, 4.0)  # sigma in cells
_FACETS = (18, 56, 56)  # sides of cells, in positions of a pattern; the large ones overlap
_FACET_EDGES = ((2.8, 2.1), (5.7, 4.8))  # mean and deviation of the distance to the joint; measured
_BRUSHES = ((2, 12), (6, 26))  # width and length of a stroke in positions
_LINES_BEND = 9.0  # sigma in cells
_LINES_MOVE = 14.0  # pixels


@dataclass(frozen=True, eq=False)
class Fields:
    """Parts of a canvas, not yet packed. Seamless: each edge continues at the opposite one."""

    woven: NDArray[np.float32]
    """(WOVEN_CHANNELS, rows, columns)."""
    patterns: NDArray[np.float32]
    """(PATTERNS, PATTERN_SCALE * rows, PATTERN_SCALE * columns)."""

    def window(self, top: float, left: float, rows: int, columns: int) -> Fields:
        """So many rows and columns of it, from row `top` and column `left` on; any number, in cells.
        Interpolated between positions."""
        n = PATTERN_SCALE
        drawn = _window(self.patterns, n * top, n * left, n * rows, n * columns)
        return Fields(_window(self.woven, top, left, rows, columns), drawn)

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
    rows, columns = height // SIZE_MULTIPLE, width // SIZE_MULTIPLE
    return fields(height, width, seed).window(0, 0, rows, columns).packed()


def fields(height: int, width: int, seed: int = 0) -> Fields:
    """The fields to paint from, at least as large as frames of `height` x `width` (multiples of 8).

    Mean 0, deviation about 1 but for joints, which are 0 or 1. Woven: small and large blobs; small and large
    cells, of each the distance to the joint and two numbers of its own. Nothing finer: what changes from cell
    to cell at 1/8 of the size becomes droplets. Patterns: dots, lines, joints and shaded facets of small
    and large cells, fine and broad brush strokes along fields that bend tightly and widely.
    """
    rows, columns = (max(side // SIZE_MULTIPLE, _LEAST) for side in (height, width))
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
    drawn = [
        patterns.dots(*fine),
        patterns.lines(_LINES_MOVE * _enlarged(_smooth(seed, 20, _LINES_BEND, rows, columns))),
        *(patterns.joints(cell[0]) for cell in cells),
        *(cell[3] for cell in cells),
        *brushed,
    ]
    return Fields(woven, np.stack(drawn))


def _window(
    field: NDArray[np.float32], top: float, left: float, rows: int, columns: int
) -> NDArray[np.float32]:
    """A window of seamless fields (N, H, W), interpolated between positions: (N, rows, columns)."""
    y, x = math.floor(top), math.floor(left)
    down, right = top - y, left - x
    if not (down or right):
        return _rolled(field, y, x, rows, columns)
    part = _rolled(field, y - 1, x - 1, rows + 3, columns + 3)
    kernels = _cubic(right), _cubic(down)
    moved = np.empty((len(field), rows, columns), np.float32)
    for whole, plane in zip(part, moved, strict=True):
        plane[:] = cv2.sepFilter2D(whole, cv2.CV_32F, kernels[0], kernels[1], anchor=(1, 1))[1:-2, 1:-2]
    return moved


def _cubic(t: float) -> NDArray[np.float32]:
    """Weights of the positions -1, 0, 1 and 2 for the value at t in 0..1: cubic convolution, a = -1/2 (Keys
    1981, Cubic convolution interpolation for digital image processing, eq. 15). Linear weights would blur
    strokes, most of all halfway, and so make them pulse."""
    weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
    return np.array([weight / 2 for weight in weights], np.float32)


def _rolled(field: NDArray[np.float32], y: int, x: int, rows: int, columns: int) -> NDArray[np.float32]:
    """A window of seamless fields (N, H, W): (N, rows, columns)."""
    height, width = field.shape[1:]
    out = np.empty((len(field), rows, columns), np.float32)
    for down, across in product(_runs(y, rows, height), _runs(x, columns, width)):
        out[:, down[1], across[1]] = field[:, down[0], across[0]]
    return out


def _runs(first: int, count: int, size: int) -> list[tuple[slice, slice]]:
    """`count` places from `first` on, counted around `size`: slices of it, and where they come to lie."""
    runs, done = [], 0
    while done < count:
        at = (first + done) % size
        length = min(size - at, count - done)
        runs.append((slice(at, at + length), slice(done, done + length)))
        done += length
    return runs


def _brushed(seed: int, brush: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Brush strokes along a field of angles: (4 * rows, 4 * columns)."""
    along = _enlarged(math.pi * _smooth(seed, 12 + brush, _BENDS[brush], rows, columns))
    return patterns.strokes(along, *_BRUSHES[brush], seed + 200 + brush)


def _enlarged(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolated to the size of patterns: (rows, columns) to (4 * rows, 4 * columns)."""
    wide = np.pad(cells, 1, mode="wrap")
    height, width = (side * PATTERN_SCALE for side in wide.shape)
    large = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
    inside = slice(PATTERN_SCALE, -PATTERN_SCALE)
    return large[inside, inside].astype(np.float32, copy=False)


def _smooth(seed: int, channel: int, sigma: float, rows: int, columns: int) -> NDArray[np.float32]:
    """Blurred white noise of mean 0 and deviation 1 (rows, columns). sigma: in cells, less in a small field,
    of which nothing would be left otherwise."""
    white = np.random.default_rng([seed, channel]).standard_normal((rows, columns), dtype=np.float32)
    down, across = (min(sigma, side / 5) for side in (rows, columns))
    reach = math.ceil(4 * down), math.ceil(4 * across)
    wide = np.pad(white, [(r, r) for r in reach], mode="wrap")
    blurred = cv2.GaussianBlur(wide, (0, 0), sigmaX=across, sigmaY=down)
    inside = blurred[reach[0] : -reach[0], reach[1] : -reach[1]]
    smooth: NDArray[np.float32] = ((inside - inside.mean()) / inside.std()).astype(np.float32, copy=False)
    return smooth


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
