"""The generator with the statistics of its normalisation as state in, state out.

Instance normalisation takes mean and deviation of every feature channel from the frame itself. Where these
jump, the whole picture pulses. Here each layer paints with an exponential moving average of them over the
frames, of decay d, per channel:

    used = d * past + (1 - d) * of this frame         the next frame's past is what this one used

The deviation is mixed, not the variance: it scales with the features as the mean does, so a frame whose
features are g times the past ones is answered by one factor, d + (1 - d) g, in both. With variances a
spike upwards would count more, and last longer, than one downwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from streamstyle.nets.generator import NORM_EPS, Generator, shuffled, unshuffled
from streamstyle.nets.layout import Affine


class EmaNorm:
    """Conditional normalisation with statistics averaged over the frames; implements `Norm`.

    first, second: {layer: (scale, shift)} of two codes, each (B, C, 1, 1). masks: {layer: (B, 1 or C, h, w)},
    0 takes the first, 1 the second. past: {layer: (deviation, mean)}, (B, C, 1, 1). ema_decay: (B, 1, 1, 1),
    0..1. used: the same of what every layer painted with so far.
    """

    def __init__(
        self,
        first: Mapping[str, Affine],
        second: Mapping[str, Affine],
        masks: Mapping[str, Tensor],
        past: Mapping[str, Affine],
        ema_decay: Tensor,
    ) -> None:
        self._codes = first, second
        self._masks = masks
        self._past = past
        self._ema_decay = ema_decay
        self.used: dict[str, Affine] = {}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """Normalise features (B, C, h, w), statistics in fp32.

        The statistics are folded into the two codes before these are blended. To normalise the features
        first is the same, and made OpenVINO lay all of them out anew in memory: 17 % slower.
        """
        features = x.float()
        mean = features.mean((2, 3), keepdim=True)
        # In one pass: with means of a few deviations (7 in the shipped networks) fp32 is exact enough.
        variance = (features * features).mean((2, 3), keepdim=True) - mean * mean
        deviation = (variance.clamp(min=0) + NORM_EPS).sqrt()
        past_deviation, past_mean = self._past[name]
        deviation = self._ema_decay * past_deviation + (1 - self._ema_decay) * deviation
        mean = self._ema_decay * past_mean + (1 - self._ema_decay) * mean
        self.used[name] = deviation, mean
        # Joined and split: else OpenVINO computes some of these few numbers anew for every position.
        first, second = (torch.cat(_folded(at[name], deviation, mean), 1) for at in self._codes)
        (scale, shift), (scale_step, shift_step) = first.chunk(2, 1), (second - first).chunk(2, 1)
        mask = self._masks[name]
        y = features * (scale + scale_step * mask) + (shift + shift_step * mask)
        return y.to(x.dtype)


def _folded(affine: Affine, deviation: Tensor, mean: Tensor) -> Affine:
    """Scale and shift of the features as they are that equal those of the normalised ones."""
    scale = affine[0] / deviation
    return scale, affine[1] - scale * mean


class StatefulFrameGenerator(nn.Module):
    """`FrameGenerator` with statistics averaged over the frames.

    forward: what `FrameGenerator` takes, past (B, norms.size) float32 and ema_decay (B, 1) float32 in 0..1 to
    the RGB frames (B, H, W, 3) uint8 and the statistics that they were painted with, (B, norms.size) float32.
    Both are laid out by `Generator.norms`: of each layer the deviations, then the means. levels: see there.
    """

    def __init__(self, generator: Generator, levels: torch.dtype = torch.uint8) -> None:
        super().__init__()
        self.generator = generator
        self.levels = levels

    def forward(
        self, frames: Tensor, codes: Tensor, mask: Tensor, canvas: Tensor, past: Tensor, ema_decay: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Stylize whole frames; see the class."""
        generator = self.generator
        dtype = generator.stem.weight.dtype
        share, field = mask.to(dtype) / 255, canvas.to(dtype)
        masks = generator.masks(share)
        first, second = (generator.layout.affines(codes[:, i]) for i in range(2))
        norm = EmaNorm(first, second, masks, generator.norms.split(past), ema_decay[:, :, None, None])
        blended = generator.layout.blend(codes.to(dtype), masks)
        direct = generator.with_patterns(blended, codes.to(dtype), field, share)
        phases = generator.phases(unshuffled(frames).to(dtype) / 255, norm, direct, field)
        return shuffled(phases * 255, self.levels), generator.norms.join(norm.used)
