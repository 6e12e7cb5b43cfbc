"""Swatches: a style's own texture, painted from noise alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.explain.picture import MIN_SIDE
from streamstyle.nets.generator import Generator, paint
from streamstyle.nets.noise import SIZE_MULTIPLE, coloured_noise
from streamstyle.types import Picture

PASSES = 2


def swatch(
    generator: Generator,
    code: NDArray[np.float32],
    height: int,
    width: int,
    *,
    seed: int = 0,
    passes: int = PASSES,
) -> Picture:
    """Paint coloured noise with a code (size,), then the result again: RGB uint8 (height, width, 3).

    Any size from 1 x 1 up: the network sees the next multiples of 8, and the rest is cut off. One seed gives
    one picture, bit for bit. Noise has no edges to follow, so only the style remains. The second pass draws
    strokes where the noise was smooth; a third would change little.
    """
    rows, columns = (max(MIN_SIDE, n + -n % SIZE_MULTIPLE) for n in (height, width))
    picture = coloured_noise(rows, columns, np.random.default_rng(seed))
    for _ in range(passes):
        picture = paint(generator, picture[None], torch.from_numpy(code), seed=seed)[0]
    return np.ascontiguousarray(picture[:height, :width])
