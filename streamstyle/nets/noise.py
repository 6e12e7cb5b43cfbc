"""Noise that the generator paints from: its canvas, and pictures made of nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE_MULTIPLE = 8
CANVAS_CHANNELS = 2


def canvas(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """The noise to paint strokes from, for frames of `height` x `width` (multiples of 8).

    Standard normal (CANVAS_CHANNELS, height/8, width/8). One seed gives one field: a smaller frame gets its
    top left part, so that a frame and a crop of it agree.
    """
    rows, columns = height // SIZE_MULTIPLE, width // SIZE_MULTIPLE
    field = np.empty((CANVAS_CHANNELS, rows, columns), np.float32)
    for channel in range(CANVAS_CHANNELS):
        for row in range(rows):
            rng = np.random.default_rng([seed, channel, row])
            field[channel, row] = rng.standard_normal(columns, dtype=np.float32)
    return field


def coloured_noise(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise with a 1/f^a spectrum, a drawn from 0.7 .. 1.8: RGB uint8 (height, width, 3).

    Photos have a near 1 (Field 1987); channels share most of the field, as photos do.
    """
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = np.inf
    spectrum = radius ** -rng.uniform(0.7, 1.8)
    white = rng.standard_normal((4, height, width))
    fields = np.fft.irfft2(np.fft.rfft2(white) * spectrum, (height, width))
    shared, *own = [field / field.std() for field in fields]
    x = np.stack([0.85 * shared + 0.5 * field for field in own], axis=2)
    return (rng.uniform(90, 165) + rng.uniform(25, 60) * x).clip(0, 255).astype(np.uint8)
