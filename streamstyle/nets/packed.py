"""The network as CPUs like it: a frame comes and goes as blocks of 2x2 RGBA pixels, sixteen bytes each.

To a compiler, unshuffling a frame is a transposition of single bytes, which took a fifth of the network's
time on a CPU and computes nothing. A block as sixteen channels that lie side by side is what convolutions
read there anyway, and packing moves eight bytes at a time (`streamstyle.engines.packing`). The levels 0..255
go in as they are, exact in bfloat16; the weights of the first and the last convolution are scaled instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.nets.ema_norm import EmaNorm
from streamstyle.nets.generator import Generator, Norm, own_norm, patterned
from streamstyle.nets.layout import BLOCK_BYTES, Affine


class PackedFrameGenerator(nn.Module):
    """`FrameGenerator` on packed frames.

    forward: blocks, codes and mask as `FrameGenerator` takes them, the woven channels of the canvas, and
    patterns, to blocks (B, h, w, 16) uint8, rounded to nearest, h = H/2 and w = W/2. The blocks that go in
    are (B, (h+2) * (w+2), 16) uint8: row after row, with one more on every side that repeats the edge. A
    block is its upper two pixels, then its lower two; the fourth byte of a pixel is not read, and 0 where it
    is written. patterns: of one frame as its codes mix them, (4, h * w, c0): what the first adds always and
    through the gate, and the second; left out where the network has none.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        at = _bytes_of_phases()
        head = generator.head if generator.config.head else None
        with torch.no_grad():
            self.stem = _frozen(_reading_bytes(generator.stem.weight, at))
            up, bias = (255 * part for part in (head.out if head else generator.up2).folded())
            up_weight, up_bias = up.new_zeros(BLOCK_BYTES, *up.shape[1:]), bias.new_zeros(BLOCK_BYTES)
            up_weight[at], up_bias[at] = up, bias
            self.up, self.up_bias = _frozen(up_weight), _frozen(up_bias)
            if head:
                photo, bias = head.photo.folded()
                self.photo, self.photo_bias = _frozen(_reading_bytes(photo, at)), _frozen(bias)
            if generator.config.patterns:
                # As many times as there are features: one channel alone takes OpenVINO longer than eight.
                gate, c0 = generator.gate, generator.config.widths[0]
                assert gate.bias is not None
                self.gate = _frozen(gate.weight.repeat_interleave(c0, 0))
                self.gate_bias = _frozen(gate.bias.repeat_interleave(c0))

    def forward(
        self, blocks: Tensor, codes: Tensor, mask: Tensor, woven: Tensor, patterns: Tensor | None = None
    ) -> Tensor:
        """Stylize whole frames; see the class."""
        share = mask.float() / 255
        at = self.generator.layout.blend(codes, self.generator.masks(share))
        direct = {**at, **_mixed(patterns, woven, share), "bytes": self._details(codes, mask)}
        return self._paint(blocks, woven, own_norm(at), direct)

    def _paint(self, blocks: Tensor, woven: Tensor, norm: Norm, direct: Mapping[str, Affine]) -> Tensor:
        """direct: scale and shift of `skip`, gain and offset of every byte as `bytes`, patterns as
        `pattern`."""
        generator, (h, w) = self.generator, (4 * side for side in woven.shape[2:])
        # As a list of blocks OpenVINO takes them for what convolutions read; a picture it would lay out anew.
        framed = blocks.reshape(-1, h + 2, w + 2, BLOCK_BYTES)
        levels = framed.float().permute(0, 3, 1, 2)
        half = F.relu(F.conv2d(levels, self.stem, generator.stem.bias))
        y = generator.features(half, norm, direct, woven)
        if generator.config.patterns:
            y = patterned(y, direct["pattern"], self.gate, self.gate_bias)
        if generator.config.head:
            y = F.relu(generator.head.up.phases(y) + F.conv2d(levels, self.photo, self.photo_bias))
        y = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="replicate"), self.up, self.up_bias)
        gain, offset = direct["bytes"]
        styled = y.permute(0, 2, 3, 1) + framed[:, 1:-1, 1:-1].float() * gain + offset
        return styled.round().clamp(0, 255).to(torch.uint8)

    def _details(self, codes: Tensor, mask: Tensor) -> Affine:
        """`_detail` of two codes (B, 2, size), mixed by a mask (B, 1, h, w) uint8: (B, h, w, 16) each."""
        share = mask.permute(0, 2, 3, 1).float() / 255
        pairs = zip(self._detail(codes[:, 0]), self._detail(codes[:, 1] - codes[:, 0]), strict=True)
        gain, offset = (first + step * share for first, step in pairs)
        return gain, offset

    def _detail(self, code: Tensor) -> Affine:
        """Gain and offset of the direct path for every byte of a block: (B, 1, 1, 16) each."""
        gain, offset = self.generator.layout.split(code)["detail"]
        of_pixel = [F.pad(part.flatten(1), (0, 1)) for part in (gain, 255 * offset)]
        gain, offset = (part.repeat(1, 4)[:, None, None] for part in of_pixel)
        return gain, offset


class PlainPackedFrameGenerator(PackedFrameGenerator):
    """The same in one style throughout: a mask costs a tenth of the time even where it says nothing.

    forward: blocks, code (B, size), woven channels, and patterns for this code, (2, h * w, c0).
    """

    def forward(  # type: ignore[override]
        self, blocks: Tensor, code: Tensor, woven: Tensor, patterns: Tensor | None = None
    ) -> Tensor:
        """Stylize whole frames; see the class."""
        at = self.generator.layout.affines(code)
        direct = {**at, **_mixed(patterns, woven), "bytes": self._detail(code)}
        return self._paint(blocks, woven, own_norm(at), direct)


class StatefulPackedFrameGenerator(PackedFrameGenerator):
    """`StatefulFrameGenerator` on packed frames: past and ema_decay as that takes them, before the patterns,
    and its statistics."""

    def forward(  # type: ignore[override]
        self,
        blocks: Tensor,
        codes: Tensor,
        mask: Tensor,
        woven: Tensor,
        past: Tensor,
        ema_decay: Tensor,
        patterns: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Stylize whole frames; see the class."""
        generator = self.generator
        first, second = (generator.layout.affines(codes[:, i]) for i in range(2))
        share = mask.float() / 255
        masks = generator.masks(share)
        norm = EmaNorm(first, second, masks, generator.norms.split(past), ema_decay[:, :, None, None])
        at = generator.layout.blend(codes, masks)
        direct = {**at, **_mixed(patterns, woven, share), "bytes": self._details(codes, mask)}
        return self._paint(blocks, woven, norm, direct), generator.norms.join(norm.used)


def _mixed(patterns: Tensor | None, woven: Tensor, share: Tensor | None = None) -> dict[str, Affine]:
    """Patterns as features (1, c0, h, w), always and through the gate, mixed by the second code's share."""
    if patterns is None:
        return {}
    always, gated, *second = patterns
    if share is not None:  # as lists of positions, which need not be laid out anew
        by_position = share.reshape(-1, 1)
        always, gated = (a + (b - a) * by_position for a, b in zip((always, gated), second, strict=True))
    h, w = (4 * side for side in woven.shape[2:])
    always, gated = (part.reshape(1, h, w, -1).permute(0, 3, 1, 2) for part in (always, gated))
    return {"pattern": (always, gated)}


def _frozen(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)


def _reading_bytes(weight: Tensor, at: Tensor) -> Tensor:
    """Of a convolution of unshuffled frames (C, 12, k, k), the one of blocks: (C, 16, k, k)."""
    of_bytes = weight.new_zeros(len(weight), BLOCK_BYTES, *weight.shape[2:])
    of_bytes[:, at] = weight / 255
    return of_bytes


def _bytes_of_phases() -> Tensor:
    """(12,): the byte of a block for each channel of an unshuffled frame, which go by colour, row, column."""
    colour, row, column = torch.meshgrid(torch.arange(3), torch.arange(2), torch.arange(2), indexing="ij")
    return (8 * row + 4 * column + colour).flatten()
