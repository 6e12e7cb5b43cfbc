"""Perceptual features: what training losses and metrics see a picture with. No run of the product needs them.

Two networks, told apart by the names of their tensors:

SqueezeNet v1.0 (Iandola et al. 2016), with which metrics see.
VGG-16 or VGG-19 (Simonyan and Zisserman 2015) in torchvision's format, with which styles are learnt.

The package ships a SqueezeNet up to `fire7` and a VGG up to `relu3_1`, whose weights were trained by
`tools/distill_features.py` to answer as the ImageNet networks do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.errors import ModelError
from streamstyle.nets.vgg_file import read_vgg_file

BUNDLED_FEATURES = Path(__file__).parent / "features.safetensors"
BUNDLED_VGG = Path(__file__).parent / "vgg_features.safetensors"
_FIRES = tuple(f"fire{i}" for i in range(2, 10))
_POOL_AFTER = frozenset({"conv1", "fire4", "fire8"})
# RGB means that the network was trained with, in 0..255.
_MEAN = (123.0, 117.0, 104.0)
# The same of torchvision's networks, in 0..1.
_VGG_MEAN = (0.485, 0.456, 0.406)
_VGG_STD = (0.229, 0.224, 0.225)


class PerceptualFeatures(nn.Module):
    """forward: RGB (B, 3, H, W) float in [0, 1], H and W >= 64, to {layer: (B, C, h, w)} after ReLU, for the
    asked layers; stops after the deepest of them. Raises ModelError for an unknown layer.

    Frozen: gradients flow to the input only. style_layers, content_layer: what losses compare by default.
    """

    mean: Tensor
    style_layers: ClassVar[tuple[str, ...]]
    content_layer: ClassVar[str]


class SqueezeNetFeatures(PerceptualFeatures):
    """Layers `conv1`, `fire2` .. `fire9`, as many as the weights hold. See `PerceptualFeatures`.

    Strides: conv1 2, fire2-4 4, fire5-8 8, fire9 16.
    """

    style_layers = ("conv1", "fire2", "fire3", "fire5", "fire7")
    content_layer = "fire4"

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = ("conv1", *(name for name in _FIRES if f"{name}.squeeze1x1.weight" in weights))
        try:
            self.conv1 = _frozen_conv(weights, "conv1", stride=2)
            for name in self.layers[1:]:
                squeeze = _frozen_conv(weights, f"{name}.squeeze1x1")
                expand1 = _frozen_conv(weights, f"{name}.expand1x1")
                expand3 = _frozen_conv(weights, f"{name}.expand3x3", padding=1)
                self.add_module(name, nn.ModuleList([squeeze, expand1, expand3]))
        except KeyError as error:
            raise ModelError(
                f"the feature weights lack the tensor {error}; give SqueezeNet v1.0 features"
            ) from error
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)

    @classmethod
    def load(cls, path: Path) -> SqueezeNetFeatures:
        """Read a safetensors file of fp16 or fp32 weights. Raises ModelError."""
        return cls(_read(path))

    def forward(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `PerceptualFeatures`."""
        wanted = set(layers)
        y = F.relu(self.conv1(x * 255 - self.mean))
        taps: dict[str, Tensor] = {}
        for name in self.layers:
            if name != "conv1":
                squeeze, expand1, expand3 = self.get_submodule(name).children()
                s = F.relu(squeeze(y))
                y = F.relu(torch.cat([expand1(s), expand3(s)], dim=1))
            if name in wanted:
                taps[name] = y
                if len(taps) == len(wanted):
                    return taps
            if name in _POOL_AFTER:
                y = F.max_pool2d(y, 3, 2, ceil_mode=True)
        raise ModelError(f"unknown feature layer {sorted(wanted - set(taps))}; known are {self.layers}")


class VggFeatures(PerceptualFeatures):
    """Layers `relu1_1`, `relu1_2`, `relu2_1` .. of a VGG-16 or VGG-19. See `PerceptualFeatures`."""

    std: Tensor
    style_layers = ("relu1_1", "relu2_1", "relu3_1")
    content_layer = "relu3_1"

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """weights: torchvision's `features.N.weight` and `.bias`; other tensors are left aside."""
        super().__init__()
        indices = sorted(
            int(key.split(".")[1])
            for key, tensor in weights.items()
            if key.startswith("features.") and key.endswith(".weight") and tensor.ndim == 4
        )
        self.layers: dict[str, str] = {}  # layer -> name of its module
        self.pooled: set[str] = set()  # layers whose input is pooled first
        stage, place, last = 1, 0, -2
        for index in indices:
            # Inside a stage conv, ReLU, conv: a step of 2. A pooling layer between makes it 3.
            new_stage = index - last == 3
            stage, place = (stage + 1, 1) if new_stage else (stage, place + 1)
            last = index
            name = f"relu{stage}_{place}"
            try:
                conv = _frozen_conv(weights, f"features.{index}", padding=1, padding_mode="reflect")
            except KeyError as error:
                raise ModelError(f"the VGG weights lack the tensor {error}") from error
            self.add_module(f"conv{index}", conv)
            self.layers[name] = f"conv{index}"
            if new_stage:
                self.pooled.add(name)
        self.register_buffer("mean", torch.tensor(_VGG_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_VGG_STD).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `PerceptualFeatures`."""
        wanted = set(layers)
        y = (x - self.mean) / self.std
        taps: dict[str, Tensor] = {}
        for name, module in self.layers.items():
            if name in self.pooled:
                y = F.max_pool2d(y, 2)
            y = F.relu(self.get_submodule(module)(y))
            if name in wanted:
                taps[name] = y
                if len(taps) == len(wanted):
                    return taps
        raise ModelError(f"unknown feature layer {sorted(wanted - set(taps))}; known are {list(self.layers)}")


def load_features(path: Path | None = None) -> PerceptualFeatures:
    """The bundled SqueezeNet, or the network of a safetensors file or of torchvision's `.pth`.

    Raises ModelError.
    """
    is_pickle = path is not None and path.suffix in {".pth", ".pt"}
    weights = read_vgg_file(path) if path is not None and is_pickle else _read(path or BUNDLED_FEATURES)
    if "conv1.weight" in weights:
        return SqueezeNetFeatures(weights)
    if "features.0.weight" in weights:
        return VggFeatures(weights)
    raise ModelError(
        f"{path} holds neither SqueezeNet v1.0 nor torchvision VGG features; "
        f"its tensors are named {', '.join(sorted(weights)[:3])} ..."
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        weights = load_file(path)
    except Exception as error:  # safetensors raises its own type and plain OSError
        raise ModelError(f"cannot read feature weights {path}: {error}") from error
    return {name: tensor.float() for name, tensor in weights.items()}


def _frozen_conv(
    weights: Mapping[str, Tensor],
    name: str,
    *,
    stride: int = 1,
    padding: int = 0,
    padding_mode: Literal["zeros", "reflect"] = "zeros",
) -> nn.Conv2d:
    weight = weights[f"{name}.weight"]
    c_out, c_in, k, _ = weight.shape
    conv = nn.Conv2d(c_in, c_out, k, stride=stride, padding=padding, padding_mode=padding_mode)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(weights[f"{name}.bias"], requires_grad=False)
    return conv
