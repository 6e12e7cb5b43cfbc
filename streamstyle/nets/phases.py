"""Convolutions of pictures at twice the size, on blocks of 2x2 pixels whose four phases are channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _edge_pad(x: Tensor) -> Tensor:
    """One pixel more on every side, repeated. As a concatenation: AOTInductor cannot compile the padding of
    shuffled pixels."""
    x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    return torch.cat([x[..., :1], x, x[..., -1:]], dim=3)


def pixels_of(phases: Tensor) -> Tensor:
    """`F.pixel_shuffle` by 2 of channels in another order: (B, 4 * C, h, w), all of the upper left pixel of a
    block first. Where channels lie side by side in memory this moves pixels and not single numbers."""
    b, channels, h, w = phases.shape
    blocks = phases.reshape(b, 2, 2, channels // 4, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(b, channels // 4, 2 * h, 2 * w)


class UpsampleConv(nn.Module):
    """Bilinear x2 followed by a 3x3 convolution, computed at the *low* resolution.

    Both are linear and every output phase (x mod 2, y mod 2) reads a 3x3 window of the input, so the
    pair equals one 3x3 convolution to 4x the channels and a pixel shuffle. All four phases share one
    kernel: flat features give a flat picture, where a free pixel-shuffle head draws a grid.
    """

    fold: Tensor

    def __init__(self, in_channels: int, out_channels: int, *, by_pixel: bool = False) -> None:
        """by_pixel: order `phases` as `pixels_of` takes them, instead of as `F.pixel_shuffle` does."""
        super().__init__()
        self.by_pixel = by_pixel
        conv = nn.Conv2d(in_channels, out_channels, 3)
        assert conv.bias is not None
        self.weight = nn.Parameter(conv.weight.detach().clone())
        self.bias = nn.Parameter(conv.bias.detach().clone())
        # Row p, column k, tap t: weight of low-resolution neighbour t-1 under tap k of phase p.
        taps = torch.zeros(2, 3, 3)
        for phase in range(2):
            for k in range(3):
                position = (phase + k - 1 - 0.5) / 2  # high-resolution centre in low-res pixels
                left = int(torch.floor(torch.tensor(position)))
                right_share = position - left
                taps[phase, k, left + 1] += 1 - right_share
                if right_share:
                    taps[phase, k, left + 2] += right_share
        self.register_buffer("fold", taps, persistent=False)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (4*C_out, C_in, 3, 3) and bias (4*C_out,) of the equal low-resolution convolution."""
        out_channels, in_channels = self.weight.shape[:2]
        order = "pqo" if self.by_pixel else "opq"
        weight = torch.einsum(f"pky,qlx,oikl->{order}iyx", self.fold, self.fold, self.weight)
        bias = self.bias.repeat(4) if self.by_pixel else self.bias.repeat_interleave(4)
        return weight.reshape(4 * out_channels, in_channels, 3, 3), bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, h, w) -> (B, C_out, 2h, 2w)."""
        phases = self.phases(x)
        return pixels_of(phases) if self.by_pixel else F.pixel_shuffle(phases, 2)

    def phases(self, x: Tensor) -> Tensor:
        """(B, C_in, h, w) -> (B, 4 * C_out, h, w): the pixels before they are shuffled to their places."""
        weight, bias = self.folded()
        return F.conv2d(_edge_pad(x), weight, bias)


class PhaseConv(nn.Module):
    """A 3x3 convolution at the full size of pictures that come and go as 2x2 blocks of pixels.

    Equal to a pixel shuffle, the convolution and a pixel unshuffle, computed on the blocks: every pixel of a
    block reads a window of 3x3 blocks. At the edges pictures are mirrored.
    """

    fold: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        conv = nn.Conv2d(in_channels, out_channels, 3)
        assert conv.bias is not None
        self.weight = nn.Parameter(conv.weight.detach().clone())
        self.bias = nn.Parameter(conv.bias.detach().clone())
        # Output phase p, tap k, input phase q, block t-1: 1 where that tap of that phase reads that pixel.
        taps = torch.zeros(2, 3, 2, 3)
        for phase in range(2):
            for k in range(3):
                block, source = divmod(phase + k - 1, 2)
                taps[phase, k, source, block + 1] = 1
        self.register_buffer("fold", taps, persistent=False)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (4*C_out, 4*C_in, 3, 3) and bias (4*C_out,) of the equal convolution of blocks."""
        c_out, c_in = self.weight.shape[:2]
        weight = torch.einsum("pkry,qlsx,oikl->opqirsyx", self.fold, self.fold, self.weight)
        return weight.reshape(4 * c_out, 4 * c_in, 3, 3), self.bias.repeat_interleave(4)

    def phases(self, x: Tensor) -> Tensor:
        """(B, 4 * C_in, h, w) -> (B, 4 * C_out, h, w)."""
        weight, bias = self.folded()
        return F.conv2d(_edge_pad(x), weight, bias)
