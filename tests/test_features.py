"""Perceptual features: the bundled ones, and torchvision's VGG from a user's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clips import DATA
from safetensors.torch import save_file
from torch import Tensor, nn

from streamstyle.errors import ModelError
from streamstyle.nets.features import BUNDLED_VGG, SqueezeNetFeatures, VggFeatures, load_features
from streamstyle.train.data import to_tensor
from streamstyle.train.synthetic import dead_leaves

TEACHER = DATA / "weights" / "vgg19_relu3_1.safetensors"

# torchvision.models.vgg16's configuration "D".
VGG16 = (8, 8, "pool", 12, 12, "pool", 16, 16, 16, "pool", 20, 20, 20, "pool", 24, 24, 24)


class Hostile:
    """Unpickling it creates a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


def narrow_vgg() -> nn.Sequential:
    """VGG-16 as torchvision builds it, with fewer channels and mirrored edges."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for entry in VGG16:
        if isinstance(entry, int):
            layers += [nn.Conv2d(channels, entry, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
            channels = entry
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, path)
    return path


def test_vgg_weights_in_torchvisions_names_give_the_layers_of_the_papers(tmp_path: Path) -> None:
    network = narrow_vgg()
    named = {f"features.{k}": v.contiguous() for k, v in network.state_dict().items()}
    # Other layers of torchvision's file are left aside.
    named["classifier.0.weight"] = torch.zeros(2, 2)
    features = load_features(saved(tmp_path / "vgg.safetensors", named))
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    layers = {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22}
    taps = features(x, list(layers))
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    y = (x - mean) / std
    seen = {}
    for index, layer in enumerate(network):
        y = layer(y)
        seen[index] = y.detach()
    for name, index in layers.items():
        torch.testing.assert_close(taps[name], seen[index])


def test_torchvisions_own_file_is_read_and_one_that_runs_code_is_not(tmp_path: Path) -> None:
    named = {f"features.{k}": v for k, v in narrow_vgg().state_dict().items()}
    torch.save(named | {"classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.pth")
    features = load_features(tmp_path / "vgg16.pth")
    assert features(torch.rand(1, 3, 64, 64), ["relu4_3"])["relu4_3"].shape == (1, 20, 8, 8)
    marker = tmp_path / "ran"
    torch.save({"features.0.weight": Hostile(str(marker))}, tmp_path / "hostile.pth")
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04")
    for name in ("hostile.pth", "other.pth", "torn.pth", "none.pth"):
        with pytest.raises(ModelError, match=name):
            load_features(tmp_path / name)
    assert not marker.exists()


def test_the_bundled_features_have_the_layers_that_the_losses_ask_for() -> None:
    features = load_features()
    assert isinstance(features, SqueezeNetFeatures)
    taps = features(torch.rand(2, 3, 64, 96), (*features.style_layers, features.content_layer))
    assert {name: tap.shape[1] for name, tap in taps.items()} == {
        **{"conv1": 96, "fire2": 128, "fire3": 128},
        **{"fire4": 256, "fire5": 256, "fire7": 384},
    }
    with pytest.raises(ModelError, match="fire9"):
        features(torch.rand(1, 3, 64, 64), ["fire9"])
    vgg = load_features(BUNDLED_VGG)
    assert isinstance(vgg, VggFeatures)
    taps = vgg(torch.rand(2, 3, 64, 96), vgg.style_layers)
    assert {name: tap.shape[1] for name, tap in taps.items()} == {
        "relu1_1": 64,
        "relu2_1": 128,
        "relu3_1": 256,
    }


def test_weights_of_something_else_are_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "other.safetensors", {"layer.weight": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"layer\.weight"):
        load_features(path)
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(ModelError, match="torn"):
        load_features(tmp_path / "torn.safetensors")
    with pytest.raises(ModelError, match="none"):
        load_features(tmp_path / "none.safetensors")
    half = {"conv1.weight": torch.zeros(4, 3, 7, 7)}
    with pytest.raises(ModelError, match="lack"):
        load_features(saved(tmp_path / "half.safetensors", half))


@pytest.mark.skipif(not TEACHER.exists(), reason="needs VGG-19")
def test_the_bundled_vgg_answers_as_the_imagenet_network_does() -> None:
    """The pictures are textures and shapes that it was not trained on."""
    pictures = [dead_leaves(128, 128, np.random.default_rng(seed)) for seed in range(4)]
    x = torch.stack([to_tensor(picture) for picture in pictures])
    student, teacher = load_features(BUNDLED_VGG), load_features(TEACHER)
    have, want = (network(x, VggFeatures.style_layers) for network in (student, teacher))
    errors = {n: float((have[n] - want[n]).square().sum() / want[n].square().sum()) for n in want}
    assert errors["relu1_1"] < 0.05, errors
    assert errors["relu2_1"] < 0.2, errors
    assert errors["relu3_1"] < 0.35, errors
