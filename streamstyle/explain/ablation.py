"""Ablation of a style code: the effect of each part of the code on a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.explain.adjust import entries
from streamstyle.explain.picture import to_lab
from streamstyle.nets.generator import Generator, paint
from streamstyle.types import Picture

_COARSE = 16  # pixels (sigma): smoother structures count as colour and light, the rest as texture


@dataclass(frozen=True)
class Ablation:
    """Effect of replacing one layer's scales or shifts by those of the average style."""

    layer: str
    """Name of the layer."""
    part: str
    """"scale" or "shift"."""
    entries: int
    """Number of replaced values."""
    change: float
    """Mean CIE76 colour difference of the outputs, in Lab units."""
    light: float
    """Mean change of coarse L."""
    colour: float
    """Mean change of coarse (a, b)."""
    texture: float
    """Relative change of the fine deviation of L; negative if the picture becomes smoother."""
    where: NDArray[np.float32]
    """(H, W): change of each pixel."""


def ablate(
    generator: Generator, picture: Picture, code: NDArray[np.float32], mean: NDArray[np.float32]
) -> tuple[Ablation, ...]:
    """One result per (layer, part), the largest change first.

    picture: RGB uint8 (H, W, 3), H and W multiples of 8. code, mean: (size,). The mean over all styles stands
    for "nothing in particular". The code of `original` would not do: it opens the direct path from the photo,
    and so changes the kind of the picture.
    """
    full = to_lab(paint(generator, picture[None], torch.from_numpy(code))[0])
    results = []
    for (layer, part), where in entries(generator.layout).items():
        if np.array_equal(code[where], mean[where]):
            continue  # a closed path, or a style that is the average here
        without = code.copy()
        without[where] = mean[where]
        lab = to_lab(paint(generator, picture[None], torch.from_numpy(without))[0])
        results.append(_compare(layer, part, where.stop - where.start, full, lab))
    return tuple(sorted(results, key=lambda result: -result.change))


def _compare(
    layer: str, part: str, count: int, full: NDArray[np.float32], without: NDArray[np.float32]
) -> Ablation:
    where = np.linalg.norm(full - without, axis=2)
    coarse, coarse_without = (cv2.GaussianBlur(lab, (0, 0), _COARSE) for lab in (full, without))
    shift = np.abs(coarse - coarse_without)
    fine = float((full - coarse)[..., 0].std())
    fine_without = float((without - coarse_without)[..., 0].std())
    return Ablation(
        layer,
        part,
        count,
        change=float(where.mean()),
        light=float(shift[..., 0].mean()),
        colour=float(np.linalg.norm(shift[..., 1:], axis=2).mean()),
        texture=fine_without / max(fine, 1e-6) - 1,
        where=where.astype(np.float32),
    )
