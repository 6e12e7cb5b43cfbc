"""Distance of a picture from a painting, and from the photo that it was painted from.

Measured with VGG-19's shallow layers on an image pyramid, as the networks are trained: the shallow layers of
a halved picture hold what deeper layers of the whole one do (Snelgrove 2017). Pictures are RGB uint8
(H, W, 3), 128 pixels or more a side.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from streamstyle.metrics.perceptual import FeatureNetwork, Grams, as_batch, gram_distance, grams
from streamstyle.types import Picture

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")
CONTENT_LAYER = "relu3_1"
OCTAVES = 4
SIDES = (384, 512, 640)
"""A painting has no size in pixels: it is compared at each of about SIDE^2 pixels, and the nearest counts."""

_EPS = 1e-8


class PaintingError:
    """Style errors of pictures against one painting. features: a VGG-19's."""

    def __init__(self, features: FeatureNetwork, painting: Picture) -> None:
        self._features = features
        self._targets = [_pyramid_grams(features, _resized(painting, side)) for side in SIDES]

    def style(self, picture: Picture) -> float:
        """Relative Gram error |G - G_s|^2 / |G_s|^2, mean over layers and octaves: 0 is the painting.

        Gatys et al. 2016, eq. 4, over the painting's norm.
        """
        of_picture = _pyramid_grams(self._features, picture)
        errors = [
            np.mean([gram_distance(a, b) for a, b in zip(of_picture, target, strict=True)])
            for target in self._targets
        ]
        return float(min(errors))


@torch.no_grad()
def content_error(features: FeatureNetwork, picture: Picture, photo: Picture) -> float:
    """|F - F_p|^2 / |F_p|^2 of relu3_1 at half size (Johnson et al. 2016, eq. 2): 0 is the photo."""
    ours, theirs = (
        features(F.avg_pool2d(as_batch(x), 2), [CONTENT_LAYER])[CONTENT_LAYER] for x in (picture, photo)
    )
    return float((ours - theirs).square().sum() / (theirs.square().sum() + _EPS))


@torch.no_grad()
def _pyramid_grams(features: FeatureNetwork, picture: Picture) -> Sequence[Grams]:
    x = as_batch(picture)
    of_octaves: list[Grams] = []
    for octave in range(OCTAVES):
        x = F.avg_pool2d(x, 2) if octave else x
        of_octaves.append(grams(features(x, STYLE_LAYERS), STYLE_LAYERS))
    return of_octaves


def _resized(painting: Picture, side: int) -> Picture:
    height, width = painting.shape[:2]
    scale = side / (height * width) ** 0.5
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(painting, size, interpolation=how), np.uint8)
