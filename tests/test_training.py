from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from streamstyle.cli.main import main
from streamstyle.errors import ConfigError, ModelError
from streamstyle.nets.features import SqueezeNetFeatures
from streamstyle.nets.generator import GeneratorConfig
from streamstyle.styles.bundle import load_bundle
from streamstyle.train import losses
from streamstyle.train.data import PictureFolder, draw_motion, read_folder, read_picture
from streamstyle.train.loop import CHECKPOINT_NAME, learning_rate_share, train_base
from streamstyle.train.options import BaseTraining, StylePicture, TrainConfig
from streamstyle.train.publish import publish_bundle
from streamstyle.train.step import GanState

TINY = TrainConfig(
    generator=GeneratorConfig(widths=(8, 8, 16), blocks=1),
    steps=4,
    batch=3,
    crop=64,
    style_side=96,
    adversarial_from=1,
    style_layers=("conv1", "fire2"),
    content_layer="fire3",
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


def run(features: SqueezeNetFeatures, folder: Path, config: TrainConfig) -> GanState:
    return train_base(
        config, PHOTOS, PAINTINGS, features, folder, report=lambda _: None, report_every=1, save_every=2
    )


def test_two_steps_and_a_resume_equal_four_straight(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    straight = run(features, tmp_path / "straight", TINY)

    class StoppedError(Exception):
        pass

    def stop_after_two(progress):  # type: ignore[no-untyped-def]
        if progress.step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_base(
            TINY,
            PHOTOS,
            PAINTINGS,
            features,
            tmp_path / "resumed",
            report=stop_after_two,
            report_every=1,
            save_every=2,
        )
    resumed = run(features, tmp_path / "resumed", TINY)
    for name, module in straight.modules().items():
        other = resumed.modules()[name].state_dict()
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, other[key]), f"{name}.{key}"


def test_training_lowers_the_style_loss(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    terms: list[dict[str, float]] = []
    config = TrainConfig(**{**vars(TINY), "steps": 40, "learning_rate": 3e-3})
    train_base(
        config, PHOTOS, PAINTINGS, features, tmp_path, report=lambda p: terms.append(p.terms), report_every=10
    )
    assert terms[-1]["style"] < 0.7 * terms[0]["style"]
    assert {"content", "temporal", "adversarial", "identity", "grid", "range", "variation"} <= set(terms[-1])


def test_a_checkpoint_of_other_options_is_refused(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    run(features, tmp_path, TINY)
    with pytest.raises(ModelError, match="other options"):
        run(features, tmp_path, TrainConfig(**{**vars(TINY), "crop": 96}))


def test_a_damaged_checkpoint_is_refused(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="cannot resume"):
        run(features, tmp_path, TINY)


def test_a_finished_run_becomes_a_bundle_that_loads(features: SqueezeNetFeatures, tmp_path: Path) -> None:
    styles = tuple(StylePicture(f"{n}.jpg", n, n.title(), "A Painter", "1900") for n in ("one", "two"))
    state = run(features, tmp_path, TINY)
    manifest = publish_bundle(
        state, BaseTraining("tiny", TINY, styles), PHOTOS, PAINTINGS, features, tmp_path / "b"
    )
    bundle = load_bundle(tmp_path / "b")
    assert bundle.names == ("one", "two")
    assert bundle.manifest == manifest
    assert set(manifest.styles[0].metrics) >= {"style_loss", "colour_distance", "grid_contrast"}
    _, codes = state.averaged_network()
    np.testing.assert_array_equal(bundle.styles[1].code, codes[1].numpy())


def test_the_command_trains_and_publishes_a_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, names in (("content", ["a", "b"]), ("styles", ["one", "two"])):
        (tmp_path / folder).mkdir()
        for name, pixels in zip(names, smooth_pictures(2, 96), strict=True):
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), pixels)
    (tmp_path / "content" / "broken.jpg").write_bytes(b"no picture")
    save_file(random_feature_weights(), tmp_path / "f.safetensors")
    styles = [
        {"picture": f"{n}.png", "name": n, "title": n, "artist": "A Painter", "year": "1900"}
        for n in ("one", "two")
    ]
    config = {"name": "tiny", "options": TINY.to_json() | {"steps": 4}, "styles": styles}
    (tmp_path / "train.yaml").write_text(json.dumps(config))
    arguments = ["train", "base", "--config", "train.yaml", "--content", "content", "--styles", "styles"]
    arguments += ["--features", "f.safetensors", "-o", "out", "--set", "options.steps=2"]
    located = [str(tmp_path / a) if (tmp_path / a).exists() or a == "out" else a for a in arguments]
    assert main(located) == 0
    said = capsys.readouterr()
    assert "skipped broken.jpg" in said.err
    assert "2/2" in said.err
    bundle = load_bundle(tmp_path / "out" / "bundle")
    assert bundle.names == ("one", "two")
    assert bundle.manifest.training["options"]["steps"] == 2
    assert read_picture(tmp_path / "out" / "sheet.png").shape == (4 * 320, 4 * 320, 3)


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


def test_style_loss_is_zero_on_its_own_target_and_one_on_nothing() -> None:
    features = {"a": torch.rand(2, 4, 8, 8)}
    target = {"a": losses.gram(features["a"])}
    assert float(losses.style_loss(features, target)) == pytest.approx(0)
    assert float(losses.style_loss({"a": torch.zeros(2, 4, 8, 8)}, target)) == pytest.approx(1)


def test_temporal_loss_is_zero_for_a_network_that_moves_with_its_input() -> None:
    motion = draw_motion(2, 32, np.random.default_rng(0))
    x = torch.rand(2, 3, 32, 32)
    moved = motion.warp(x)
    assert float(losses.temporal_loss(1 - moved, motion.warp(1 - x), motion.mask)) == pytest.approx(
        0, abs=1e-6
    )
    assert 0.5 < float(motion.mask.mean()) <= 1


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
