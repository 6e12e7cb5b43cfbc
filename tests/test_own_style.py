"""A style of one's own: learning it, its file, and using it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamstyle.cli.main import main
from streamstyle.config import load_config
from streamstyle.errors import ConfigError, ModelError
from streamstyle.nets.features import BUNDLED_VGG, load_features
from streamstyle.nets.generator import restore_generator
from streamstyle.styles import library
from streamstyle.styles.bundle import StyleRecord, load_bundle
from streamstyle.styles.code_file import load_code, save_code
from streamstyle.styles.library import own_style_names, own_style_target, styles_folder
from streamstyle.styles.mix import style_code
from streamstyle.train.options import BaseTraining
from streamstyle.train.own import OWN_STYLE, synthetic_photos, train_own_style
from streamstyle.train.synthetic import dead_leaves
from streamstyle.types import Picture

ROOT = Path(__file__).parents[1]
RECORD = StyleRecord("mine", "Mine", "Somebody", "2026", "CC0")


def hatching() -> Picture:
    """A drawing of red and blue strokes on yellow, 240 x 320."""
    rng = np.random.default_rng(5)
    drawing = np.full((240, 320, 3), (240, 210, 60), np.uint8)
    for _ in range(600):
        x, y = rng.integers(0, 320), rng.integers(0, 240)
        colour = (200, 30, 40) if rng.random() < 0.5 else (30, 40, 160)
        cv2.line(drawing, (int(x), int(y)), (int(x) + 14, int(y) - 10), colour, 3, cv2.LINE_AA)
    return drawing


def test_learning_brings_the_code_nearer_and_leaves_the_network_alone() -> None:
    bundle = load_bundle()
    before = {name: array.copy() for name, array in bundle.weights.items()}
    features, photos = load_features(BUNDLED_VGG), synthetic_photos()
    short = replace(OWN_STYLE, steps=1, crop=96, code_learning_rate=3e-2)
    first = train_own_style(hatching(), bundle, features, photos, config=short)
    later = train_own_style(hatching(), bundle, features, photos, config=replace(short, steps=30))
    assert first.began_from == later.began_from
    assert later.began_from in bundle.names
    assert later.metrics["style_loss"] < 0.95 * first.metrics["style_loss"]
    for name, array in bundle.weights.items():
        np.testing.assert_array_equal(array, before[name])


def test_an_own_style_is_learnt_by_the_losses_of_the_base() -> None:
    base = load_config(BaseTraining, ROOT / "configs" / "train.yaml", []).options
    ours, theirs = asdict(OWN_STYLE.weights), asdict(base.weights)
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing == {"identity", "motion_blur"}
    assert (OWN_STYLE.octave_decay, OWN_STYLE.fine_side) == (base.octave_decay, base.fine_side)


def test_the_direct_path_from_the_photo_stays_closed() -> None:
    bundle = load_bundle()
    config = replace(OWN_STYLE, steps=2, crop=64)
    own = train_own_style(hatching(), bundle, load_features(BUNDLED_VGG), synthetic_photos(), config=config)
    layout = restore_generator(bundle.manifest.architecture, bundle.weights).layout
    gain, _ = layout.split(torch.from_numpy(own.code)[None])["detail"]
    assert not gain.any()


def test_the_command_writes_a_style_that_runs_and_mixes_at_once(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "hatching.png"
    cv2.imwrite(str(picture), hatching()[..., ::-1])
    sheet = tmp_path / "sheet.png"
    learn = ["train", "--style", str(picture), "--name", "mine", "--steps", "2", "--sheet", str(sheet)]
    assert main(learn) == 0
    assert (home / "styles" / "mine.safetensors").stat().st_size < 16_384
    assert cv2.imread(str(sheet)).shape == (512, 1024, 3)
    assert own_style_names() == ["mine"]
    scene = "test:?seconds=0.2&size=64x64"
    assert main(["run", scene, "null:", "--style", "mine:0.5,udnie:0.5", "--engine", "torch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["frames_out"] == 6
    assert main(learn) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["styles", "list"]) == 0
    assert "mine" in capsys.readouterr().out


def test_a_style_file_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    bundle = load_bundle()
    code = np.arange(bundle.original.size, dtype=np.float32)
    save_code(tmp_path / "mine.safetensors", RECORD, {"lite": code}, {"lite": bundle.manifest})
    entry = load_code(tmp_path / "mine.safetensors").entry(bundle.manifest)
    np.testing.assert_array_equal(entry.code, code)
    assert (entry.name, entry.artist) == ("mine", "Somebody")
    by_path = style_code(bundle, str(tmp_path / "mine.safetensors"))
    np.testing.assert_array_equal(by_path, code)


def test_a_style_of_other_weights_or_another_network_is_refused(tmp_path: Path) -> None:
    bundle = load_bundle()
    path = tmp_path / "mine.safetensors"
    save_code(path, RECORD, {"lite": bundle.original}, {"lite": bundle.manifest})
    other = type(bundle.manifest)(
        **{
            **{name: getattr(bundle.manifest, name) for name in bundle.manifest.__struct_fields__},
            "sha256": {"generator.safetensors": "0" * 64},
        }
    )
    with pytest.raises(ModelError, match="train it again"):
        load_code(path).entry(other)
    save_code(path, RECORD, {"full": bundle.original}, {"full": bundle.manifest})
    with pytest.raises(ModelError, match="--network lite"):
        load_code(path).entry(bundle.manifest)


@settings(max_examples=60)
@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=16))
def test_a_damaged_style_file_is_refused_or_reads_as_numbers(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes
) -> None:
    bundle = load_bundle()
    path = tmp_path_factory.mktemp("damaged") / "mine.safetensors"
    save_code(path, RECORD, {"lite": bundle.original}, {"lite": bundle.manifest})
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place : place + len(junk)] = junk
    path.write_bytes(data)
    try:
        code = load_code(path).entry(bundle.manifest).code
    except ModelError:
        return
    assert np.isfinite(code).all()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems choose other folders")
@pytest.mark.parametrize(
    ("set_", "folder"), [("/x", "/x"), ("", "/h/.local/share"), (None, "/h/.local/share")]
)
def test_own_styles_lie_where_the_platform_keeps_data(
    set_: str | None, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMSTYLE_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/h")
    if set_ is not None:
        monkeypatch.setenv("XDG_DATA_HOME", set_)
    assert styles_folder() == Path(folder) / "streamstyle" / "styles"


def test_styles_of_before_are_found_on_macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMSTYLE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(library, "user_data_path", lambda *_, **__: tmp_path / "xdg" / "streamstyle")
    before = tmp_path / "Library" / "Application Support" / "streamstyle"
    assert library.home() == tmp_path / "xdg" / "streamstyle"
    before.mkdir(parents=True)
    assert library.home() == before
    (tmp_path / "xdg" / "streamstyle").mkdir(parents=True)
    assert library.home() == tmp_path / "xdg" / "streamstyle"


@pytest.mark.parametrize("name", ["", "Mine", "a/b", "..", "starry-night", "x" * 80, "mine.safetensors"])
def test_a_name_that_cannot_be_used_is_refused(name: str, home: Path) -> None:
    with pytest.raises(ConfigError):
        own_style_target(name, ["starry-night"], path=None, replace=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "--style PICTURE"),
        (["train", "--style", "x.jpg"], "--name"),
        (["train", "--style", "none.jpg", "--name", "mine"], "none.jpg"),
        (["train", "--style", "none.jpg", "--name", "udnie"], "another name"),
        (["train", "--style", "none.jpg", "--name", "mine", "--network", "ful"], "installed are"),
    ],
)
def test_a_mistake_gets_one_sentence(
    arguments: list[str], said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "said"),
    [(["--sheet", "look.foo"], "look.foo"), (["--sheet", "no/such/look.png"], "no/such")],
)
def test_what_cannot_be_written_is_told_before_the_learning(
    option: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--style", str(tmp_path / "a.png"), "--name", "mine", *option]) == 2
    assert said in capsys.readouterr().err


def test_a_renamed_style_file_goes_by_its_new_name(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = load_bundle()
    save_code(
        home / "styles" / "renamed.safetensors", RECORD, {"lite": bundle.original}, {"lite": bundle.manifest}
    )
    assert main(["styles", "show", "renamed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["artist"] == "Somebody"
    np.testing.assert_array_equal(style_code(bundle, "renamed"), bundle.original)


def test_a_code_of_another_length_is_refused(home: Path) -> None:
    bundle = load_bundle()
    short = bundle.original[:1]
    save_code(home / "styles" / "short.safetensors", RECORD, {"lite": short}, {"lite": bundle.manifest})
    with pytest.raises(ModelError, match="numbers"):
        style_code(bundle, "short")


def test_synthetic_pictures_follow_their_seed_and_fill_the_range() -> None:
    first, again, other = (dead_leaves(120, 160, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 20
    assert first.shape == (120, 160, 3)
    assert first.std() > 25
