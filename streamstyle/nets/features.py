"""Perceptual features: SqueezeNet v1.0 (Iandola et al. 2016), read from a safetensors file.

Used by training losses and by metrics only; no run of the product needs these weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.errors import ModelError

_FIRES = tuple(f"fire{i}" for i in range(2, 10))
_POOL_AFTER = frozenset({"conv1", "fire4", "fire8"})
# RGB means that the network was trained with, in 0..255.
_MEAN = (123.0, 117.0, 104.0)


class SqueezeNetFeatures(nn.Module):
    """Frozen feature layers `conv1`, `fire2` .. `fire9`.

    forward: RGB (B, 3, H, W) float in [0, 1] (H, W >= 64) to {layer: (B, C, h, w)} after ReLU, for the
    asked layers. Strides: conv1 2, fire2-4 4, fire5-8 8, fire9 16. Gradients flow to the input only.
    """

    mean: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        try:
            self.conv1 = _frozen_conv(weights, "conv1", stride=2)
            for name in _FIRES:
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
        try:
            weights = load_file(path)
        except Exception as error:  # safetensors raises its own type and plain OSError
            raise ModelError(f"cannot read feature weights {path}: {error}") from error
        return cls({name: tensor.float() for name, tensor in weights.items()})

    def forward(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features of the asked layers; stops after the deepest of them."""
        wanted = set(layers)
        y = F.relu(self.conv1(x * 255 - self.mean))
        taps: dict[str, Tensor] = {}
        for name in ("conv1", *_FIRES):
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
        raise ModelError(f"unknown feature layer {sorted(wanted - set(taps))}")


def _frozen_conv(weights: dict[str, Tensor], name: str, *, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    weight = weights[f"{name}.weight"]
    c_out, c_in, k, _ = weight.shape
    conv = nn.Conv2d(c_in, c_out, k, stride=stride, padding=padding)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(weights[f"{name}.bias"], requires_grad=False)
    return conv
