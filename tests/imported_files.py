"""Builds the models of other people that the tests import: small networks with known weights."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import torch
from onnx import ModelProto, TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.nets.transformer import TransformerNet

TaskOutcome = Literal["tanh", "sigmoid", "bytes", "clamped bytes", "tanh to unit"]


class Painter(nn.Module):
    """Mixes the channels, blurs a little, and ends as networks of each kind do.

    down: the factor by which it goes down and, by resizing, up again. norm: begins with a normalisation.
    """

    def __init__(self, ending: TaskOutcome, *, nhwc: bool = False, down: int = 1, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.ending, self.nhwc, self.down, self.norm = ending, nhwc, down, norm
        self.conv = nn.Conv2d(3, 3, 3, stride=down, padding=1)
        mixing = torch.tensor([[0.9, 0.2, -0.1], [0.0, 0.8, 0.2], [0.2, -0.1, 0.9]]) / 9
        self.conv.weight.data = mixing[:, :, None, None].expand(3, 3, 3, 3).clone()
        self.conv.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """Paint."""
        x = x.permute(0, 3, 1, 2) if self.nhwc else x
        y = self.conv(x)
        if self.norm:
            y = F.instance_norm(y)
        if self.down > 1:
            y = F.interpolate(y, scale_factor=self.down, mode="nearest")
        y = self.ended(y)
        return y.permute(0, 2, 3, 1) if self.nhwc else y

    def ended(self, y: Tensor) -> Tensor:
        """The last operations."""
        if self.ending == "sigmoid":
            return torch.sigmoid(2 * y if self.norm else 4 * (y - 0.5))
        if self.ending == "bytes":
            return y * 60 + 128 if self.norm else y * 1.1 - 5
        if self.ending == "clamped bytes":
            return (y * 60 + 128 if self.norm else y).clamp(0, 255)
        return torch.tanh(y) if self.ending == "tanh" else torch.tanh(y) * 0.5 + 0.5


def save_onnx(
    network: nn.Module, path: Path, *, nhwc: bool = False, size: tuple[int, int] = (64, 64), free: bool = True
) -> Path:
    """Export a network; `free` leaves height and width open."""
    height, width = size
    example = torch.zeros(1, height, width, 3) if nhwc else torch.zeros(1, 3, height, width)
    axes = {1: "h", 2: "w"} if nhwc else {2: "h", 3: "w"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter without onnxscript is its old one
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": axes, "y": axes} if free else None,
        )
    return path


def graph(
    nodes: list[tuple[str, list[str], list[str]]],
    inputs: dict[str, list[int | str] | None],
    outputs: dict[str, list[int | str] | None],
    *,
    domain: str = "",
    kind: int = TensorProto.FLOAT,
) -> ModelProto:
    """An ONNX model of bare nodes (operation, inputs, outputs)."""
    made = helper.make_graph(
        [helper.make_node(name, i, o, domain=domain) for name, i, o in nodes],
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def classic_network() -> TransformerNet:
    """A classic network that paints something of its input, in 0..255, without training."""
    torch.manual_seed(0)
    network = TransformerNet().eval()
    with torch.no_grad():
        network.deconv3.conv2d.weight.mul_(120)
        network.deconv3.conv2d.bias.fill_(128)
    return network


def torch_bytes(value: object, *, legacy: bool = False) -> bytes:
    """A file as torch.save writes it."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()
