"""The yardstick of the picture: style, content, detail and contrast through VGG's shallow layers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from streamstyle.metrics.painting import PaintingError, content_error
from streamstyle.metrics.similarity import local_contrast, sharpness_ratio
from streamstyle.nets.features import VggFeatures
from streamstyle.types import Picture


def narrow_vgg() -> VggFeatures:
    """VGG up to relu3_1 with few channels and random weights: relative errors of equal pictures are 0."""
    torch.manual_seed(0)
    channels, weights = 3, {}
    for index, width in ((0, 8), (2, 8), (5, 12), (7, 12), (10, 16)):
        weights[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3) * (2 / (9 * channels)) ** 0.5
        weights[f"features.{index}.bias"] = torch.zeros(width)
        channels = width
    return VggFeatures(weights)


def texture(seed: int, sigma: float, side: int = 512) -> Picture:
    noise = np.random.default_rng(seed).standard_normal((side, side, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return (128 + 50 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def vgg() -> VggFeatures:
    return narrow_vgg()


def test_a_painting_is_its_own_style_at_any_of_its_sizes(vgg: VggFeatures) -> None:
    painting = texture(0, 6)
    error = PaintingError(vgg, painting)
    assert error.style(painting) == pytest.approx(0, abs=1e-6)
    smaller = cv2.resize(painting, (384, 384), interpolation=cv2.INTER_AREA).astype(np.uint8)
    assert error.style(smaller) == pytest.approx(0, abs=1e-6)


def test_another_piece_of_a_texture_is_nearer_than_another_texture(vgg: VggFeatures) -> None:
    error = PaintingError(vgg, texture(0, 4))
    assert error.style(texture(1, 4)) < 0.5 * error.style(texture(1, 1.5))
    assert error.style(texture(1, 4)) < 0.5 * error.style(255 - texture(1, 12))


def test_coarse_structure_is_seen_by_the_pyramid(vgg: VggFeatures) -> None:
    """Blobs of 40 pixels look flat to a layer that sees 6 pixels of the whole picture."""
    seen: list[int] = []

    def recording(x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        seen.append(x.shape[-1])
        return vgg(x, layers)

    PaintingError(recording, texture(0, 40))
    assert sorted(set(seen)) == sorted({side // 2**octave for side in (384, 512, 640) for octave in range(4)})


def test_content_is_kept_by_a_change_of_nothing_and_lost_with_the_structure(vgg: VggFeatures) -> None:
    photo = texture(2, 5, 256)
    assert content_error(vgg, photo, photo) == 0
    near = content_error(vgg, cv2.GaussianBlur(photo, (0, 0), 1).astype(np.uint8), photo)
    assert 0 < near < 0.3 * content_error(vgg, texture(3, 5, 256), photo)


def test_detail_and_contrast_are_relative_to_the_photo() -> None:
    photo = texture(4, 2, 256)
    blurred = cv2.GaussianBlur(photo, (0, 0), 4).astype(np.uint8)
    flatter = (64 + 0.5 * photo).round().astype(np.uint8)
    assert sharpness_ratio(photo, photo) == pytest.approx(1)
    assert sharpness_ratio(blurred, photo) < 0.2
    assert local_contrast(flatter, photo) == pytest.approx(0.5, rel=0.02)
    assert local_contrast(photo, np.full_like(photo, 9)) > 1e6
