"""Noise gain: stability of the painting of a still picture with sensor noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

_SIGMA = 2.0  # levels of 0..255: a good camera in good light


def noise_gain(paint: Callable[[Picture], Picture], photo: Picture, *, frames: int = 8) -> float:
    """Mean frame-to-frame change of the painted clip over that of the clip itself, 0 or more.

    photo: RGB uint8 (H, W, 3); the clip is `frames` (2 or more) copies of it, each with its own white
    Gaussian noise of 2 levels in every channel. paint: one frame to its painting. Above 1 the network
    amplifies noise into boiling strokes; copying has 1.
    """
    rng = np.random.default_rng(0)
    clip_change, painted_change = 0.0, 0.0
    before: tuple[Picture, Picture] | None = None
    for _ in range(frames):
        noisy = photo + _SIGMA * rng.standard_normal(photo.shape, dtype=np.float32)
        frame: Picture = noisy.round().clip(0, 255).astype(np.uint8)
        painted = paint(frame)
        if before is not None:
            clip_change += _change(before[0], frame)
            painted_change += _change(before[1], painted)
        before = frame, painted
    return painted_change / clip_change


def _change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    return float(np.abs(after.astype(np.int16) - before).mean())
