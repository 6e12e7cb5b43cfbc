"""Photos that nobody took: a licence-free content set for training a style without any pictures at hand.

Dead leaves (Lee, Mumford and Huang 2001): opaque shapes of all sizes that cover each other, the model whose
edges and scales are most like those of photographs, with shading and noise on each leaf.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.nets.noise import coloured_noise

_LEAVES = 160
_SMALLEST, _LARGEST = 0.03, 0.6  # radii as shares of the picture's side


def dead_leaves(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One picture, RGB uint8 (height, width, 3).

    Radii follow a density of r^-2, more large shapes than the scale-invariant r^-3: photos have skies and
    walls. Leaves are ellipses and polygons in the colours of a palette of the picture's own, under one light.
    """
    side = min(height, width)
    palette = _palette(rng)
    x = np.empty((height, width, 3), np.float32)
    x[:] = palette[0]
    texture = coloured_noise(height, width, rng).astype(np.float32) - 128
    # Inverse transform of the r^-2 law, largest first: later leaves lie on top.
    low, high = 1 / (_SMALLEST * side), 1 / (_LARGEST * side)
    radii = np.sort(1 / (high + rng.random(_LEAVES) * (low - high)))[::-1]
    for radius in radii:
        centre = rng.uniform(0, 1, 2) * (width, height)
        left, top = np.maximum(0, np.floor(centre - radius - 2)).astype(int)
        right, bottom = np.ceil(centre + radius + 3).astype(int)
        window = x[top:bottom, left:right]
        mask = _leaf(window.shape[:2], centre - (left, top), float(radius), rng)
        colour = palette[rng.integers(len(palette))] + rng.normal(0, 12, 3)
        leaf = colour + rng.choice([0.0, 0.15, 0.6]) * texture[: window.shape[0], : window.shape[1]]
        window += (leaf - window) * (mask[..., None].astype(np.float32) / 255)
    lit = x * _light(height, width, rng) + rng.normal(0, 2, x.shape)
    return lit.clip(0, 255).astype(np.uint8)


def _palette(rng: np.random.Generator) -> NDArray[np.float32]:
    """Colours around two hues, from dark to light, with a grey among them: (9, 3)."""
    hues = (rng.uniform(0, 180) + np.array([0, 0, 0, 0, 40, 40, 90, 90, 0])) % 180
    saturation = rng.uniform(20, 190, 9)
    saturation[-1] = 0
    value = np.linspace(40, 240, 9)
    rng.shuffle(value)
    hsv = np.stack([hues, saturation, value], axis=1).astype(np.uint8)[None]
    rgb: NDArray[np.float32] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(np.float32)
    return rgb


def _light(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth illumination, (height, width, 1), around 1."""
    corners = rng.uniform(0.55, 1.25, (2, 2)).astype(np.float32)
    lit = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    return lit.astype(np.float32, copy=False)[..., None]


def _leaf(
    shape: tuple[int, ...], centre: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """An anti-aliased ellipse or polygon: coverage 0..255 of `shape`."""
    mask = np.zeros(shape, np.uint8)
    if rng.random() < 0.5:
        axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.3, 1))))
        at = (round(centre[0]), round(centre[1]))
        cv2.ellipse(mask, at, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 6)))
        corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [corners.round().astype(np.int32)], 255, cv2.LINE_AA)
    return mask
