"""Distances on the features of a network that was trained for recognition.

Features are {layer: (1, C, h, w)} of one picture each, as `taps` returns them; every distance takes the
result of a single pass through the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.types import Picture

FeatureNetwork: TypeAlias = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]
"""RGB (B, 3, H, W) in [0, 1] (H, W >= 64) and layer names to {layer: (B, C, h, w)}, on the CPU."""

Taps: TypeAlias = Mapping[str, Tensor]
Grams: TypeAlias = Mapping[str, Tensor]
"""{layer: (C, C)}."""

# The layers that LPIPS takes of SqueezeNet, as far as the bundled network goes, those of the training's
# style loss, and one for sets.
PERCEPTUAL_LAYERS = ("conv1", "fire3", "fire5", "fire6", "fire7")
STYLE_LAYERS = ("conv1", "fire2", "fire3", "fire5", "fire7")
SET_LAYER = "fire5"

_EPS = 1e-8


@torch.no_grad()
def taps(features: FeatureNetwork, picture: Picture) -> Taps:
    """Features of RGB uint8 (H, W, 3), 64 pixels or more a side, for every distance of this module."""
    return features(as_batch(picture), sorted({*PERCEPTUAL_LAYERS, *STYLE_LAYERS, SET_LAYER}))


def as_batch(picture: Picture) -> Tensor:
    """RGB uint8 (H, W, 3) to float (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def perceptual_distance(a: Taps, b: Taps) -> float:
    """Squared difference of features that were scaled to unit length at each position, summed over
    channels, mean over positions and layers: in [0, 4], 0 for equal pictures, symmetric.

    Zhang et al. 2018, eq. 1 with all weights 1 and a mean instead of a sum over layers: it orders pictures
    much as LPIPS does, but its values are not those of LPIPS. Pictures of one size.
    """
    per_layer = [(_unit(a[n]) - _unit(b[n])).square().sum(dim=1).mean() for n in PERCEPTUAL_LAYERS]
    return float(torch.stack(per_layer).mean())


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(dim=1, keepdim=True).sqrt() + _EPS)


def grams(of: Taps, layers: Sequence[str] = STYLE_LAYERS) -> Grams:
    """Gram matrix of each layer, divided by the number of positions (Gatys et al. 2016, eq. 3)."""
    flat = {name: of[name][0].flatten(1) for name in layers}
    return {name: x @ x.T / x.shape[1] for name, x in flat.items()}


def mean_grams(pictures: Sequence[Grams]) -> Grams:
    """Mean Gram matrices of a set of pictures, at least one."""
    return {name: torch.stack([one[name] for one in pictures]).mean(dim=0) for name in pictures[0]}


def gram_distance(picture: Grams, painting: Grams) -> float:
    """Relative Gram error, mean over layers: |G - G_s|^2 / |G_s|^2, 0 or more.

    Gatys et al. 2016, eq. 4, over the norm of the painting, so that no layer outweighs the others.
    """
    errors = [(picture[n] - g).square().sum() / (g.square().sum() + _EPS) for n, g in painting.items()]
    return float(torch.stack(errors).mean())


def positions(of: Taps) -> NDArray[np.float64]:
    """The feature vectors (n, C) at every position of `SET_LAYER`: samples for `frechet_distance`.

    One picture gives thousands of them, so that a single painting is a set too: the single image FID of
    Shaham et al. 2019.
    """
    return of[SET_LAYER][0].flatten(1).T.double().numpy()


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """|m - w|^2 + Tr(C + D - 2 (C D)^(1/2)) of two sets of feature vectors (n, d) and (m, d), 0 or more.

    Heusel et al. 2017, eq. 6. Means m, w; covariances C, D shrunk towards a multiple of the identity as far
    as Ledoit and Wolf 2004 find best for the number of vectors: with fewer vectors than dimensions a sample
    covariance is singular, and the distance of two sets from one source far from 0. Two vectors or more each.
    """
    first, second = _shrunk_covariance(a), _shrunk_covariance(b)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # The trace of (C D)^(1/2) is that of (C^(1/2) D C^(1/2))^(1/2), which is symmetric.
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return max(0.0, float(shift + np.trace(first) + np.trace(second) - 2 * cross))


def set_distance(picture: NDArray[np.float64], painting: NDArray[np.float64]) -> float:
    """`frechet_distance` over the mean squared length of the painting's vectors, 0 or more.

    Without the division the distance would be in the units of the network's features.
    """
    return frechet_distance(picture, painting) / (float(np.square(painting).sum(axis=1).mean()) + _EPS)


def _shrunk_covariance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (d, d) of samples (n, d), well-conditioned as by Ledoit and Wolf 2004."""
    n, d = x.shape
    centred = x - x.mean(axis=0)
    sample = centred.T @ centred / n
    target = np.trace(sample) / d * np.eye(d)
    spread = np.square(sample - target).sum()
    if not spread:
        return np.asarray(target)
    error = (np.square(np.square(centred).sum(axis=1)).mean() - np.square(sample).sum()) / n
    share = min(1.0, max(0.0, error / spread))
    return np.asarray(share * target + (1 - share) * sample)
