"""Noise that the generator paints from: its canvas, and pictures made of nothing else."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_MULTIPLE = 8
CANVAS_CHANNELS = 6

_MARGIN = 88  # cells drawn around the frame, so that no value depends on the frame's size
_STROKE = 6  # cells that a stroke reaches to both sides
_BENDS = (8.0, 20.0)  # how far a stroke field runs before it turns: sigma of its angles in cells
_BLOBS = (1.5, 4.0)  # sigma in cells


def canvas(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """The noise to paint from, for frames of `height` x `width` (multiples of 8).

    float32 (CANVAS_CHANNELS, height/8, width/8), mean 0, deviation about 1: two channels of white noise,
    two of strokes along fields that bend tightly and widely (line integral convolution, Cabral and Leedom
    1993), two of small and large blobs. One seed gives one field: a smaller frame gets its top left part,
    so that a frame and a crop of it agree.
    """
    rows, columns = height // SIZE_MULTIPLE, width // SIZE_MULTIPLE
    wide = rows + 2 * _MARGIN, columns + 2 * _MARGIN
    inside = slice(_MARGIN, _MARGIN + rows), slice(_MARGIN, _MARGIN + columns)
    field = np.empty((CANVAS_CHANNELS, rows, columns), np.float32)
    for channel in range(2):
        field[channel] = _white(seed, channel, rows, columns)
    for channel, bend in enumerate(_BENDS, 2):
        angle = math.pi * _blurred(_white(seed, channel + 10, *wide), bend)
        field[channel] = _strokes(_white(seed, channel, *wide), angle)[inside]
    for channel, sigma in enumerate(_BLOBS, 4):
        field[channel] = _blurred(_white(seed, channel, *wide), sigma)[inside]
    return field


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


def _strokes(white: NDArray[np.float32], angle: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise summed along the streamlines of a field of directions; deviation about 1."""
    rows, columns = white.shape
    x, y = (axis.astype(np.float32) for axis in np.meshgrid(np.arange(columns), np.arange(rows)))
    total = white.copy()
    for sign in (1, -1):
        at_x, at_y = x, y
        for _ in range(_STROKE):
            along = _sampled(angle, at_x, at_y)
            at_x = np.add(at_x, sign * np.cos(along), dtype=np.float32)
            at_y = np.add(at_y, sign * np.sin(along), dtype=np.float32)
            total += _sampled(white, at_x, at_y)
    return total / math.sqrt(2 * _STROKE + 1)


def _sampled(
    field: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.astype(np.float32, copy=False)


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
