"""The generator's architecture and the layout of its codes. Read without torch, which takes two seconds to
import: an engine that was compiled before starts without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Affine: TypeAlias = "tuple[Tensor, Tensor]"
"""Scale and shift."""

BLOCK_BYTES = 16
"""Of a block of 2x2 RGBA pixels, in which `streamstyle.nets.packed` takes and gives frames."""


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that fixes the architecture; stored in the manifest beside the weights.

    widths: channels at 1/2, 1/4 and 1/8 of the frame size.
    blocks: residual blocks at 1/8.
    expansion: channels inside a block, as a multiple of `widths[2]`.
    kernel: side of the depthwise kernel in a block (odd).
    fine_blocks: residual blocks of two dense 3x3 convolutions at 1/4.
    skip: whether the stem's features reach the head, as much of each as a style asks for.
    patterns: of the canvas that a style can mix into the features at 1/2; all of them, or 0: none.
    head: channels at the full size between the head's two convolutions; 0: one convolution, no channels.
    """

    widths: tuple[int, int, int] = (12, 24, 80)
    blocks: int = 4
    expansion: int = 2
    kernel: int = 5
    fine_blocks: int = 0
    skip: bool = False
    head: int = 0
    patterns: int = 0

    @property
    def layout(self) -> CodeLayout:
        """Of the style codes that the network reads."""
        c0, c1, c2 = self.widths
        channels = {
            "down1": c1,
            "down2": c2,
            **{f"block{i}": self.expansion * c2 for i in range(self.blocks)},
            "merge": c1,
            **{f"fine{i}": c1 for i in range(self.fine_blocks)},
            "up1": c0,
            **({"skip": c0} if self.skip else {}),
            **({"pattern": c0 * self.patterns} if self.patterns else {}),
            "detail": 3,
        }
        return CodeLayout(tuple(channels), tuple(channels.values()), by_pixel=("up1",), by_colour=("detail",))

    @property
    def norms(self) -> CodeLayout:
        """Of the statistics of its normalising layers."""
        layout = self.layout
        sizes = zip(layout.names, layout.channels, strict=True)
        channels = {name: 4 * c if name in layout.by_pixel else c for name, c in sizes}
        for direct in ("skip", "pattern", "detail"):  # from photo and canvas: they normalise nothing
            channels.pop(direct, None)
        return CodeLayout(tuple(channels), tuple(channels.values()))

    @property
    def receptive_radius(self) -> int:
        """Pixels to each side that a painted pixel depends on, the statistics apart; a multiple of 8."""
        half, quarter, eighth = 2, 4, 8
        down = half + half + quarter  # the stem and the two that halve
        up = eighth + quarter + quarter + half + bool(self.head)  # bilinear, merge, up1, up2, head
        trunk = self.blocks * (self.kernel // 2) * eighth + self.fine_blocks * 2 * quarter
        return -(-(down + trunk + up) // eighth) * eighth

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self) | {"widths": list(self.widths)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> GeneratorConfig:
        """Inverse of `to_json`. Raises TypeError on unknown keys."""
        c0, c1, c2 = values["widths"]
        return cls(**{**values, "widths": (int(c0), int(c1), int(c2))})


@dataclass(frozen=True)
class CodeLayout:
    """Slices of the style code that the conditional layers read: scale first, then shift.

    by_pixel, by_colour: layers in which a number serves the four pixels of a 2x2 block, which are channels of
    the features: all channels of one pixel after the other, or the four pixels of one colour after the other.
    """

    names: tuple[str, ...]
    channels: tuple[int, ...]
    by_pixel: tuple[str, ...] = ()
    by_colour: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Numbers in one style code."""
        return 2 * sum(self.channels)

    def place(self, name: str) -> slice:
        """The place in a code of a layer's numbers."""
        i = self.names.index(name)
        start = 2 * sum(self.channels[:i])
        return slice(start, start + 2 * self.channels[i])

    def split(self, code: Tensor) -> dict[str, Affine]:
        """Map a code (B, size) to {layer: (scale, shift)}, each (B, C, 1, 1)."""
        import torch

        parts = torch.split(code, [c for c in self.channels for _ in range(2)], dim=1)
        shaped = [p[:, :, None, None] for p in parts]
        return {n: (shaped[2 * i], shaped[2 * i + 1]) for i, n in enumerate(self.names)}

    def affines(self, code: Tensor) -> dict[str, Affine]:
        """`split`, with as many channels as the features of each layer have."""
        at = self.split(code)
        for name in self.by_pixel:
            scale, shift = (part.repeat(1, 4, 1, 1) for part in at[name])
            at[name] = scale, shift
        for name in self.by_colour:
            scale, shift = (part[:, :, None].expand(-1, -1, 4, -1, -1).flatten(1, 2) for part in at[name])
            at[name] = scale, shift
        return at

    def blend(self, codes: Tensor, masks: Mapping[str, Tensor]) -> dict[str, Affine]:
        """Codes (B, 2, size) and, for some layers, a mask (B, 1 or C, h, w) in [0, 1] to {layer: (scale,
        shift)}.

        Each (B, C, h, w): where the mask is 0 those of the first code, where it is 1 of the second.
        """
        # The difference is taken of whole codes: else OpenVINO takes it anew for every position.
        first, step = self.affines(codes[:, 0]), self.affines(codes[:, 1] - codes[:, 0])
        return {
            name: (
                first[name][0] + step[name][0] * masks[name],
                first[name][1] + step[name][1] * masks[name],
            )
            for name in masks
        }

    def join(self, at: Mapping[str, Affine]) -> Tensor:
        """Inverse of `split`."""
        import torch

        return torch.cat([part for name in self.names for part in at[name]], dim=1).flatten(1)

    def neutral(self) -> Tensor:
        """The code (size,) with scale 1 and shift 0 everywhere."""
        import torch

        ones_then_zeros = [torch.cat([torch.ones(c), torch.zeros(c)]) for c in self.channels]
        return torch.cat(ones_then_zeros)
