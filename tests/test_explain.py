"""Explanations: swatches, turned styles, what a picture is made of, and the page that says so."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page

from streamstyle.cli import explain as explain_command
from streamstyle.cli import styles as styles_command
from streamstyle.errors import ConfigError, ModelError, SinkError
from streamstyle.explain.ablation import ablate
from streamstyle.explain.adjust import GROUPS, adjust, entries, group_of, parse_adjustments
from streamstyle.explain.attribution import attribute
from streamstyle.explain.critic import Critic, load_critic
from streamstyle.explain.explanation import AdjustedStyle, Explanation, explain, explanation_page
from streamstyle.explain.feature_maps import feature_maps, strongest
from streamstyle.explain.picture import fit, heat
from streamstyle.explain.swatch import swatch
from streamstyle.files import write_picture
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.generator import Generator, GeneratorConfig
from streamstyle.styles import bundle as bundle_module
from streamstyle.styles.bundle import (
    BUNDLED,
    MANIFEST_VERSION,
    Manifest,
    StyleBundle,
    StyleRecord,
    load_manifest,
)
from streamstyle.styles.entry import StyleEntry
from streamstyle.train.publish import _plain_half
from streamstyle.types import Picture


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(widths=(8, 8, 16), blocks=1)).requires_grad_(False).eval()


@pytest.fixture(scope="module")
def codes(generator: Generator) -> np.ndarray:
    """Three styles with the direct path closed."""
    torch.manual_seed(1)
    codes = generator.layout.neutral() + 0.5 * torch.randn(3, generator.layout.size)
    codes[:, entries(generator.layout)["detail", "scale"]] = 0
    return codes.numpy()


@pytest.fixture(scope="module")
def photo() -> Picture:
    y, x = np.mgrid[:72, :100]
    picture = np.stack([x * 2.5, y * 3.5, 120 + 80 * np.sin(x / 4)], axis=2).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.rectangle(picture, (30, 20), (60, 50), (250, 240, 30), -1))


@pytest.fixture(scope="module")
def explanation(generator: Generator, codes: np.ndarray, photo: Picture) -> Explanation:
    mean = codes.mean(axis=0)
    style = AdjustedStyle("one:0.5,<script>:0.5", {"one": 1.0}, {"texture": 1.5}, codes[0], mean)
    return explain(generator, photo, style, critic=None)


def test_a_swatch_is_the_same_bit_for_bit_for_one_seed(generator: Generator, codes: np.ndarray) -> None:
    first, again = (swatch(generator, codes[0], 64, 64, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_swatches_differ_by_seed_and_by_style(generator: Generator, codes: np.ndarray) -> None:
    base = swatch(generator, codes[0], 64, 64, seed=0)
    assert (base != swatch(generator, codes[0], 64, 64, seed=1)).mean() > 0.5
    assert (base != swatch(generator, codes[1], 64, 64, seed=0)).mean() > 0.5


def test_the_swatch_of_a_mix_lies_between_its_styles(generator: Generator, codes: np.ndarray) -> None:
    mixed = (codes[0] + codes[1]) / 2
    a, b, between = (swatch(generator, c, 64, 64).mean(axis=(0, 1)) for c in (codes[0], codes[1], mixed))
    apart = np.linalg.norm(a - b)
    assert np.linalg.norm(between - a) < apart
    assert np.linalg.norm(between - b) < apart


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (37, 50), (64, 9)])
def test_a_swatch_has_any_size(generator: Generator, codes: np.ndarray, height: int, width: int) -> None:
    picture = swatch(generator, codes[0], height, width)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


def test_turning_by_1_is_the_identity_bit_for_bit(generator: Generator, codes: np.ndarray) -> None:
    adjusted = adjust(codes[0], generator.layout, codes.mean(axis=0), dict.fromkeys(GROUPS, 1.0))
    np.testing.assert_array_equal(adjusted, codes[0])


def test_turning_by_0_is_the_average_style(generator: Generator, codes: np.ndarray) -> None:
    mean = codes.mean(axis=0)
    adjusted = adjust(codes[0], generator.layout, mean, dict.fromkeys(GROUPS, 0.0))
    np.testing.assert_allclose(adjusted, mean, atol=1e-6)


@pytest.mark.parametrize("group", GROUPS)
def test_turning_a_group_moves_its_layers_alone(generator: Generator, codes: np.ndarray, group: str) -> None:
    adjusted = adjust(codes[0], generator.layout, codes.mean(axis=0), {group: 1.5})
    moved = {
        layer for (layer, _), at in entries(generator.layout).items() if (adjusted != codes[0])[at].any()
    }
    assert moved == {layer for layer in generator.layout.names if group_of(layer) == group}


@pytest.mark.parametrize("factors", [{"text": 1.0}, {"texture": -0.1}, {"colour": 99.0}, {"colour": np.nan}])
def test_turns_that_make_no_sense_are_refused(
    generator: Generator, codes: np.ndarray, factors: dict[str, float]
) -> None:
    with pytest.raises(ConfigError):
        adjust(codes[0], generator.layout, codes[1], factors)


def test_a_turn_is_read_from_text() -> None:
    assert parse_adjustments("texture=1.4, colour=0.8") == {"texture": 1.4, "colour": 0.8}


@given(st.text(max_size=30))
def test_any_text_is_a_turn_or_a_clear_error(text: str) -> None:
    try:
        factors = parse_adjustments(text)
    except ConfigError:
        return
    assert all(np.isfinite(factor) for factor in factors.values())


@settings(max_examples=30)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(64, 256))
def test_any_picture_is_brought_to_a_size_that_the_network_takes(height: int, width: int, side: int) -> None:
    fitted = fit(np.zeros((height, width, 3), np.uint8), side)
    assert all(n % 8 == 0 and n >= 16 for n in fitted.shape[:2])
    assert max(fitted.shape[:2]) <= side + 4


def test_feature_maps_are_those_of_every_conditional_layer(
    generator: Generator, codes: np.ndarray, photo: Picture
) -> None:
    maps = feature_maps(generator, fit(photo, 96), codes[0])
    sizes = dict(zip(generator.layout.names, generator.layout.channels, strict=True))
    assert list(maps) == ["down1", "down2", "block0", "merge", "up1"]
    for name, values in maps.items():
        assert values.shape[0] == sizes[name]
        assert values.min() >= 0
    top = strongest(maps["merge"], 3)
    assert [c.strength for c in top] == sorted((c.strength for c in top), reverse=True)


def test_watching_the_layers_leaves_no_hook_behind(
    generator: Generator, codes: np.ndarray, photo: Picture
) -> None:
    feature_maps(generator, fit(photo, 96), codes[0])
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in generator.modules())


def test_ablation_finds_the_layer_that_alone_differs(
    generator: Generator, codes: np.ndarray, photo: Picture
) -> None:
    mean = codes[0].copy()
    mean[entries(generator.layout)["up1", "shift"]] += 1
    (only,) = ablate(generator, fit(photo, 96), codes[0], mean)
    assert (only.layer, only.part, only.entries) == ("up1", "shift", 8)
    assert only.change > 0
    assert only.where.shape == fit(photo, 96).shape[:2]


def test_a_photo_left_as_it_is_is_all_the_photos(photo: Picture) -> None:
    texture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    found = attribute(photo, photo, texture)
    np.testing.assert_allclose(found.edges, 1, atol=1e-3)
    assert found.colour.max() == found.texture.max() == 0


def test_a_picture_replaced_by_the_swatch_is_all_the_styles(photo: Picture) -> None:
    texture = np.random.default_rng(0).integers(0, 255, photo.shape, dtype=np.uint8)
    found = attribute(photo, texture, texture)
    assert found.edges.mean() < 0.4
    assert found.colour.mean() > 0.8
    assert found.texture.mean() > 0.8


def test_a_constant_picture_is_explained_without_a_number_that_is_none() -> None:
    flat = np.full((48, 48, 3), 90, np.uint8)
    found = attribute(flat, flat, flat)
    for values in (found.edges, found.colour, found.texture):
        assert np.isfinite(values).all()
    assert heat(found.colour, (48, 48)).shape == (48, 48, 3)


def test_the_plain_critic_says_what_the_trained_discriminator_says(photo: Picture) -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(3).eval()
    plain = PatchDiscriminator.restore(_plain_half(discriminator))
    logits = Critic(plain, {"a": 0, "b": 1, "original": 2}).judge(fit(photo, 96), {"b": 1.0})
    x = torch.from_numpy(fit(photo, 96)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = discriminator(x, torch.tensor([1]))[0, 0].numpy()
    np.testing.assert_allclose(logits, expected, atol=5e-3)


def manifest(**sha256: str) -> Manifest:
    style = StyleRecord("a", "A", "B", "1900", "public domain")
    return Manifest(MANIFEST_VERSION, "test", {}, sha256, [style], {})


def test_a_bundle_without_a_discriminator_has_no_critic(tmp_path: Path) -> None:
    assert load_critic(tmp_path, manifest()) is None


def test_a_damaged_discriminator_is_refused(tmp_path: Path) -> None:
    (tmp_path / "discriminator.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="damaged"):
        load_critic(tmp_path, manifest())


def test_the_page_is_well_formed_self_contained_and_escaped(explanation: Explanation) -> None:
    page = Page(explanation_page(explanation))
    assert page.fetched
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.fetched)
    assert "script" not in page.tags
    assert any("one:0.5,<script>:0.5" in text for text in page.texts)


def test_the_page_says_when_there_is_no_discriminator(explanation: Explanation) -> None:
    assert "The bundle ships no discriminator." in explanation_page(explanation)


def test_a_style_that_the_discriminator_never_saw_gets_no_verdict(
    generator: Generator, codes: np.ndarray, photo: Picture
) -> None:
    critic = Critic(PatchDiscriminator(1), {"other": 0})
    style = AdjustedStyle("one", {"one": 1.0}, {}, codes[0], codes[1])
    found = explain(generator, photo, style, critic=critic, side=64)
    assert found.verdict is None
    assert "not trained with this style" in found.no_verdict


def test_the_figures_are_plain_json(explanation: Explanation) -> None:
    values = json.loads(json.dumps(explanation.to_json()))
    assert values["turn"] == {"texture": 1.5}
    changes = [part["change"] for part in values["ablation"]]
    assert changes == sorted(changes, reverse=True)
    assert set(values["attribution"]) == {"edges", "colour", "texture"}
    assert msgspec.json.encode(values)


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path, photo: Picture) -> None:
    write_picture(tmp_path / "a.png", photo)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], photo)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(SinkError, match="cannot write"):
        write_picture(tmp_path / "missing" / "a.png", photo)
    with pytest.raises(ConfigError, match=r"\.png"):
        write_picture(tmp_path / "a.gif", photo)


@pytest.mark.parametrize("size", ["0x8", "512", "8x", "9999x9999", "-1x8", "ax8"])
def test_a_size_that_makes_no_sense_is_wrong_usage(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    styles_command.add_command(commands)
    explain_command.add_command(commands)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["styles", "swatch", "a", "-o", "a.png", f"--size={size}"])
    assert ended.value.code == 2
    assert "--size" in capsys.readouterr().err


def test_the_command_writes_the_page_and_prints_the_figures(
    generator: Generator,
    codes: np.ndarray,
    photo: Picture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    styles = tuple(StyleEntry(n, n, "B", "1900", "", c) for n, c in zip("abc", codes, strict=True))
    weights = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    about = Manifest(MANIFEST_VERSION, "small", generator.config.to_json(), {}, [], {})
    bundle = StyleBundle(tmp_path, about, weights, styles, generator.layout.neutral().numpy())
    monkeypatch.setattr(bundle_module, "load_bundle", lambda _folder: bundle)
    write_picture(tmp_path / "photo.png", photo)
    parser = argparse.ArgumentParser()
    explain_command.add_command(parser.add_subparsers())
    named = ["--image", str(tmp_path / "photo.png"), "--style", "a:0.5,b:0.5", "--turn", "texture=1.2"]
    arguments = parser.parse_args(["explain", *named, "-o", str(tmp_path / "page.html"), "--json"])
    assert arguments.command(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["style"], said["turn"], said["discriminator"]) == ("a:0.5,b:0.5", {"texture": 1.2}, None)
    assert Page((tmp_path / "page.html").read_text(encoding="utf-8")).fetched


def test_the_bundled_discriminator_judges_the_bundled_styles(photo: Picture) -> None:
    about = load_manifest(BUNDLED)
    critic = load_critic(BUNDLED, about)
    assert critic is not None
    logits = critic.judge(fit(photo, 96), {about.styles[0].name: 0.5, "original": 0.5})
    assert logits.shape == tuple(n // 8 for n in fit(photo, 96).shape[:2])
    assert np.isfinite(logits).all()
