from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load, save_file
from torch.nn import functional

from streamstyle.cli.main import main
from streamstyle.errors import ConfigError, ModelError, StreamStyleError
from streamstyle.files import read_picture
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.features import SqueezeNetFeatures
from streamstyle.nets.generator import GeneratorConfig, restore_generator
from streamstyle.nets.noise import CANVAS_CHANNELS, CELL_CHANNELS, canvas
from streamstyle.nets.noise import fields as fields_of_canvas
from streamstyle.styles.bundle import load_bundle, read_discriminator
from streamstyle.train import losses
from streamstyle.train.checkpoint import load_checkpoint, save_checkpoint
from streamstyle.train.compute import Compute
from streamstyle.train.data import (
    PictureFolder,
    cells_of,
    draw_next_frame,
    hold_out,
    part_of,
    patterns_of,
    read_folder,
)
from streamstyle.train.drawn import DRAWN, SIDE, read_style
from streamstyle.train.grow import grow_
from streamstyle.train.loop import CHECKPOINT_NAME, TrainProgress, learning_rate_share, train_base
from streamstyle.train.options import BaseTraining, LossWeights, PatternKind, StylePicture, TrainConfig
from streamstyle.train.publish import publish_bundle
from streamstyle.train.step import GanState
from streamstyle.train.style_targets import StyleTargets
from streamstyle.train.training_report import discriminator_map, read_log

TINY = TrainConfig(
    generator=GeneratorConfig(widths=(8, 8, 16), blocks=1),
    weights=LossWeights(
        neighbour=1.0,
        lattice=1.0,
        flatness=1.0,
        hue=1.0,
        facet=1.0,
        tint=1.0,
        halo=1.0,
        pattern=1.0,
        tone=1.0,
        motion_blur=1.0,
    ),
    steps=4,
    batch=3,
    crop=64,
    style_side=96,
    adversarial_from=1,
    style_layers=("conv1", "fire2"),
    content_layer="fire3",
    octaves=2,
    patterns_of={"one": {"fine_strokes": 0.1}, "two": {"dots": 0.1}},
)


def random_feature_weights() -> dict[str, torch.Tensor]:
    """The real architecture with small random weights: nothing here judges beauty."""
    torch.manual_seed(0)
    shapes = {"conv1": (96, 3, 7)}
    c_in = 96
    for i, (squeeze, expand) in enumerate(
        [(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2
    ):
        shapes |= {
            f"fire{i + 2}.squeeze1x1": (squeeze, c_in, 1),
            f"fire{i + 2}.expand1x1": (expand, squeeze, 1),
            f"fire{i + 2}.expand3x3": (expand, squeeze, 3),
        }
        c_in = 2 * expand
    weights = {}
    for name, (c_out, c_before, k) in shapes.items():
        weights[f"{name}.weight"] = torch.randn(c_out, c_before, k, k) * (2 / (c_before * k * k)) ** 0.5
        weights[f"{name}.bias"] = torch.zeros(c_out)
    return weights


@pytest.fixture(scope="module")
def features() -> SqueezeNetFeatures:
    return SqueezeNetFeatures(random_feature_weights())


def smooth_pictures(count: int, side: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(count)
    noise = [rng.integers(0, 256, (side, side + 20, 3)).astype(np.uint8) for _ in range(count)]
    return tuple(cv2.GaussianBlur(n, (0, 0), 3) for n in noise)


PHOTOS = PictureFolder(smooth_pictures(5, 96), tuple(f"{i}.png" for i in range(5)), {})
PAINTINGS = smooth_pictures(2, 100)


SHEET = smooth_pictures(2, 64)[0][:, :64], smooth_pictures(3, 64)[0][:, :64]
NAMES = ("one", "two")


def run(
    features: SqueezeNetFeatures,
    folder: Path,
    config: TrainConfig = TINY,
    *,
    report: Callable[[TrainProgress], None] = lambda _: None,
    save_every: int = 2,
    sheet_photos: Sequence[np.ndarray] = (),
    compute: Compute | None = None,
    start: Path | None = None,
) -> GanState:
    return train_base(
        config,
        PHOTOS,
        PAINTINGS,
        features,
        folder,
        names=NAMES,
        report=report,
        report_every=1,
        save_every=save_every,
        sheet_photos=sheet_photos,
        compute=compute,
        start=start,
    )


class StoppedError(Exception):
    pass


def stop_after(step: int) -> Callable[[TrainProgress], None]:
    def report(progress: TrainProgress) -> None:
        if progress.step == step:
            raise StoppedError

    return report


def assert_same_weights(a: GanState, b: GanState) -> None:
    for name, module in a.modules().items():
        other = b.modules()[name].state_dict()
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, other[key]), f"{name}.{key}"


def test_two_steps_and_a_resume_equal_four_straight(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    straight = run(features, tmp_path / "straight", sheet_photos=SHEET)
    with pytest.raises(StoppedError):
        run(features, tmp_path / "resumed", report=stop_after(3), sheet_photos=SHEET)
    resumed = run(features, tmp_path / "resumed", sheet_photos=SHEET)
    assert_same_weights(straight, resumed)
    for folder in ("straight", "resumed"):
        assert [line["step"] for line in read_log(tmp_path / folder / "losses.jsonl")] == [1, 2, 3, 4]


def test_looking_at_a_run_does_not_change_it(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    unseen = run(features, tmp_path / "unseen", save_every=9)
    seen = run(features, tmp_path / "seen", save_every=1, sheet_photos=SHEET)
    assert_same_weights(unseen, seen)


def test_training_lowers_the_style_loss(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    config = replace(TINY, steps=40, learning_rate=3e-3)
    terms: list[dict[str, float]] = []
    run(features, tmp_path, config, report=lambda p: terms.append(p.terms), save_every=40)
    assert terms[-1]["style"] < 0.8 * terms[0]["style"]
    assert {field.name for field in fields(LossWeights)} <= set(terms[-1])
    assert {"d_loss", "d_accuracy"} <= set(terms[-1])


def test_bfloat16_trains_fp32_weights(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    state = run(features, tmp_path / "half", compute=Compute(bf16=True))
    full = run(features, tmp_path / "full")
    codes, exact = state.codes.weight, full.codes.weight
    assert codes.dtype == torch.float32
    assert not torch.equal(codes, exact)
    assert torch.allclose(codes, exact, atol=4 * TINY.code_learning_rate)


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_checkpoint(
    features: SqueezeNetFeatures, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        run(features, tmp_path, report=stop_after(3))
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    broken = SqueezeNetFeatures(random_feature_weights())
    assert broken.conv1.bias is not None
    broken.conv1.bias.data.fill_(float("nan"))
    with pytest.raises(StreamStyleError, match=r"loss of step 3 is nan.*checkpoint.*intact"):
        run(broken, tmp_path)
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


def test_the_gradient_penalty_reaches_the_discriminator(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    config = replace(TINY, steps=1, adversarial_from=0)
    terms: list[dict[str, float]] = []
    plain = run(features, tmp_path / "plain", config)
    penalised = run(
        features, tmp_path / "r1", replace(config, r1=10.0), report=lambda p: terms.append(p.terms)
    )
    assert terms[-1]["d_r1"] > 0
    pairs = zip(plain.discriminator.parameters(), penalised.discriminator.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


LARGER = replace(TINY, generator=GeneratorConfig(widths=(16, 24, 32), blocks=2))
RICHER = replace(LARGER.generator, fine_blocks=2, skip=True, head=8)


@pytest.mark.parametrize("architecture", [LARGER.generator, RICHER])
def test_a_larger_network_begins_by_painting_as_the_smaller_one(
    features: SqueezeNetFeatures, tmp_path: Path, architecture: GeneratorConfig
) -> None:
    small = run(features, tmp_path / "small")
    large = GanState.fresh(replace(LARGER, generator=architecture), 2)
    grow_(large, tmp_path / "small" / CHECKPOINT_NAME)
    (network, codes), (grown, grown_codes) = small.averaged_network(), large.averaged_network()
    x, field = torch.rand(3, 3, 64, 64), torch.randn(3, CANVAS_CHANNELS, 8, 8)
    expected = network(x, codes, field)
    torch.testing.assert_close(grown(x, grown_codes, field), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(large.generator(x, large.codes.weight, field), expected, atol=1e-4, rtol=1e-4)


def test_a_run_that_started_from_a_smaller_network_resumes_from_its_own_checkpoint(
    features: SqueezeNetFeatures, tmp_path: Path
) -> None:
    run(features, tmp_path / "small")
    start = tmp_path / "small" / CHECKPOINT_NAME
    straight = run(features, tmp_path / "straight", LARGER, start=start)
    with pytest.raises(StoppedError):
        run(features, tmp_path / "halves", LARGER, start=start, report=stop_after(2))
    assert_same_weights(straight, run(features, tmp_path / "halves", LARGER, start=start))


def test_a_network_that_learns_more_paintings_keeps_those_it_knows(
    features: SqueezeNetFeatures, tmp_path: Path
) -> None:
    small = run(features, tmp_path / "small")
    more = GanState.fresh(TINY, 4)
    grow_(more, tmp_path / "small" / CHECKPOINT_NAME)
    (_, codes), (_, grown) = small.averaged_network(), more.averaged_network()
    assert torch.equal(grown[[0, 1, 4]], codes)
    kept = more.discriminator.embedding.weight[[0, 1, 4]]
    assert torch.equal(kept, small.discriminator.embedding.weight)


def test_fresh_strokes_forget_patterns_and_keep_what_a_flat_place_is_painted_with(
    features: SqueezeNetFeatures, tmp_path: Path
) -> None:
    run(features, tmp_path / "first")
    kept, fresh = GanState.fresh(TINY, 2), GanState.fresh(TINY, 2)
    checkpoint = tmp_path / "first" / CHECKPOINT_NAME
    grow_(kept, checkpoint)
    grow_(fresh, checkpoint, fresh_strokes=True)
    before, after = (state.generator.blocks[0].depthwise.weight for state in (kept, fresh))
    torch.testing.assert_close(after.sum(dim=(2, 3)), before.sum(dim=(2, 3)))
    assert not torch.equal(fresh.generator.weave.weight, kept.generator.weave.weight)
    assert torch.equal(fresh.generator.merge.weight, kept.generator.merge.weight)
    assert torch.equal(fresh.averaged_network()[0].blocks[0].depthwise.weight, after)


def test_a_run_goes_on_from_a_shipped_bundle() -> None:
    bundle = load_bundle()
    architecture = GeneratorConfig.from_json(bundle.manifest.architecture)
    state = GanState.fresh(replace(TINY, generator=architecture), len(bundle.styles))
    grow_(state, bundle.folder)
    generator, codes = state.averaged_network()
    trained = restore_generator(bundle.manifest.architecture, bundle.weights)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(generator.state_dict()[name], tensor), name
    assert np.array_equal(codes[:-1], np.stack([style.code for style in bundle.styles]))
    picture, style = torch.rand(2, 3, 96, 96), torch.tensor([0, 3])
    shipped = PatchDiscriminator.restore(load(read_discriminator(bundle)))
    with torch.no_grad():
        logits = shipped(picture, style)
        torch.testing.assert_close(state.discriminator(picture, style), logits, atol=0.05, rtol=0.05)


def test_a_checkpoint_of_an_unknown_network_is_no_start(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    state = run(features, tmp_path)
    options = TINY.to_json()
    options["generator"]["attention"] = 8
    checkpoint = tmp_path / "other.safetensors"
    save_checkpoint(checkpoint, 1, options, state.modules(), {})
    with pytest.raises(ModelError, match="does not fit into this run"):
        grow_(GanState.fresh(TINY, 2), checkpoint)


def test_a_folder_that_is_no_bundle_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no style bundle"):
        grow_(GanState.fresh(TINY, 2), tmp_path)


def test_a_network_does_not_shrink(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    run(features, tmp_path / "large", LARGER)
    with pytest.raises(ModelError, match="no smaller"):
        run(features, tmp_path / "small", start=tmp_path / "large" / CHECKPOINT_NAME)


def test_a_checkpoint_of_other_options_is_refused(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    run(features, tmp_path)
    with pytest.raises(ModelError, match="other options"):
        run(features, tmp_path, replace(TINY, crop=96))


def test_a_checkpoint_from_before_an_option_existed_counts_as_its_default(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    module = {"m": torch.nn.Linear(1, 1)}
    save_checkpoint(path, 3, {"steps": 9, "weights": {"style": 1.0}}, module, {})
    new = {"steps": 9, "r1": 0.0, "weights": {"style": 1.0, "grid": 5.0}}
    defaults = {"steps": 1, "r1": 0.0, "weights": {"style": 2.0, "grid": 5.0}}
    assert load_checkpoint(path, new, defaults, module, {}) == 3
    with pytest.raises(ModelError, match="other options"):
        load_checkpoint(path, new | {"r1": 1.0}, defaults, module, {})


def test_a_damaged_checkpoint_is_refused(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="cannot resume"):
        run(features, tmp_path)


def test_a_finished_run_becomes_a_bundle_that_loads(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    styles = tuple(StylePicture(f"{n}.jpg", n, n.title(), "A Painter", "1900") for n in ("one", "two"))
    state = run(features, tmp_path)
    training = BaseTraining("tiny", held_out=1, options=TINY, styles=styles)
    photos, held_out = hold_out(PHOTOS, 1)
    manifest = publish_bundle(state, training, photos, held_out, PAINTINGS, features, tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    assert bundle.names == ("one", "two")
    assert bundle.manifest == manifest
    assert set(manifest.styles[0].metrics) >= {"style_loss", "colour_distance", "grid_contrast"}
    _, codes = state.averaged_network()
    np.testing.assert_array_equal(bundle.styles[1].code, codes[1].numpy())


def test_a_run_leaves_a_page_with_its_curves_and_pictures(
    features: SqueezeNetFeatures, tmp_path: Path
) -> None:
    terms: list[dict[str, float]] = []
    config = replace(TINY, steps=10)
    run(
        features,
        tmp_path,
        config,
        save_every=1,
        sheet_photos=SHEET,
        report=lambda p: terms.append(p.terms),
    )
    text = (tmp_path / "report.html").read_text()
    assert "http" not in text
    assert "<script" not in text
    for name in terms[-1]:
        assert name in text
    assert 0 < terms[-1]["diversity"] <= 2
    assert 0 < terms[-1]["diversity_of_paintings"] <= 2
    strips = sorted(path.name for path in (tmp_path / "epochs").iterdir())
    assert strips == [f"{step:07d}-{style:02d}.jpg" for step in range(1, 11) for style in (0, 1)]
    assert text.count("<img") == 2 * 8
    assert "Step 1<" in text
    assert "Step 10<" in text
    assert read_picture(tmp_path / "epochs" / strips[0]).shape == (64 + 28, 5 * 64, 3)
    assert read_picture(tmp_path / "sheet.png").shape == (2 * 64 + 28, 4 * 64, 3)
    assert not list(tmp_path.rglob("*.part"))


def test_a_resumed_run_forgets_what_was_logged_after_its_checkpoint(
    features: SqueezeNetFeatures, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        run(features, tmp_path, report=stop_after(3))
    with (tmp_path / "losses.jsonl").open("a") as file:
        file.write('{"step": 3, "sty')
    run(features, tmp_path, replace(TINY, steps=4))
    assert [line["step"] for line in read_log(tmp_path / "losses.jsonl")] == [1, 2, 3, 4]


def test_the_discriminator_map_is_red_where_it_believes_and_blue_where_not() -> None:
    state = GanState.fresh(TINY, 2)
    assert state.discriminator.score.bias is not None
    picture = SHEET[0]
    for logit, (more, less) in {9.0: (0, 2), -9.0: (2, 0)}.items():
        state.discriminator.score.bias.data.fill_(logit)
        shown = discriminator_map(state.discriminator, picture, 1)
        assert shown.shape == picture.shape
        assert (shown[..., more] > shown[..., less]).all()
    assert state.discriminator.training


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    for folder, names in (("content", ["a", "b", "c"]), ("styles", ["one", "two"])):
        (tmp_path / folder).mkdir()
        for name, pixels in zip(names, smooth_pictures(len(names), 96), strict=True):
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), pixels)
    (tmp_path / "content" / "broken.jpg").write_bytes(b"no picture")
    save_file(random_feature_weights(), tmp_path / "f.safetensors")
    styles = [
        {"picture": f"{n}.png", "name": n, "title": n, "artist": "A Painter", "year": "1900"} for n in NAMES
    ]
    config = {"name": "tiny", "held_out": 1, "options": TINY.to_json() | {"steps": 4}, "styles": styles}
    (tmp_path / "train.yaml").write_text(json.dumps(config))
    arguments = ["train", "base", "--config", "train.yaml", "--content", "content", "--styles", "styles"]
    arguments += ["--features", "f.safetensors", "-o", "out", "--set", "options.steps=2"]
    return [str(tmp_path / a) if (tmp_path / a).exists() or a == "out" else a for a in arguments]


def test_the_command_trains_and_publishes_a_bundle(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--device", "cpu", "--precision", "fp32"]) == 0
    said = capsys.readouterr()
    assert "skipped broken.jpg" in said.err
    assert "2/2" in said.err
    bundle = load_bundle(tmp_path / "out" / "bundle")
    assert bundle.names == NAMES
    assert bundle.manifest.training["options"]["steps"] == 2
    assert bundle.manifest.training["skipped"].keys() == {"broken.jpg"}
    assert read_picture(tmp_path / "out" / "sheet.png").shape == (4 * 320 + 28, 4 * 320, 3)
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "tensorboard").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--set", "held_out=3"], "held_out is 3, but 3 usable photos allow 1 to 2"),
        (["--set", "options.crop=70"], "options.crop"),
        (["--set", "options.batch=1"], "options.batch"),
        (["--set", "styles=[]"], "names no styles"),
        (["--device", "cuda"], "no CUDA device"),
        (["--tensorboard"], "pip install"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_before_training(
    command: list[str],
    extra: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delitem(sys.modules, "streamstyle.train.scalars", raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main([*command, *extra]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tensorboard_gets_every_term(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: Path) -> None:
            assert folder == tmp_path / "out" / "tensorboard"

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def flush(self) -> None:
            pass

    monkeypatch.delitem(sys.modules, "streamstyle.train.scalars", raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    assert main([*command, "--tensorboard"]) == 0
    assert {("style", 2), ("d_accuracy", 2), ("diversity", 2)} <= set(written)


def test_train_without_a_word_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    assert "streamstyle train base" in capsys.readouterr().err


def test_bad_pictures_are_skipped_and_listed(tmp_path: Path) -> None:
    good = np.zeros((80, 90, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "good.png"), good)
    cv2.imwrite(str(tmp_path / "small.png"), good[:20])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no jpeg")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture")
    folder = read_folder(tmp_path, min_side=64)
    assert folder.names == ("good.png",)
    assert set(folder.skipped) == {"small.png", "broken.jpg", "empty.png"}


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no picture"):
        read_folder(tmp_path, min_side=64)
    with pytest.raises(ConfigError, match="not a folder"):
        read_folder(tmp_path / "none", min_side=64)


def test_colours_are_read_as_rgb(tmp_path: Path) -> None:
    bgr = np.zeros((64, 64, 3), np.uint8)
    bgr[..., 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), bgr)
    assert read_picture(tmp_path / "red.png")[0, 0].tolist() == [200, 0, 0]


def test_the_style_loss_is_zero_on_its_own_target_and_one_on_nothing() -> None:
    grams = {"a": losses.gram(torch.rand(2, 4, 8, 8))}
    assert float(losses.gram_loss(grams, grams)) == pytest.approx(0)
    assert float(losses.gram_loss({"a": torch.zeros(2, 4, 4)}, grams)) == pytest.approx(1)


def test_a_pyramid_halves_and_its_first_level_leaves_the_deepest_layer_out() -> None:
    sizes = [tuple(x.shape[-2:]) for x in losses.pyramid(torch.rand(1, 3, 64, 96), 3)]
    assert sizes == [(64, 96), (32, 48), (16, 24)]
    layers = ("relu1_1", "relu2_1", "relu3_1")
    assert [losses.layers_at(octave, layers) for octave in range(2)] == [layers[:2], layers]
    assert losses.layers_at(0, ("conv1",)) == ("conv1",)


def test_a_run_takes_the_styles_of_a_bundle_by_name() -> None:
    bundle = load_bundle()
    architecture = GeneratorConfig.from_json(bundle.manifest.architecture)
    state = GanState.fresh(replace(TINY, generator=architecture), 2)
    grow_(state, bundle.folder, names=[bundle.names[3], "unheard-of"])
    _, codes = state.averaged_network()
    assert np.array_equal(codes[0], bundle.styles[3].code)
    assert np.allclose(codes[1], bundle.mean, atol=1e-6)
    assert np.array_equal(codes[2], bundle.original)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_style_is_the_same_picture_every_time(name: str, tmp_path: Path) -> None:
    picture = read_style(tmp_path, f"drawn:{name}")
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 40
    assert np.array_equal(picture, read_style(tmp_path, f"drawn:{name}"))


def test_an_unknown_drawn_style_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'woodcut'"):
        read_style(tmp_path, "drawn:woodcat")


def test_the_warp_loss_is_zero_for_a_painting_that_moves_and_brightens_with_the_photo() -> None:
    change = draw_next_frame(2, 32, np.random.default_rng(0))
    frame, output = torch.rand(2, 2, 3, 32, 32)
    warped = change.warp(frame)
    brighter = losses.luminance_warp_loss(
        change.warp(output) + 0.1, change.warp(output), warped + 0.1, warped, change.mask
    )
    assert float(brighter) == pytest.approx(0, abs=1e-6)
    still = losses.luminance_warp_loss(
        change.warp(output), change.warp(output), warped + 0.1, warped, change.mask
    )
    assert float(still) == pytest.approx(0.1, rel=1e-3)
    assert 0.5 < float(change.mask.mean()) <= 1


def test_a_shaken_frame_is_smeared_along_a_line_and_keeps_its_brightness() -> None:
    changes = [draw_next_frame(1, 64, np.random.default_rng(seed)) for seed in range(8)]
    dot = torch.zeros(1, 3, 64, 64)
    dot[..., 32, 32] = 1
    for change in changes:
        smeared = change.of_shaken(dot)
        assert float(smeared.sum()) == pytest.approx(3, rel=1e-4)
        rows, columns = torch.nonzero(smeared[0, 0], as_tuple=True)
        spread = torch.cov(
            torch.stack([rows.float(), columns.float()]), aweights=smeared[0, 0, rows, columns]
        )
        across, along = torch.linalg.eigvalsh(spread)
        assert across < 0.6 < 1.1 < along
        flat = torch.full((1, 3, 64, 64), 0.3)
        torch.testing.assert_close(change.of_shaken(flat), flat)


def test_a_run_with_the_motion_blur_term_learns_from_it(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    def terms_of(weight: float) -> dict[str, float]:
        seen: list[dict[str, float]] = []
        weights = LossWeights(
            **dict.fromkeys(vars(LossWeights()), 0.0) | {"motion_blur": weight, "range": 1.0}
        )
        config = replace(TINY, steps=60, weights=weights, adversarial_from=100, learning_rate=5e-3)
        run(features, tmp_path / str(weight), config, report=lambda p: seen.append(p.terms))
        assert all(("motion_blur" in terms) == bool(weight) for terms in seen[5:])
        return {"first": seen[5].get("motion_blur", 0.0), "last": seen[-1].get("motion_blur", 0.0)}

    assert terms_of(0.0)["last"] == 0
    learnt = terms_of(10.0)
    assert 0 < learnt["last"] < 0.7 * learnt["first"]


def test_the_motion_blur_loss_is_the_mean_change_of_the_painting() -> None:
    output = torch.rand(2, 3, 8, 8)
    assert float(losses.motion_blur_loss(output, output)) == 0
    assert float(losses.motion_blur_loss(output, output + 0.25)) == pytest.approx(0.25)


def test_the_no_flow_loss_is_zero_for_a_painting_that_changes_as_the_photo_does() -> None:
    frame, output = torch.rand(2, 1, 3, 16, 16)
    noise = 0.05 * torch.randn(1, 3, 16, 16)
    assert float(losses.no_flow_loss(output, output + noise, frame, frame + noise)) == pytest.approx(
        0, abs=1e-6
    )
    assert float(losses.no_flow_loss(output, output, frame, frame + noise)) > 0.02


def test_the_gradient_penalty_is_half_the_squared_gradient_of_a_patch() -> None:
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    logits = torch.nn.functional.avg_pool2d(x.sum(dim=1, keepdim=True), 4) * 16  # 48 ones a patch
    assert float(losses.r1_penalty(logits, x).detach()) == pytest.approx(48 / 2)


def test_hinge_losses_reward_the_right_side() -> None:
    high, low = torch.full((1,), 2.0), torch.full((1,), -2.0)
    assert float(losses.discriminator_hinge(high, low)) == 0
    assert float(losses.discriminator_hinge(low, high)) == 6
    assert float(losses.generator_hinge(high)) < float(losses.generator_hinge(low))


def test_grid_loss_sees_a_grid() -> None:
    x = torch.rand(2, 3, 64, 64)
    gridded = x.clone()
    gridded[..., ::4, ::4] += 0.5
    assert float(losses.grid_loss(x)) < 0.01 < float(losses.grid_loss(gridded))


def test_regularity_tells_a_lattice_from_noise_and_ignores_what_cannot_be_seen() -> None:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    wave = (0.5 + 0.1 * torch.sin((x + y) * 2 * torch.pi / 20)).expand(1, 3, -1, -1)
    noise = torch.rand(1, 1, 128, 128).expand(-1, 3, -1, -1)
    assert losses.regularity(wave).min() > 4
    assert losses.regularity(noise).max() < 1.5
    assert losses.regularity(0.5 + (wave - 0.5) / 100).max() < 0.5


def test_a_lattice_is_punished_only_where_photo_and_painting_have_none() -> None:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    wave = (0.5 + 0.1 * torch.sin((x + y) * 2 * torch.pi / 20)).expand(1, 3, -1, -1)
    noise = torch.rand(1, 1, 128, 128).expand(-1, 3, -1, -1)
    assert losses.lattice_loss(wave, noise, noise) > 2
    assert losses.lattice_loss(wave, wave, noise) == 0
    assert losses.lattice_loss(wave, noise, wave) < 0.2
    assert losses.lattice_loss(noise, noise, noise) < 0.2


def test_a_picture_made_of_places_of_the_painting_has_no_neighbour_loss() -> None:
    torch.manual_seed(0)
    places = torch.randn(2, 50, 8)
    chosen = torch.randint(50, (2, 36))
    patchwork = places.gather(1, chosen[..., None].expand(-1, -1, 8)).transpose(1, 2).reshape(2, 8, 6, 6)
    other = torch.randn(2, 8, 6, 6)
    assert losses.neighbour_loss(patchwork, patchwork, places) < 0.05  # means of few places differ a little
    assert losses.neighbour_loss(other, other, places) > 0.15


def test_the_photo_says_which_place_of_the_painting_is_near() -> None:
    dark, light = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    places = torch.stack([dark, light]).repeat(8, 1)[None]
    photo = torch.stack([dark, light]).T.reshape(1, 3, 1, 2)
    wrong = 0.4 * photo.flip(3)
    wrong.requires_grad_()
    losses.neighbour_loss(wrong, photo, places).backward()
    assert wrong.grad is not None
    assert wrong.grad[0, 0, 0, 0] < 0 < wrong.grad[0, 1, 0, 0], "what is dark in the photo moves to the dark"


def test_tones_that_follow_the_photo_are_free_and_a_halo_on_a_plain_wall_is_not() -> None:
    torch.manual_seed(0)
    wall = torch.full((1, 3, 192, 192), 0.7)
    wall[..., 64:128, 64:128] = 0.2  # somebody in front of it
    wall = wall + 0.02 * torch.randn_like(wall)
    recoloured = torch.stack([1 - wall[:, 0], 0.3 * wall[:, 1] + 0.5 * wall[:, 2], wall[:, 0] ** 2], dim=1)
    halo, strokes = recoloured.clone(), recoloured.clone()
    halo[..., 32:64, 32:160] += 0.2
    strokes[..., ::4] += 0.2  # of one pixel
    cells = torch.from_numpy(canvas(192, 192)[CELL_CHANNELS])[None]
    facets = recoloured + 0.1 * functional.interpolate(cells[:, 4:5], scale_factor=8)
    assert losses.flatness_loss(recoloured, wall, cells) < 2e-4
    assert losses.flatness_loss(strokes, wall, cells) < 2e-4
    assert losses.flatness_loss(facets, wall, cells) < 2e-4
    assert losses.flatness_loss(halo, wall, cells) > 1e-3
    grain = 0.5 + 0.03 * torch.randn(1, 3, 12, 12).repeat_interleave(16, 2).repeat_interleave(16, 3)
    cells = cells[..., :24, :24]
    assert losses.flatness_loss(0.5 + 1.5 * (grain - 0.5), grain, cells) < 1e-3
    assert losses.flatness_loss(0.5 + 6 * (grain - 0.5), grain, cells) > 5e-3


@pytest.mark.parametrize("tint", [(0.1, 0.1, 0.1), (-0.1, 0.0, 0.1)], ids=["lighter", "of another colour"])
def test_what_nearness_to_an_edge_explains_is_a_halo(tint: tuple[float, float, float]) -> None:
    torch.manual_seed(0)
    wall = torch.full((1, 3, 192, 192), 0.7)
    wall[..., 64:128, 64:128] = 0.2  # somebody in front of it
    wall = wall + 0.02 * torch.randn_like(wall)
    cells = cells_of(torch.from_numpy(canvas(192, 192))[None])
    recoloured = torch.stack([1 - wall[:, 0], 0.3 * wall[:, 1] + 0.5 * wall[:, 2], wall[:, 0] ** 2], dim=1)
    facets = recoloured + 0.1 * functional.interpolate(cells[:, -2:-1], scale_factor=8)
    stripes = recoloured.clone()
    stripes[..., ::4] += 0.2
    halo = recoloured.clone()
    halo[..., 40:152, 40:152] += torch.tensor(tint)[None, :, None, None]
    halo[..., 64:128, 64:128] = recoloured[..., 64:128, 64:128]
    free = max(losses.halo_loss(x, wall, cells) for x in (wall, recoloured, facets, stripes))
    assert losses.halo_loss(halo, wall, cells) > 20 * free
    restless = torch.rand_like(wall)
    assert losses.halo_loss(halo, restless, cells) < 1e-3, "where no place is flat there is no halo"


def test_only_colours_far_from_the_photos_cost_by_how_strong_both_are() -> None:
    def plain(*rgb: float) -> torch.Tensor:
        return torch.tensor(rgb)[None, :, None, None].expand(1, 3, 8, 8)

    skin, grey = plain(0.9, 0.7, 0.6), plain(0.6, 0.6, 0.6)
    green, faint_green, orange = plain(0.2, 0.7, 0.3), plain(0.55, 0.65, 0.57), plain(0.9, 0.5, 0.1)
    free = [losses.hue_loss(painted, skin) for painted in (skin, grey, orange)]
    assert max(free) < 1e-4
    assert losses.hue_loss(green, grey) < 1e-4
    assert losses.hue_loss(green, skin) > 4 * losses.hue_loss(faint_green, skin) > 1e-3


def test_facets_count_as_far_as_they_are_fainter_than_asked() -> None:
    torch.manual_seed(0)
    facets = torch.randn(1, 2, 24, 24)
    photo = functional.interpolate(torch.rand(1, 1, 24, 24), scale_factor=8).expand(-1, 3, -1, -1)
    large = functional.interpolate(facets[:, 1:], scale_factor=8)
    for strength, lost in ((0.1, 0.0), (-0.1, 0.0), (0.04, 0.06), (0.0, 0.1)):
        loss = losses.facet_loss(0.5 * photo + strength * large, photo, facets, torch.tensor([0.1]))
        assert float(loss) == pytest.approx(lost**2, abs=1e-4)
    assert losses.facet_loss(photo, photo, facets, torch.tensor([0.0])) == 0


def test_cells_count_as_far_as_their_colours_are_more_alike_than_asked() -> None:
    torch.manual_seed(0)
    numbers = torch.randn(1, 4, 24, 24)
    photo = functional.interpolate(torch.rand(1, 1, 24, 24), scale_factor=8).expand(-1, 3, -1, -1)
    large = functional.interpolate(numbers[:, 2:3], scale_factor=8)
    red = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None] / 2  # red - green is 1, yellow - blue is 0
    for strength, lost in ((0.1, 0.0), (-0.1, 0.0), (0.04, 0.06), (0.0, 0.1)):
        tinted = 0.5 * photo + strength * red * large
        loss = losses.tint_loss(tinted, photo, numbers, torch.tensor([0.1]))
        assert float(loss) == pytest.approx(lost**2, abs=1e-4)
    grey = 0.5 * photo + 0.1 * large
    assert losses.tint_loss(grey, photo, numbers, torch.tensor([0.1])) > 0.09**2


def test_patterns_count_as_far_as_they_are_fainter_than_asked_and_others_as_far_as_they_are_there() -> None:
    torch.manual_seed(0)
    strokes, cells = torch.randn(2, 1, 1, 96, 96).unbind()
    bright = functional.interpolate(torch.rand(1, 1, 6, 6), scale_factor=32, mode="bilinear")
    photo = 0.05 * bright.expand(-1, 3, -1, -1)
    drawn, tiled = (functional.interpolate(kind, scale_factor=2) for kind in (strokes, cells))
    for asked, painted, lost in (
        (0.1, 0.1 * drawn, 0.0),
        (0.1, -0.1 * drawn, 0.0),
        (-0.1, -0.1 * drawn, 0.0),
        (-0.1, 0.1 * drawn, 0.2**2),
        (0.1, 0.04 * drawn, 0.06**2),
        (0.1, 0.1 * drawn + 0.05 * tiled, 0.05**2),
        (0.1, 0.1 * tiled, 0.1**2 + 0.1**2),
    ):
        strengths = torch.tensor([[asked, 0.0]])
        loss = losses.pattern_loss(photo + painted, photo, [strokes, cells], strengths)
        assert float(loss) == pytest.approx(lost, abs=3e-4)
    detailed = torch.rand(1, 3, 192, 192)
    for strength, lost in ((0.0, 0.0), (0.04, 0.0), (0.09, 0.05**2)):
        painted = detailed + strength * drawn
        loss = losses.pattern_loss(painted, detailed, [strokes, cells], torch.tensor([[0.1, 0.0]]))
        assert float(loss) == pytest.approx(lost, abs=4e-4)


def test_tones_count_as_far_as_they_are_flatter_than_asked() -> None:
    photo = functional.interpolate(torch.rand(1, 1, 24, 24), scale_factor=8).expand(-1, 3, -1, -1)
    share = float(photo.var() / (photo.var() + 0.1**2))
    for slope, lost in ((0.7, 0.0), (0.5, 0.0), (0.3, 0.2), (0.0, 0.5), (-0.5, 1.0)):
        loss = losses.tone_loss(0.3 + slope * photo, photo, torch.tensor([0.5]))
        assert float(loss) == pytest.approx(share * lost**2, abs=1e-3)


def test_patterns_of_a_canvas_are_found_by_their_kind() -> None:
    kinds = patterns_of(torch.from_numpy(canvas(192, 256, 3))[None])
    drawn = torch.from_numpy(fields_of_canvas(192, 256, 3).patterns[:, :96, :128])[None]
    assert {kind: len(found[0]) for kind, found in kinds.items() if len(found[0]) > 1} == {"joints": 2}
    assert tuple(kinds) == get_args(PatternKind)
    assert torch.equal(torch.cat(list(kinds.values()), dim=1), drawn)


def test_a_number_of_a_cell_is_constant_in_the_middle_of_it() -> None:
    distance, *numbers = cells_of(torch.from_numpy(canvas(512, 512))[None])[0, 3:6]
    inner = distance > 1
    for field in numbers:
        steps = (field[:, 1:] - field[:, :-1]).abs()[inner[:, 1:] & inner[:, :-1]]
        assert steps.median() < 1e-3 < 0.5 < field.std()


def test_what_is_asked_of_a_style_is_its_own(features: SqueezeNetFeatures) -> None:
    config = replace(
        TINY,
        content_of={"two": 3.0},
        still_of={"one": 4.0},
        facets_of={"one": 0.1},
        tints_of={"two": 0.2},
        stroke_tints_of={"one": 0.3},
        tones_of={"two": 0.6},
        patterns_of={"two": {"joints": -0.1, "broad_strokes": 0.2}},
    )
    paintings = [np.full((96, 96, 3), 99, np.uint8)] * 2
    targets = StyleTargets(features, paintings, config, ("one", "two"))
    assert targets.content_shares.tolist() == pytest.approx([1, 3])
    assert targets.still_shares.tolist() == pytest.approx([4, 1, 1])
    assert targets.facets.tolist() == pytest.approx([0.1, 0])
    assert targets.tints.tolist() == pytest.approx([0, 0.2])
    assert targets.stroke_tints.tolist() == pytest.approx([0.3, 0])
    assert targets.tones.tolist() == pytest.approx([0, 0.6])
    assert targets.has_patterns.tolist() == [False, True]
    assert targets.patterns[1].tolist() == pytest.approx([0, 0, -0.1, 0, 0, 0, 0.2])


def test_a_part_of_a_painting_can_be_learnt_from() -> None:
    picture = np.arange(200 * 300 * 3).reshape(200, 300, 3).astype(np.uint8)
    assert np.array_equal(part_of(picture, (0.5, 0, 1, 0.75)), picture[:150, 150:])
    assert part_of(picture, (0, 0, 1, 1)).shape == picture.shape
    with pytest.raises(ConfigError, match="smaller than 64x64"):
        part_of(picture, (0.5, 0.5, 0.4, 1))


def test_content_counts_what_a_style_says() -> None:
    given, kept = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    first, second = losses.content_loss(kept[:1], given[:1]), losses.content_loss(kept[1:], given[1:])
    weighed = losses.content_loss(kept, given, torch.tensor([3.0, 0.5]))
    assert torch.isclose(weighed, (3 * first + second / 2) / 2)


def test_range_loss_is_zero_inside_the_range_only() -> None:
    assert float(losses.range_loss(torch.tensor([0.0, 0.5, 1.0]))) == 0
    assert float(losses.range_loss(torch.tensor([-0.5, 1.5]))) == pytest.approx(0.25)


def test_the_learning_rate_warms_up_then_falls() -> None:
    shares = [learning_rate_share(step, 1000) for step in range(1000)]
    assert shares[0] < 0.02 < 0.9 < max(shares[:150])
    assert shares[-1] < 0.06


def test_feature_weights_that_are_missing_or_foreign_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        SqueezeNetFeatures.load(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="lack the tensor"):
        SqueezeNetFeatures({})


def test_a_picture_of_an_impossible_size_is_listed_and_not_fatal(tmp_path: Path) -> None:
    good = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "good.png"), good)
    header = bytearray((tmp_path / "good.png").read_bytes())
    header[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(header)
    folder = read_folder(tmp_path, min_side=64)
    assert folder.names == ("good.png",)
    assert "huge.png" in folder.skipped
