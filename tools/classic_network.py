"""The peer: the classic feed-forward style network, one per style, in torch eager fp32.

Architecture of Johnson et al. 2016 (supplementary material, table 1) with instance normalisation
(Ulyanov et al. 2016), as public implementations have it. Weights are random: only its cost is measured.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.types import EngineSpec, Pending, Picture


class _Conv(nn.Module):
    def __init__(self, c_in: int, c_out: int, kernel: int, *, stride: int = 1, upsample: int = 1) -> None:
        super().__init__()
        self._upsample = upsample
        self._layers = nn.Sequential(
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(c_in, c_out, kernel, stride),
            nn.InstanceNorm2d(c_out, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self._upsample > 1:
            x = F.interpolate(x, scale_factor=self._upsample, mode="nearest")
        y: Tensor = self._layers(x)
        return y


class ClassicNetwork(nn.Module):
    """1.68 M parameters. RGB (B, 3, H, W) in 0..255 to the same."""

    def __init__(self) -> None:
        super().__init__()
        self._down = nn.ModuleList([_Conv(3, 32, 9), _Conv(32, 64, 3, stride=2), _Conv(64, 128, 3, stride=2)])
        self._residual = nn.ModuleList(
            nn.Sequential(_Conv(128, 128, 3), nn.ReLU(), _Conv(128, 128, 3)) for _ in range(5)
        )
        self._up = nn.ModuleList([_Conv(128, 64, 3, upsample=2), _Conv(64, 32, 3, upsample=2)])
        self._last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9))

    def forward(self, x: Tensor) -> Tensor:
        """Stylize."""
        for layer in self._down:
            x = F.relu(layer(x))
        for layer in self._residual:
            x = x + layer(x)
        for layer in self._up:
            x = F.relu(layer(x))
        y: Tensor = self._last(x)
        return y


class ClassicEngine:
    """The classic network behind our engine protocol, so that the same pipeline runs it."""

    spec = EngineSpec("classic network, torch eager", "fp32", "cpu", in_flight=1)

    def __init__(self) -> None:
        torch.manual_seed(0)
        self._network = ClassicNetwork().eval()
        self.busy_seconds = 0.0

    def start(self, pixels: Picture, code: NDArray[np.float32]) -> Pending:  # noqa: ARG002 - protocol
        """Run to the end."""
        started = time.perf_counter()
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            y = self._network(x)[0].clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
        height, width = pixels.shape[:2]
        self.busy_seconds += time.perf_counter() - started
        styled = y[:height, :width].copy()
        return lambda: styled

    def close(self) -> None:
        """Nothing to free."""
