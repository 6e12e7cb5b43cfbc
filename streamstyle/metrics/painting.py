"""How near is a picture to a painting, and how much of the photo is left in it?

Measured with VGG-19's shallow layers on an image pyramid, as the networks are trained: the shallow layers of
a halved picture hold what deeper layers of the whole one do (Snelgrove 2017). Pictures are RGB uint8
(H, W, 3), 128 pixels or more a side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamstyle.metrics.perceptual import FeatureNetwork, Grams, gram_distance
from streamstyle.types import Picture

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")
CONTENT_LAYER = "relu3_1"
OCTAVES = 4
SIDES = (384, 512, 640)
"""A painting has no size in pixels: it is compared at each of about SIDE^2 pixels, and the nearest counts."""

_WINDOW = 16
_EPS = 1e-8


class PaintingError:
    """Style and content errors of pictures with one painting; features: a VGG-19's."""

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
        features(F.avg_pool2d(_tensor(x), 2), [CONTENT_LAYER])[CONTENT_LAYER] for x in (picture, photo)
    )
    return float((ours - theirs).square().sum() / (theirs.square().sum() + _EPS))


def detail_kept(picture: Picture, photo: Picture) -> float:
    """Mean |Laplacian of luma| over the photo's: below 1 is softer than the photo, above it has strokes."""
    ours, theirs = (
        float(np.abs(cv2.Laplacian(luma, cv2.CV_32F)).mean()) for luma in (_luma(picture), _luma(photo))
    )
    return ours / max(theirs, _EPS)


def local_contrast(picture: Picture, photo: Picture) -> float:
    """Mean deviation of luma inside windows of 16 x 16 pixels over the photo's."""
    ours, theirs = (_deviation(_luma(x)) for x in (picture, photo))
    return ours / max(theirs, _EPS)


def _deviation(luma: NDArray[np.float32]) -> float:
    mean, square = (cv2.blur(x, (_WINDOW, _WINDOW)) for x in (luma, luma * luma))
    return float(np.sqrt(np.maximum(square - mean * mean, 0)).mean())


@torch.no_grad()
def _pyramid_grams(features: FeatureNetwork, picture: Picture) -> Sequence[Grams]:
    x = _tensor(picture)
    grams: list[Mapping[str, Tensor]] = []
    for octave in range(OCTAVES):
        x = F.avg_pool2d(x, 2) if octave else x
        flat = {name: tap[0].flatten(1) for name, tap in features(x, STYLE_LAYERS).items()}
        grams.append({name: y @ y.T / y.shape[1] for name, y in flat.items()})
    return grams


def _resized(painting: Picture, side: int) -> Picture:
    height, width = painting.shape[:2]
    scale = side / (height * width) ** 0.5
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(painting, size, interpolation=how), np.uint8)


def _tensor(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def _luma(picture: Picture) -> NDArray[np.float32]:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
