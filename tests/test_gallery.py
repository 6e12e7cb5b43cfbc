"""The gallery: a page that names and shows every style, and the thumbnails beside the bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pages import Page

from streamstyle.cli import styles as styles_command
from streamstyle.errors import ConfigError
from streamstyle.explain.gallery import gallery_page
from streamstyle.nets.generator import Generator, GeneratorConfig
from streamstyle.styles import bundle as bundle_module
from streamstyle.styles.bundle import BUNDLED, MANIFEST_VERSION, Manifest, StyleBundle, load_manifest
from streamstyle.styles.entry import StyleEntry
from streamstyle.styles.thumbnail import THUMBNAILS, thumbnail

HOSTILE = "<script>alert(1)</script>\"'&amp; {0} %s"


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(widths=(8, 8, 16), blocks=1)).requires_grad_(False).eval()


def entry(name: str, title: str, code: np.ndarray) -> StyleEntry:
    return StyleEntry(name, title, f"painter of {name}", "1900", "public domain", code, {"style_loss": 0.25})


@pytest.fixture(scope="module")
def styles(generator: Generator) -> tuple[StyleEntry, ...]:
    code = generator.layout.neutral().numpy()
    return (entry("plain", "A Plain One", code), entry("hostile", HOSTILE, code + np.float32(0.3)))


@pytest.fixture(scope="module")
def page(generator: Generator, styles: tuple[StyleEntry, ...]) -> Page:
    sample = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    return Page(gallery_page(generator, styles, sample, "photo <1>.jpg"))


def test_the_gallery_is_self_contained(page: Page) -> None:
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.fetched)
    assert "script" not in page.tags


def test_every_style_has_a_sample_and_a_swatch(page: Page, styles: tuple[StyleEntry, ...]) -> None:
    assert len(page.fetched) == 1 + 2 * len(styles)


def test_the_gallery_names_every_style_with_its_figures(page: Page, styles: tuple[StyleEntry, ...]) -> None:
    for style in styles:
        assert style.title in page.texts
        assert f"{style.artist}, 1900, public domain" in page.texts
    assert page.texts.count("style loss 0.25") == len(styles)
    assert "photo <1>.jpg" in page.texts


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    styles_command.add_command(parser.add_subparsers())
    parsed = parser.parse_args(["styles", *arguments])
    return int(parsed.command(parsed))


@pytest.fixture
def small_bundle(
    generator: Generator, styles: tuple[StyleEntry, ...], monkeypatch: pytest.MonkeyPatch
) -> StyleBundle:
    manifest = Manifest(MANIFEST_VERSION, "small", generator.config.to_json(), {}, [], {})
    weights = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    bundle = StyleBundle(Path("unused"), manifest, weights, styles, generator.layout.neutral().numpy())
    monkeypatch.setattr(bundle_module, "load_bundle", lambda _folder: bundle)
    return bundle


@pytest.mark.usefixtures("small_bundle")
def test_the_commands_write_a_swatch_and_a_gallery(tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        assert run("swatch", "plain:0.5,hostile:0.5", "--seed", "3", "--size", "50x40", "-o", str(path)) == 0
    assert first.read_bytes() == second.read_bytes()
    size = ["--seed", "3", "--size", "50x40", "-o", str(second)]
    assert run("swatch", "plain", "--mix", "hostile", *size) == 0
    assert first.read_bytes() == second.read_bytes()
    assert run("swatch", "plain", "--mix", "hostile:0.9", *size) == 0
    assert first.read_bytes() != second.read_bytes()
    with pytest.raises(ConfigError, match="--mix"):
        run("swatch", "plain", "--mix", "hostile:2", *size)
    assert cv2.imread(str(first)).shape == (40, 50, 3)
    assert run("gallery", "-o", str(tmp_path / "gallery.html"), "--photo", str(first)) == 0
    assert "A Plain One" in Page((tmp_path / "gallery.html").read_text(encoding="utf-8")).texts


@pytest.mark.usefixtures("small_bundle")
def test_without_a_photo_the_gallery_paints_the_rendered_scene(tmp_path: Path) -> None:
    assert run("gallery", "-o", str(tmp_path / "gallery.html")) == 0
    assert "a rendered scene" in Page((tmp_path / "gallery.html").read_text(encoding="utf-8")).texts


def test_a_style_without_a_thumbnail_has_no_path() -> None:
    assert thumbnail("no-such-style") is None


@pytest.mark.parametrize("name", [style.name for style in load_manifest(BUNDLED).styles])
def test_every_bundled_style_has_a_small_thumbnail(name: str) -> None:
    path = thumbnail(name)
    assert path is not None, "run tools/thumbnails.py"
    assert path.stat().st_size <= 8 * 1024
    assert cv2.imread(str(path)).shape == (192, 192, 3)


def test_no_thumbnail_is_left_of_a_style_that_is_gone() -> None:
    assert {path.stem for path in THUMBNAILS.iterdir()} <= {s.name for s in load_manifest(BUNDLED).styles}
