from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.errors import ConfigError, ModelError
from streamstyle.styles.bundle import BUNDLED, load_bundle, load_manifest
from streamstyle.styles.mix import condition_codes, parse_mix, style_code


@pytest.fixture
def copied_bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "bundle"))


def test_the_bundled_styles_load_verified_with_one_code_each() -> None:
    bundle = load_bundle()
    assert len(bundle.styles) >= 4
    assert len(set(bundle.names)) == len(bundle.styles)
    for style in bundle.styles:
        assert style.code.shape == bundle.original.shape
        assert style.code.dtype == np.float32
        assert all((style.title, style.artist, style.year, style.licence))


def test_the_bundle_is_small_and_a_code_has_some_kilobytes() -> None:
    bundle = load_bundle()
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 2_000_000
    assert bundle.original.nbytes < 8_000


def test_the_manifest_tells_how_the_network_was_trained() -> None:
    training = load_manifest(BUNDLED).training
    assert training["options"]["seed"] is not None
    assert training["options"]["steps"] > 0
    assert len(training["content"]) > 100
    assert len(training["styles"]) == len(load_manifest(BUNDLED).styles)


@pytest.mark.parametrize("name", ["generator.safetensors", "manifest.json"])
def test_a_damaged_file_is_refused(copied_bundle: Path, name: str) -> None:
    path = copied_bundle / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        load_bundle(copied_bundle)


@pytest.mark.parametrize("name", ["generator.safetensors", "manifest.json"])
def test_a_missing_file_is_named(copied_bundle: Path, name: str) -> None:
    (copied_bundle / name).unlink()
    with pytest.raises(ModelError, match=r"No such file"):
        load_bundle(copied_bundle)


def test_a_manifest_of_another_version_is_refused(copied_bundle: Path) -> None:
    manifest = msgspec.json.decode((copied_bundle / "manifest.json").read_bytes())
    (copied_bundle / "manifest.json").write_bytes(msgspec.json.encode(manifest | {"version": 99}))
    with pytest.raises(ModelError, match="version 99"):
        load_bundle(copied_bundle)


def test_a_mix_is_the_weighted_sum_of_codes() -> None:
    bundle = load_bundle()
    a, b = bundle.styles[:2]
    mixed = style_code(bundle, f"{a.name}:3,{b.name}:1")
    np.testing.assert_allclose(mixed, 0.75 * a.code + 0.25 * b.code, rtol=1e-5, atol=1e-6)


def test_strength_mixes_with_the_original() -> None:
    bundle = load_bundle()
    style = bundle.styles[0]
    np.testing.assert_array_equal(style_code(bundle, style.name, 0.0), bundle.original)
    np.testing.assert_array_equal(style_code(bundle, style.name, 1.0), style.code)


def test_a_path_with_a_drive_letter_is_one_name() -> None:
    windows = "C:\\styles\\mine.safetensors"
    assert parse_mix(windows) == {windows: 1.0}
    assert parse_mix(f"{windows}:1,udnie:3") == {windows: 0.25, "udnie": 0.75}


def test_turning_changes_every_style_of_a_mix_and_never_the_original() -> None:
    bundle = load_bundle()
    mix = f"{bundle.names[0]}:0.25,original:0.75"
    plain, turned = style_code(bundle, mix), style_code(bundle, mix, adjust=lambda code: code + 1)
    np.testing.assert_allclose(turned, plain + 0.25, atol=1e-5)
    half = style_code(bundle, bundle.names[0], 0.5, adjust=lambda code: code + 1)
    np.testing.assert_allclose(half, style_code(bundle, bundle.names[0], 0.5) + 0.5, atol=1e-5)


def test_a_look_holds_the_style_outside_first_and_the_style_inside_second() -> None:
    bundle = load_bundle()
    a, b = bundle.names[:2]
    both = condition_codes(bundle, a, f"{b}:1,original:1", 0.5)
    assert both.dtype == np.float32
    np.testing.assert_array_equal(both[0], style_code(bundle, a, 0.5))
    np.testing.assert_array_equal(both[1], style_code(bundle, f"{b}:1,original:1", 0.5))
    np.testing.assert_array_equal(*condition_codes(bundle, a, None))


def test_an_unknown_style_names_the_nearest() -> None:
    bundle = load_bundle()
    known = bundle.names[0]
    with pytest.raises(ConfigError, match=f"did you mean '{known}'"):
        style_code(bundle, known[:-1])
    with pytest.raises(ConfigError, match=f"did you mean '{known}'"):
        condition_codes(bundle, known, known[:-1])


@pytest.mark.parametrize("text", ["", ":1", "a:", "a:x", "a:-1", "a:nan", "a:inf", "a:0", "a,,b", "a:1e999"])
def test_a_mix_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_mix(text)


@given(st.text(max_size=40))
def test_any_text_is_a_mix_or_a_clear_error(text: str) -> None:
    try:
        shares = parse_mix(text)
    except ConfigError:
        return
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_outside_0_to_1_is_refused(strength: float) -> None:
    bundle = load_bundle()
    with pytest.raises(ConfigError, match="strength"):
        style_code(bundle, bundle.names[0], strength)
