"""The classic feed-forward style network: one network per style.

Architecture of Johnson et al. 2016 (supplementary material, table 1) with instance normalisation
(Ulyanov et al. 2016) and resize-convolutions (Odena et al. 2016). Layers have the names that public
weights use, `conv1.conv2d.weight`, `in1.weight`, `res1.conv1.conv2d.weight`, `deconv1.conv2d.weight` ...
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvLayer(nn.Module):
    """Nearest-neighbour upsampling, reflection padding, convolution."""

    def __init__(self, c_in: int, c_out: int, kernel: int, *, stride: int = 1, upsample: int = 1) -> None:
        super().__init__()
        self.upsample = upsample
        self.reflection_pad = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(c_in, c_out, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) to (B, c_out, H * upsample / stride, W * upsample / stride)."""
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="nearest")
        y: Tensor = self.conv2d(self.reflection_pad(x))
        return y


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance normalisation, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        y: Tensor = self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))
        return x + y


class TransformerNet(nn.Module):
    """1.68 M parameters.

    forward: RGB (B, 3, H, W) float in 0..255, H and W multiples of 4, to the same, which may leave 0..255.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvLayer(3, 32, 9)
        self.in1 = nn.InstanceNorm2d(32, affine=True)
        self.conv2 = ConvLayer(32, 64, 3, stride=2)
        self.in2 = nn.InstanceNorm2d(64, affine=True)
        self.conv3 = ConvLayer(64, 128, 3, stride=2)
        self.in3 = nn.InstanceNorm2d(128, affine=True)
        self.res1 = ResidualBlock(128)
        self.res2 = ResidualBlock(128)
        self.res3 = ResidualBlock(128)
        self.res4 = ResidualBlock(128)
        self.res5 = ResidualBlock(128)
        self.deconv1 = ConvLayer(128, 64, 3, upsample=2)
        self.in4 = nn.InstanceNorm2d(64, affine=True)
        self.deconv2 = ConvLayer(64, 32, 3, upsample=2)
        self.in5 = nn.InstanceNorm2d(32, affine=True)
        self.deconv3 = ConvLayer(32, 3, 9)

    def forward(self, x: Tensor) -> Tensor:
        """Stylize; see the class."""
        y = F.relu(self.in1(self.conv1(x)))
        y = F.relu(self.in2(self.conv2(y)))
        y = F.relu(self.in3(self.conv3(y)))
        y = self.res5(self.res4(self.res3(self.res2(self.res1(y)))))
        y = F.relu(self.in4(self.deconv1(y)))
        y = F.relu(self.in5(self.deconv2(y)))
        styled: Tensor = self.deconv3(y)
        return styled


def transformer_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a `TransformerNet`."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in TransformerNet().state_dict().items()}
