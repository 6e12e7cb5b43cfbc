"""Diversity: distance between the styles of a bundle, compared with the spread within one style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.metrics.perceptual import Grams, mean_grams

_EPS = 1e-8


@dataclass(frozen=True)
class Diversity:
    """Distances between S styles."""

    names: tuple[str, ...]
    """Names of the styles."""
    between: NDArray[np.float64]
    """float64 (S, S), distance of the paintings of two styles of the same photos, 0 on the diagonal."""
    spread: NDArray[np.float64]
    """float64 (S,), distance of two halves of one style's paintings, which differ in the photos alone."""

    def nearest(self, name: str) -> tuple[str, float]:
        """The style closest to style `name`, and its distance. Needs two styles or more."""
        index = self.names.index(name)
        others = np.where(np.arange(len(self.names)) == index, np.inf, self.between[index])
        return self.names[int(others.argmin())], float(others.min())

    def smallest(self) -> tuple[str, str, float]:
        """The two styles closest to each other, and their distance. Needs two styles or more."""
        found = [(name, *self.nearest(name)) for name in self.names]
        return min(found, key=lambda pair: pair[2])


def style_distance(a: Grams, b: Grams) -> float:
    """2 |A - B|^2 / (|A|^2 + |B|^2), mean over layers: in [0, 2], symmetric, 0 for equal Gram matrices.

    The symmetric sibling of `perceptual.gram_distance`.
    """
    per_layer = [
        2 * (g - b[name]).square().sum() / (g.square().sum() + b[name].square().sum() + _EPS)
        for name, g in a.items()
    ]
    return float(torch.stack(per_layer).mean())


def diversity(halves: Mapping[str, tuple[Grams, Grams]]) -> Diversity:
    """Distances between and within styles, from {style: the `mean_grams` of its paintings of each half of the
    photos}. Both halves have the same photos for every style, and equally many."""
    names = tuple(halves)
    means = [mean_grams(halves[name]) for name in names]
    between = np.zeros((len(names), len(names)))
    for i, a in enumerate(means):
        for j, b in enumerate(means[:i]):
            between[i, j] = between[j, i] = style_distance(a, b)
    return Diversity(names, between, np.array([style_distance(*pair) for pair in halves.values()]))
