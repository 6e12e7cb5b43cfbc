"""The conditional generator: one network for every style, a style code as an input.

A style code is a flat float vector; `CodeLayout` says which layer reads which numbers. Switching or
mixing styles therefore changes an input of the compiled network and never the network.

Shape of the network (`h`, `w` multiples of 8, `c0, c1, c2` from `GeneratorConfig.widths`):

    RGB -> pixel unshuffle 2 -> conv c0 (1/2) -> conv c1 (1/4) -> conv c2 (1/8), + canvas -> blocks
        -> 1x1 c1, bilinear x2, + the features at 1/4 -> conv c1 (1/4) -> fine blocks -> up c0 (1/2)
        -> + scale * the stem's features (`skip`), + patterns
        -> up 3, or up `head`, + conv of RGB -> conv 3 (1/1) -> + gain * RGB

The canvas is a field of noise and cells at 1/8 of the size, and of patterns at 1/2 (`canvas`). A wall
or a sky gives the network nothing to paint strokes, facets or dots from; the canvas does, and because it
changes from frame to frame only as the camera moves, they stay where they are. A style says how much of
each pattern every feature gets, everywhere and where the network opens a gate. The canvas also keeps the
normalisation from amplifying the sensor noise of a uniform picture.

Sources: conditional instance normalisation, Dumoulin et al. 2017, eq. 5; depthwise block after
ConvNeXt (Liu et al. 2022, fig. 4); bilinear resize before convolution against checkerboards, Odena
et al. 2016, folded here into a convolution at the low resolution (see `UpsampleConv`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.errors import ModelError
from streamstyle.nets.layout import Affine, GeneratorConfig
from streamstyle.nets.noise import PATTERN_SCALE, WOVEN_CHANNELS, canvas
from streamstyle.nets.phases import PhaseConv, UpsampleConv, pixels_of

NORM_EPS = 1e-3

Norm: TypeAlias = Callable[[str, Tensor], Tensor]
"""Conditional normalisation of a layer, by its name, and its features (B, C, h, w)."""


def own_norm(at: Mapping[str, Affine]) -> Norm:
    """Conditional instance normalisation: `scale * (x - mean) / std + shift`, statistics in fp32."""

    def norm(name: str, x: Tensor) -> Tensor:
        scale, shift = at[name]
        # The scale comes first: features that OpenVINO may change in their place it copies before.
        return scale * F.instance_norm(x.float(), eps=NORM_EPS).to(x.dtype) + shift

    return norm


def _conv(c_in: int, c_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that repeats the edge pixels: zeros would draw a frame around flat pictures."""
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, padding_mode="replicate")


class Block(nn.Module):
    """Residual block: depthwise k x k, 1x1 expand, conditional norm, ReLU, 1x1 project."""

    def __init__(self, channels: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = _conv(channels, channels, kernel, groups=channels)
        self.expand = nn.Conv2d(channels, expansion * channels, 1)
        self.project = nn.Conv2d(expansion * channels, channels, 1)

    def forward(self, x: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        y = F.relu(norm(self.expand(self.depthwise(x))))
        projected: Tensor = self.project(y)
        return x + projected


class FineBlock(nn.Module):
    """Residual block: 3x3, conditional norm, ReLU, 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv(channels, channels, 3)
        self.project = _conv(channels, channels, 3)

    def forward(self, x: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        projected: Tensor = self.project(F.relu(norm(self.conv(x))))
        return x + projected


class Head(nn.Module):
    """Features at 1/2 and the photo to a picture at the full size, with a ReLU there, which draws edges
    sharper than interpolated features are.

    forward: features (B, C, h, w) and pixel-unshuffled photo (B, 12, h, w) to (B, 12, h, w).
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.up = UpsampleConv(in_channels, channels)
        self.photo = PhaseConv(3, channels)
        self.out = PhaseConv(channels, 3)
        with torch.no_grad():  # at first as if there were no ReLU: a colour is the difference of two channels
            for part in (self.photo.weight, self.photo.bias, self.out.weight, self.out.bias):
                part.zero_()
            for sign, first in ((1, 0), (-1, 3)):
                for colour in range(3):
                    self.out.weight[colour, first + colour, 1, 1] += sign
            self.show_(self.up.weight[:3], self.up.bias[:3])

    @torch.no_grad()
    def show_(self, weight: Tensor, bias: Tensor) -> None:
        """Paint at first as the head of one convolution with this weight (3, c, 3, 3) and bias (3,) did;
        c may be less than there are features."""
        for sign, first in ((1, 0), (-1, 3)):
            rows = slice(first, first + 3)
            self.up.weight[rows, weight.shape[1] :] = 0
            self.up.weight[rows, : weight.shape[1]] = sign * weight
            self.up.bias[rows] = sign * bias

    def phases(self, x: Tensor, u: Tensor) -> Tensor:
        """See the class."""
        return self.out.phases(F.relu(self.up.phases(x) + self.photo.phases(u)))


def patterned(y: Tensor, mixed: Affine, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Features (B, c0, h, w) and patterns, `mixed` for them: the first always, the second through the gate.
    weight, bias: of the convolution that opens it, to 1 or c0 channels."""
    always, gated = mixed
    return y + (always + torch.sigmoid(F.conv2d(y, weight, bias)) * gated)


class Generator(nn.Module):
    """Photo, style code and canvas in, painting out.

    forward: RGB (B, 3, H, W) float in [0, 1], H and W multiples of 8, code (B, layout.size) and canvas
    (B, CANVAS_CHANNELS, H/8, W/8) to (B, 3, H, W), in [0, 1] but for small overshoots (trained against,
    clipped by `FrameGenerator`).
    """

    spread: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        c0, c1, c2 = config.widths
        self.config = config
        self.stem = _conv(12, c0, 3)
        self.down1 = _conv(c0, c1, 3, stride=2)
        self.down2 = _conv(c1, c2, 3, stride=2)
        self.weave = nn.Conv2d(WOVEN_CHANNELS, c2, 1, bias=False)
        with torch.no_grad():
            self.weave.weight.mul_(0.1)  # of the size of what the photo gives there at first
        self.blocks = nn.ModuleList(Block(c2, config.expansion, config.kernel) for _ in range(config.blocks))
        self.neck = nn.Conv2d(c2, c1, 1)
        self.merge = _conv(c1, c1, 3)
        self.fine = nn.ModuleList(FineBlock(c1) for _ in range(config.fine_blocks))
        self.up1 = UpsampleConv(c1, c0, by_pixel=True)
        if config.patterns:
            self.gate = nn.Conv2d(c0, 1, 1)
        if config.head:
            self.head = Head(c0, config.head)
        else:
            self.up2 = UpsampleConv(c0, 3)
        # Gives masks the channels that `pixels_of` takes, as a convolution: side by side in memory.
        spread = torch.eye(4).reshape(4, 1, 2, 2).repeat_interleave(c0, 0)
        self.register_buffer("spread", spread, persistent=False)
        self.layout = config.layout
        self.norms = config.norms

    def forward(self, x: Tensor, code: Tensor, canvas: Tensor) -> Tensor:
        """Stylize; see the class."""
        at = self.layout.affines(code)
        direct = self.with_patterns(at, code, canvas)
        return F.pixel_shuffle(self.phases(F.pixel_unshuffle(x, 2), own_norm(at), direct, canvas), 2)

    def phases(self, u: Tensor, norm: Norm, direct: Mapping[str, Affine], canvas: Tensor) -> Tensor:
        """The same on pixel-unshuffled pictures, (B, 12, H/2, W/2) in and out.

        norm: of all layers in `norms`, called once for each. direct: scale and shift of `skip` and `detail`,
        (B, C, 1, 1) or for every position, and what `with_patterns` adds.
        """
        y = self.features(F.relu(self.stem(u)), norm, direct, canvas)
        if self.config.patterns:
            y = patterned(y, direct["pattern"], self.gate.weight, self.gate.bias)
        gain, offset = direct["detail"]
        painted = self.head.phases(y, u) if self.config.head else self.up2.phases(y)
        return painted + (u * gain + offset)

    def with_patterns(
        self, direct: Mapping[str, Affine], code: Tensor, canvas: Tensor, mask: Tensor | None = None
    ) -> Mapping[str, Affine]:
        """`direct` and, as `pattern`, what patterns of the canvas add to the features (B, c0, H/2, W/2):
        everywhere, and where the gate is open.

        code: (B, size), or two (B, 2, size) with a mask (B, 1, H/2, W/2) that takes the second where it is 1.
        """
        if not self.config.patterns:
            return direct
        patterns = F.pixel_shuffle(canvas[:, WOVEN_CHANNELS:], PATTERN_SCALE)
        if mask is None:
            return {**direct, "pattern": self._mixed(code, patterns)}
        first, second = (self._mixed(code[:, i], patterns) for i in range(2))
        always, gated = (a + (b - a) * mask for a, b in zip(first, second, strict=True))
        return {**direct, "pattern": (always, gated)}

    def _mixed(self, code: Tensor, patterns: Tensor) -> Affine:
        """Patterns (B, K, h, w) as a code (B, size) mixes them: (B, c0, h, w), always and gated."""
        parts = self.layout.split(code)["pattern"]
        shares = [part.reshape(len(code), -1, self.config.patterns) for part in parts]
        mixed = torch.cat(shares, dim=1).to(patterns.dtype) @ patterns.flatten(2)
        always, gated = mixed.reshape(*mixed.shape[:2], *patterns.shape[2:]).chunk(2, dim=1)
        return always, gated

    def features(self, half: Tensor, norm: Norm, direct: Mapping[str, Affine], canvas: Tensor) -> Tensor:
        """From the stem's features (B, c0, H/2, W/2) to those that the head reads, of the same shape, but for
        patterns."""
        quarter = F.relu(norm("down1", self.down1(half)))
        y = pixels_of(self.trunk(quarter, norm, canvas))
        if not self.config.skip:
            return y
        scale, shift = direct["skip"]
        return y + (half * scale + shift)

    def trunk(self, quarter: Tensor, norm: Norm, canvas: Tensor) -> Tensor:
        """The layers between features (B, c1, H/4, W/4) and those of half the size, before these are shuffled
        to their places: (B, 4 * c0, H/4, W/4). Each of the four is normalised by itself: on neighbouring
        pixels their statistics are the same, and a compiler need not gather them.
        """
        y = F.relu(norm("down2", self.down2(quarter) + self.weave(canvas[:, :WOVEN_CHANNELS])))
        for i, block in enumerate(self.blocks):
            y = block(y, partial(norm, f"block{i}"))
        y = F.interpolate(self.neck(y), scale_factor=2.0, mode="bilinear", align_corners=False)
        y = F.relu(norm("merge", self.merge(y + quarter)))
        for i, fine in enumerate(self.fine):
            y = fine(y, partial(norm, f"fine{i}"))
        return F.relu(norm("up1", self.up1.phases(y)))

    def masks(self, mask: Tensor) -> dict[str, Tensor]:
        """A mask (B, 1, H/2, W/2) averaged down to the size of each layer but `pattern`: (B, 1 or C, h,
        w)."""
        quarter = F.avg_pool2d(mask, 2)
        eighth = F.avg_pool2d(quarter, 2)
        phases = F.conv2d(mask, self.spread, stride=2)
        sizes = {"down1": quarter, "merge": quarter, "up1": phases, "skip": mask, "detail": mask}
        sizes |= {f"fine{i}": quarter for i in range(self.config.fine_blocks)}
        return {name: sizes.get(name, eighth) for name in self.layout.names if name != "pattern"}


class FrameGenerator(nn.Module):
    """The generator as engines run it: uint8 frames in and out, the conversion inside the graph.

    forward: RGB (B, H, W, 3) uint8, H and W multiples of 8, codes (B, 2, size) float32, mask
    (B, 1, H/2, W/2) uint8 (0: the first code, 255: the second) and canvas (B, CANVAS_CHANNELS, H/8, W/8)
    float32 to RGB (B, H, W, 3) uint8, rounded to nearest. levels: another type for these whole numbers, where
    a compiler cannot give bytes.
    """

    def __init__(self, generator: Generator, levels: torch.dtype = torch.uint8) -> None:
        super().__init__()
        self.generator = generator
        self.levels = levels

    def forward(self, frames: Tensor, codes: Tensor, mask: Tensor, canvas: Tensor) -> Tensor:
        """Stylize whole frames; see the class."""
        dtype = self.generator.stem.weight.dtype
        u = unshuffled(frames)
        generator, share, field = self.generator, mask.to(dtype) / 255, canvas.to(dtype)
        at = generator.layout.blend(codes.to(dtype), generator.masks(share))
        direct = generator.with_patterns(at, codes.to(dtype), field, share)
        phases = generator.phases(u.to(dtype) / 255, own_norm(at), direct, field)
        return shuffled(phases * 255, self.levels)


def unshuffled(frames: Tensor) -> Tensor:
    """RGB (B, H, W, 3) of any type to (B, 12, H/2, W/2), as `F.pixel_unshuffle` orders channels.

    As uint8: a quarter of the memory traffic of doing it in float.
    """
    b, height, width, _ = frames.shape
    h, w = height // 2, width // 2
    return frames.reshape(b, h, 2, w, 2, 3).permute(0, 5, 2, 4, 1, 3).reshape(b, 12, h, w)


def shuffled(phases: Tensor, levels: torch.dtype = torch.uint8) -> Tensor:
    """Back again: (B, 12, h, w) float in 0..255 to frames (B, 2h, 2w, 3) of type `levels`, rounded."""
    b, _, h, w = phases.shape
    styled = phases.float().round().clamp(0, 255).to(levels)
    return styled.reshape(b, 3, 2, 2, h, w).permute(0, 4, 2, 5, 3, 1).reshape(b, 2 * h, 2 * w, 3)


def restore_generator(
    architecture: Mapping[str, Any], weights: Mapping[str, NDArray[np.generic]]
) -> Generator:
    """The frozen fp32 network of a bundle. Raises ModelError where architecture and weights disagree."""
    try:
        generator = Generator(GeneratorConfig.from_json(architecture))
        tensors = {k: torch.from_numpy(np.asarray(v, np.float32)) for k, v in weights.items()}
        generator.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"the bundle's weights do not fit its architecture: {error}") from error
    return generator.requires_grad_(False).eval()


@torch.no_grad()
def paint(
    generator: Generator, pictures: NDArray[np.uint8], code: Tensor, *, seed: int = 0
) -> NDArray[np.uint8]:
    """Stylize RGB uint8 pictures (B, H, W, 3), H and W multiples of 8, with one code (size,)."""
    frames = torch.from_numpy(np.ascontiguousarray(pictures)).to(code.device)
    b, height, width, _ = frames.shape
    field = torch.from_numpy(canvas(height, width, seed)).to(code.device)
    mask = frames.new_zeros(b, 1, height // 2, width // 2)
    codes = code.expand(b, 2, -1)
    styled: Tensor = FrameGenerator(generator)(frames, codes, mask, field.expand(b, -1, -1, -1))
    return styled.cpu().numpy()
