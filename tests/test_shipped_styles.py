"""Requirements on the bundled weights, on photos that they never saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from clips import DATA, needs_clips

from streamstyle.files import read_picture
from streamstyle.metrics.colour_distance import sliced_wasserstein_lab
from streamstyle.metrics.diversity import diversity
from streamstyle.metrics.grid import grid_contrast
from streamstyle.metrics.noise_gain import noise_gain
from streamstyle.metrics.painting import PaintingError
from streamstyle.metrics.perceptual import grams, mean_grams, taps
from streamstyle.metrics.similarity import psnr
from streamstyle.nets.features import load_features
from streamstyle.nets.generator import paint, restore_generator
from streamstyle.styles.bundle import StyleBundle, load_bundle, network_folder
from streamstyle.train.data import resize_to_area
from streamstyle.train.drawn import read_style
from streamstyle.types import Picture

pytestmark = needs_clips
SIDE = 320
BUNDLE = load_bundle()
Painter = Callable[[Picture, str], Picture]


@pytest.fixture(scope="module")
def photos() -> list[Picture]:
    """Six held-out photos: the middle 320 x 320, not resized, so that no grid is added."""
    paths = [DATA / "content" / name for name in BUNDLE.manifest.training["held_out"]]
    pictures = [read_picture(path) for path in paths if path.exists()][::2][:6]  # others are film frames
    return [middle(picture) for picture in pictures]


def middle(picture: Picture) -> Picture:
    top, left = (picture.shape[0] - SIDE) // 2, (picture.shape[1] - SIDE) // 2
    return np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE])


@pytest.fixture(scope="module")
def painter() -> Painter:
    generator = restore_generator(BUNDLE.manifest.architecture, BUNDLE.weights)
    codes = {style.name: torch.from_numpy(style.code) for style in BUNDLE.styles}
    codes["original"] = torch.from_numpy(BUNDLE.original)
    return lambda picture, style: paint(generator, picture[None], codes[style])[0]


def painting_of(bundle: StyleBundle, style: str) -> Picture:
    file = bundle.manifest.training["styles"][bundle.names.index(style)]
    return resize_to_area(read_style(DATA / "styles", file), 512)


@pytest.mark.parametrize("style", BUNDLE.names)
def test_a_style_takes_the_paintings_colours_and_draws_no_grid(
    style: str, photos: list[Picture], painter: Painter
) -> None:
    painting = painting_of(BUNDLE, style)
    painted = [painter(photo, style) for photo in photos]
    before = np.mean([sliced_wasserstein_lab(photo, painting) for photo in photos])
    after = np.mean([sliced_wasserstein_lab(picture, painting) for picture in painted])
    assert after < 0.75 * before
    for photo, picture in zip(photos, painted, strict=True):
        assert grid_contrast(picture) <= grid_contrast(photo) + 0.10


@pytest.mark.parametrize("network", ["lite", "full"])
def test_styles_cover_most_of_the_way_to_their_paintings(network: str, photos: list[Picture]) -> None:
    """Through VGG, which sees strokes: the photos' own error is 1."""
    vgg = load_features(DATA / "weights" / "vgg19_relu3_1.safetensors")
    bundle = load_bundle(network_folder(network))
    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    shares = []
    for style in bundle.styles:
        error = PaintingError(vgg, painting_of(bundle, style.name))
        picture = paint(generator, photos[0][None], torch.from_numpy(style.code))[0]
        shares.append(error.style(picture) / error.style(photos[0]))
    assert np.mean(shares) < 0.35
    assert max(shares) < 0.7


@pytest.mark.parametrize("style", BUNDLE.names)
def test_a_still_noisy_picture_stays_still(style: str, photos: list[Picture], painter: Painter) -> None:
    gains = [noise_gain(lambda frame: painter(frame, style), photo, frames=3) for photo in photos[:4]]
    assert np.mean(gains) <= 1.5
    assert max(gains) <= 1.8


def test_every_style_is_one_of_its_own(photos: list[Picture], painter: Painter) -> None:
    features = load_features()
    halves = {}
    for style in BUNDLE.names:
        of_photos = [grams(taps(features, painter(photo, style))) for photo in photos]
        halves[style] = mean_grams(of_photos[::2]), mean_grams(of_photos[1::2])
    first, second, distance = diversity(halves).smallest()
    assert distance > 0.02, f"{first} and {second} look alike"


@pytest.mark.parametrize("style", ["starry-night", "udnie", "woodcut"])
def test_the_full_network_paints_the_same_styles(style: str, photos: list[Picture]) -> None:
    full = load_bundle(network_folder("full"))
    assert full.names == BUNDLE.names
    generator = restore_generator(full.manifest.architecture, full.weights)
    code, original = (
        torch.from_numpy(full.styles[full.names.index(style)].code),
        torch.from_numpy(full.original),
    )
    painting = painting_of(full, style)
    for photo in photos[:3]:
        before = sliced_wasserstein_lab(photo, painting)
        picture = paint(generator, photo[None], code)[0]
        assert sliced_wasserstein_lab(picture, painting) < 0.75 * before
        assert grid_contrast(picture) <= grid_contrast(photo) + 0.10
        assert psnr(paint(generator, photo[None], original)[0], photo) > 36


def test_the_original_code_gives_the_photo_back(photos: list[Picture], painter: Painter) -> None:
    for photo in photos:
        assert psnr(painter(photo, "original"), photo) > 36
