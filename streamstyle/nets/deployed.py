"""The network as compilers for accelerators get it: weights folded and rounded once, bytes at its edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamstyle.nets.ema_norm import StatefulFrameGenerator
from streamstyle.nets.generator import FrameGenerator, Generator
from streamstyle.nets.phases import PhaseConv, UpsampleConv

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Folded(nn.Module):
    """A convolution whose kernel was folded before: nothing is left to compute per frame."""

    def __init__(self, conv: UpsampleConv | PhaseConv) -> None:
        nn.Module.__init__(self)
        weight, bias = conv.folded()
        self.register_buffer("kernel", weight.contiguous())
        self.register_buffer("offset", bias.contiguous())

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias, as `UpsampleConv` and `PhaseConv` give them."""
        return self.get_buffer("kernel"), self.get_buffer("offset")


class FoldedUpsample(_Folded, UpsampleConv):
    """An `UpsampleConv` that is folded."""


class FoldedPhaseConv(_Folded, PhaseConv):
    """A `PhaseConv` that is folded."""


def deployed(
    generator: Generator, precision: str, *, stateful: bool
) -> FrameGenerator | StatefulFrameGenerator:
    """`generator`, which is changed, with weights of `precision`: fp32, fp16 or bf16.

    Kernels are folded in fp32 and rounded once. Statistics are taken in fp32 whatever the weights are.
    """
    with torch.no_grad():
        generator.up1 = FoldedUpsample(generator.up1)
        if generator.config.head:
            head = generator.head
            head.up = FoldedUpsample(head.up)
            head.photo, head.out = FoldedPhaseConv(head.photo), FoldedPhaseConv(head.out)
        else:
            generator.up2 = FoldedUpsample(generator.up2)
    generator.to(PRECISIONS[precision]).requires_grad_(False).eval()
    return StatefulFrameGenerator(generator) if stateful else FrameGenerator(generator)


class LevelFrames(nn.Module):
    """The network for TensorRT, which reads bytes only to cast them at once and cannot give any.

    forward: what `network` takes to what it gives, but for the frames: (B, H, W, 3) whole numbers in 0..255,
    of the type of the weights, which hold them exactly. fp32 is the way in: TensorRT casts no bytes to bf16.
    """

    def __init__(self, network: FrameGenerator | StatefulFrameGenerator) -> None:
        super().__init__()
        network.levels = network.generator.stem.weight.dtype
        self.network = network

    def forward(
        self,
        frames: Tensor,
        codes: Tensor,
        mask: Tensor,
        canvas: Tensor,
        past: Tensor | None = None,
        ema_decay: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Stylize whole frames; see the class."""
        dtype = self.network.levels
        state = () if past is None or ema_decay is None else (past, ema_decay)
        result: Tensor | tuple[Tensor, Tensor] = self.network(
            frames.float().to(dtype), codes, mask.float().to(dtype), canvas, *state
        )
        return result
