from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from clips import DATA, needs_clips
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.cli import eval as evaluate
from streamstyle.errors import ConfigError
from streamstyle.metrics import perceptual
from streamstyle.metrics.colour_distance import sliced_wasserstein_lab
from streamstyle.metrics.comparison import Comparison
from streamstyle.metrics.diversity import diversity, style_distance
from streamstyle.metrics.flicker import flicker_index
from streamstyle.metrics.noise_gain import noise_gain
from streamstyle.metrics.similarity import (
    contrast_ratio,
    edge_similarity,
    psnr,
    sharpness_ratio,
    ssim,
)
from streamstyle.metrics.warp_error import WarpError, correspondence, pair_error
from streamstyle.nets.features import SqueezeNetFeatures
from streamstyle.types import Picture

FEATURES = DATA / "weights" / "squeezenet1_0_features.safetensors"
SEEDS = st.integers(0, 2**32 - 1)


def textured(seed: int = 0, height: int = 96, width: int = 128) -> Picture:
    """A smooth random picture: enough texture for flow, little enough detail for interpolation."""
    noise = np.random.default_rng(seed).standard_normal((height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return (128 + smooth * 40 / smooth.std()).round().clip(0, 255).astype(np.uint8)


def photo(side: int = 160) -> Picture:
    path = sorted((DATA / "content").glob("*.jpg"))[0]
    return cv2.resize(cv2.imread(str(path))[..., ::-1], (side, side), interpolation=cv2.INTER_AREA)


def fake_network(x: Tensor, layers: object) -> dict[str, Tensor]:
    """Features that need no weights: rectified random projections of 4x4 patches."""
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(8, 3, 4, 4, generator=generator)
    y = torch.relu(torch.nn.functional.conv2d(x - 0.5, kernel, stride=4))
    return dict.fromkeys(layers, y)  # type: ignore[call-overload, no-any-return]


def taps_of(picture: Picture) -> perceptual.Taps:
    return perceptual.taps(fake_network, picture)


def test_equal_pictures_are_equal_to_every_measure() -> None:
    a = textured()
    assert ssim(a, a) == pytest.approx(1)
    assert psnr(a, a) == float("inf")
    assert edge_similarity(a, a) == pytest.approx(1)
    assert sharpness_ratio(a, a) == contrast_ratio(a, a) == 1
    assert perceptual.perceptual_distance(taps_of(a), taps_of(a)) == 0
    grams = perceptual.grams(taps_of(a))
    assert perceptual.gram_distance(grams, grams) == style_distance(grams, grams) == 0


def test_psnr_of_a_constant_offset_is_known() -> None:
    a = np.full((32, 32, 3), 100, np.uint8)
    assert psnr(a, a + 10) == pytest.approx(20 * np.log10(255 / 10))


def test_ssim_of_two_flat_pictures_is_the_luminance_term() -> None:
    a, b = np.full((32, 32, 3), 50, np.uint8), np.full((32, 32, 3), 100, np.uint8)
    c = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 50 * 100 + c) / (50**2 + 100**2 + c))


def test_edges_do_not_care_for_brightness_and_do_for_blur() -> None:
    a = np.clip(textured(), 20, 200).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(a, (0, 0), 5), np.uint8)
    assert edge_similarity(a, a + 20) == pytest.approx(1, abs=1e-3)
    assert edge_similarity(a, blurred) < 0.9
    assert sharpness_ratio(blurred, a) < 0.5


def test_contrast_ratio_is_the_gain() -> None:
    a = textured()
    flattened = (128 + (a.astype(float) - 128) / 2).round().astype(np.uint8)
    assert contrast_ratio(flattened, a) == pytest.approx(0.5, abs=0.01)


def test_a_flat_reference_makes_no_division_by_zero() -> None:
    flat = np.full((32, 32, 3), 90, np.uint8)
    assert contrast_ratio(flat, flat) == sharpness_ratio(flat, flat) == 1
    assert contrast_ratio(textured(height=32, width=32), flat) == float("inf")


@pytest.mark.parametrize(
    "measure",
    [
        ssim,
        edge_similarity,
        lambda a, b: perceptual.perceptual_distance(taps_of(a), taps_of(b)),
        lambda a, b: style_distance(perceptual.grams(taps_of(a)), perceptual.grams(taps_of(b))),
        sliced_wasserstein_lab,
    ],
    ids=["ssim", "edge_similarity", "perceptual", "style", "colour"],
)
@settings(max_examples=10)
@given(seed=SEEDS, brightness=st.integers(0, 255), spread=st.integers(0, 255))
def test_similarities_are_symmetric_and_in_range(
    measure: Callable[[Picture, Picture], float], seed: int, brightness: int, spread: int
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    b = np.clip(brightness + rng.integers(-spread, spread + 1, (64, 64, 3)), 0, 255).astype(np.uint8)
    value = measure(a, b)
    assert value == pytest.approx(measure(b, a), rel=1e-5, abs=1e-9)
    upper = {ssim: 1, edge_similarity: 1, sliced_wasserstein_lab: 255}.get(measure, 4)
    assert (-1 if measure is ssim else 0) <= value <= upper + 1e-9


def test_frechet_distance_of_a_set_to_itself_is_zero() -> None:
    x = np.random.default_rng(0).normal(size=(50, 80))
    assert perceptual.frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_gaussians_is_the_analytic_one() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20_000, 4)) * [1, 1, 2, 3]
    b = rng.normal(size=(20_000, 4)) * [2, 1, 2, 1] + [3, 0, 0, 4]
    # |shift|^2 + sum of squared differences of the deviations
    assert perceptual.frechet_distance(a, b) == pytest.approx(25 + 1 + 0 + 0 + 4, rel=0.02)


def test_frechet_distance_needs_not_more_vectors_than_dimensions() -> None:
    rng = np.random.default_rng(0)
    few, more = rng.normal(size=(30, 100)), rng.normal(size=(30, 100))
    sample = [np.cov(x.T) for x in (few, more)]
    assert all(np.linalg.matrix_rank(c) < 100 for c in sample)
    # The rest is the distance of the two means, whose expectation is 2 * 100 / 30.
    assert perceptual.frechet_distance(few, more) == pytest.approx(200 / 30, rel=0.3)


def test_set_distance_does_not_depend_on_the_units_of_the_features() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 5)), rng.normal(size=(40, 5)) + 1
    distance = perceptual.set_distance(a, b)
    assert perceptual.set_distance(1000 * a, 1000 * b) == pytest.approx(distance)


def test_flat_features_have_a_frechet_distance_too() -> None:
    a, b = np.zeros((10, 3)), np.ones((10, 3))
    assert perceptual.frechet_distance(a, b) == pytest.approx(3)


def test_gram_distance_is_relative_to_the_painting() -> None:
    painting = {"a": torch.eye(3), "b": 5 * torch.eye(2)}
    assert perceptual.gram_distance({n: 3 * g for n, g in painting.items()}, painting) == pytest.approx(4)


@needs_clips
def test_features_see_blur_and_do_not_see_the_painting_in_the_photo() -> None:
    features = SqueezeNetFeatures.load(FEATURES)
    a = photo()
    slight, strong = (np.asarray(cv2.GaussianBlur(a, (0, 0), s), np.uint8) for s in (0.7, 3))
    of = {name: perceptual.taps(features, p) for name, p in {"a": a, "s": slight, "b": strong}.items()}
    assert (
        0
        < perceptual.perceptual_distance(of["a"], of["s"])
        < perceptual.perceptual_distance(of["a"], of["b"])
    )
    assert perceptual.positions(of["a"]).shape[1] == 256


def test_an_exact_shift_has_a_warp_error_near_the_interpolation_floor() -> None:
    wide = textured(height=96, width=160)
    now, later = wide[:, 5:133].copy(), wide[:, :128].copy()
    match = correspondence(now, later)
    assert match.visible.mean() > 0.8
    assert np.abs(match.positions - np.moveaxis(np.mgrid[:96, :128][::-1], 0, -1) - [5, 0])[
        match.visible
    ].max() == pytest.approx(0, abs=0.5)
    assert pair_error(now, later, match) < 2e-5


def test_pixels_that_leave_the_picture_are_not_compared() -> None:
    wide = textured(height=96, width=160)
    now, later = wide[:, 5:133].copy(), wide[:, :128].copy()
    assert not correspondence(now, later).visible[:, -4:].any()


def test_what_a_moving_thing_uncovers_or_hides_is_not_compared() -> None:
    background, thing = textured(1), textured(2, 48, 40)
    now, later = background.copy(), background.copy()
    now[24:72, 30:70] = thing
    later[24:72, 42:82] = thing
    hidden = correspondence(now, later).visible[30:66, 71:80]  # lies behind the thing in the later frame
    assert hidden.mean() < 0.1
    error = WarpError()
    error.add(now)
    error.add(later)
    unmasked = np.mean((now.astype(float) - later) ** 2) / 255**2
    assert error.means()[0] < 0.02 * unmasked


def panned(frames: int) -> list[Picture]:
    wide = textured(height=72, width=128 + 2 * frames)
    return [wide[:, 2 * i : 2 * i + 128].copy() for i in range(frames)]


def brightened(picture: Picture, gain: float) -> Picture:
    return (picture * gain).round().clip(0, 255).astype(np.uint8)


def test_warp_error_rises_with_injected_flicker_and_not_with_a_constant_gain() -> None:
    film = panned(6)
    constant = [brightened(frame, 0.9) for frame in film]
    flickering = [brightened(frame, 0.9 + 0.05 * (i % 2)) for i, frame in enumerate(film)]
    error = WarpError()
    for frames in zip(film, film, constant, flickering, strict=True):
        error.add(*frames)
    floor, same, steady, wild = error.means()
    assert floor == same
    assert steady == pytest.approx(0.81 * floor, rel=0.2)
    # A mean brightness of 128 that steps by 5 %: (0.5 * 0.05)^2 and a little more for the contrast.
    assert wild == pytest.approx((128 / 255 * 0.05) ** 2, rel=0.3)


def test_long_term_warp_error_sees_a_drift_that_neighbours_hide() -> None:
    still = textured(height=72, width=96)
    drifting = [brightened(still, 0.8 + 0.01 * i) for i in range(12)]
    errors = []
    for gap in (1, 10):
        error = WarpError(gap)
        for frame in drifting:
            error.add(still, frame)
        errors.append(error.means()[1])
    assert errors[1] > 50 * errors[0]


def test_too_short_a_film_has_no_warp_error() -> None:
    error = WarpError(10)
    for frame in panned(3):
        error.add(frame)
    assert error.means() == ()


def test_flicker_of_an_alternating_gain_is_its_step_and_of_a_constant_gain_zero() -> None:
    source = [100.0] * 5
    assert flicker_index([110, 90, 110, 90, 110], source) == pytest.approx(20)
    assert flicker_index([110.0] * 5, source) == 0
    strobe = [100.0, 140.0, 100.0]
    assert flicker_index(strobe, strobe) == 0


def test_noise_gain_of_a_copy_is_one_of_doubled_contrast_near_two_and_of_a_fixed_picture_zero() -> None:
    still = textured(height=64, width=64)
    assert noise_gain(lambda frame: frame, still) == 1
    stronger = noise_gain(lambda f: np.clip(2 * (f.astype(int) - 128) + 128, 0, 255).astype(np.uint8), still)
    assert 1.7 < stronger <= 2
    assert noise_gain(lambda _: still, still) == 0


def test_diversity_finds_the_two_styles_that_look_alike() -> None:
    rng = np.random.default_rng(0)

    def grams(centre: float) -> perceptual.Grams:
        return {"a": torch.tensor(centre * np.eye(4) + 0.01 * rng.normal(size=(4, 4)))}

    found = diversity({name: (grams(c), grams(c)) for name, c in {"x": 1.0, "y": 4.0, "z": 1.2}.items()})
    assert np.array_equal(found.between, found.between.T)
    assert not found.between.diagonal().any()
    assert set(found.smallest()[:2]) == {"x", "z"}
    assert found.nearest("y")[0] == "z"
    assert (found.spread < found.smallest()[2]).all()


def test_a_comparison_of_a_film_tells_every_figure_and_the_floor() -> None:
    comparison = Comparison(fake_network, textured(9, 64, 64))
    for index, frame in enumerate(panned(11)):
        comparison.add(frame, brightened(frame, 0.8), brightened(frame, 0.8 if index % 2 else 0.7))
    figures = comparison.figures()
    assert set(evaluate._LINES) <= set(figures)
    assert figures["steadier"] == 1 - figures["warp_error"] / figures["warp_error_reference"] > 0.5
    assert 0.9 < figures["sharpness_to_reference"] < 1.2
    assert figures["contrast_ratio"] == pytest.approx(0.8, abs=0.02)
    assert 0 < figures["warp_error"] < figures["warp_error_original"]
    assert figures["frechet_distance"] > 0


def run_eval(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    parser = argparse.ArgumentParser()
    evaluate.add_command(parser.add_subparsers())
    parsed = parser.parse_args(["eval", *map(str, arguments)])
    assert parsed.command(parsed) == 0
    return capsys.readouterr().out


def write(path: Path, picture: NDArray[np.uint8]) -> Path:
    assert cv2.imwrite(str(path), picture[..., ::-1])
    return path


def test_eval_of_two_pictures_speaks_json_and_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.png", textured())
    b = write(tmp_path / "b.png", brightened(textured(), 0.5))
    report = json.loads(run_eval(capsys, a, b, "--style-picture", a, "--json"))
    assert report["frames"] == 1
    assert report["figures"]["contrast_ratio"] == pytest.approx(0.5, abs=0.01)
    assert report["figures"]["colour_distance_original"] < report["figures"]["colour_distance"]
    assert "warp_error" not in report["figures"]
    same = json.loads(run_eval(capsys, a, a, "--json"))
    assert same["figures"]["psnr"] is None
    assert "infinite" in run_eval(capsys, a, a)


def test_one_black_frame_does_not_make_a_films_figures_infinite() -> None:
    comparison = Comparison()
    black = np.zeros_like(textured())
    for pair in ((black, black), (textured(), brightened(textured(), 0.5)), (black, textured())):
        comparison.add(*pair)
    figures = comparison.figures()
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["contrast_ratio"] == pytest.approx(0.75, abs=0.01)


def test_eval_of_a_film_with_itself_finds_no_flicker(capsys: pytest.CaptureFixture[str]) -> None:
    scene = "test:?seconds=1&size=96x64&rate=5"
    figures = json.loads(run_eval(capsys, scene, scene, "--frames", "3", "--json"))["figures"]
    assert figures["flicker"] == 0
    assert figures["warp_error"] == figures["warp_error_original"]
    assert "warp_error_gap10" not in figures


def test_eval_against_itself_as_the_reference_is_no_steadier(capsys: pytest.CaptureFixture[str]) -> None:
    scene = "test:?seconds=1&size=96x64&rate=5"
    said = run_eval(capsys, scene, scene, "--reference", scene, "--frames", "3", "--json")
    figures = json.loads(said)["figures"]
    assert figures["steadier"] == 0
    assert figures["sharpness_to_reference"] == figures["contrast_to_reference"] == 1
    assert figures["perceptual_to_reference"] == 0


@pytest.mark.parametrize(
    ("original", "styled", "said"),
    [
        ("test:?seconds=1&size=96x64&rate=5", "test:?seconds=1&size=128x64&rate=5", "the same size"),
        ("test:?seconds=1&size=96x64&rate=5", "test:?seconds=1&size=96x64&rate=3", "--frames 3"),
        ("test:?seconds=1&size=96x64&rate=5", "picture.png", "two pictures or two videos"),
        ("missing.png", "missing.png", "cannot read picture missing.png"),
    ],
)
def test_eval_of_what_does_not_belong_together_says_why(
    capsys: pytest.CaptureFixture[str], original: str, styled: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        run_eval(capsys, original, styled)


def test_eval_tells_which_of_three_films_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    scene = "test:?seconds=1&size=96x64&rate=5"
    with pytest.raises(ConfigError, match=r"rate=3 ends after 3 frames and .*rate=5 goes on"):
        run_eval(capsys, scene, scene, "--reference", "test:?seconds=1&size=96x64&rate=3")


def test_eval_of_a_tiny_picture_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = write(tmp_path / "tiny.png", textured(height=20, width=20))
    with pytest.raises(ConfigError, match="64 pixels"):
        run_eval(capsys, tiny, tiny)
