"""The conditional patch discriminator: which patches of a picture look like the asked painting?

PatchGAN (Isola et al. 2017, section 3.2.2) with a projection head for the condition (Miyato and
Koyama 2018, eq. 3) and spectral normalisation (Miyato et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations

from streamstyle.errors import ModelError


class PatchDiscriminator(nn.Module):
    """forward: RGB (B, 3, H, W) in [0, 1] and style indices (B,) to logits (B, 1, H/8, W/8).

    Above 0 leans to a real painting of that style. One logit sees a patch of 38 x 38 pixels.
    """

    def __init__(self, styles: int, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(widths)
        )
        self.mix = spectral_norm(nn.Conv2d(4 * width, 4 * width, 3, padding=1))
        self.score = spectral_norm(nn.Conv2d(4 * width, 1, 1))
        self.embedding = nn.Embedding(styles, 4 * width)
        nn.init.normal_(self.embedding.weight, std=0.05)

    @classmethod
    def restore(cls, weights: Mapping[str, Tensor]) -> PatchDiscriminator:
        """From a bundle's plain weights, whose spectral norms are divided out: plain convolutions.

        Raises ModelError where tensors are missing or do not fit.
        """
        try:
            styles, width = weights["embedding.weight"].shape
            discriminator = cls(styles, width // 4)
            for module in [*discriminator.convs, discriminator.mix, discriminator.score]:
                remove_parametrizations(module, "weight")
            discriminator.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        except (KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"the bundle's discriminator does not fit: {error}") from error
        return discriminator

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Patch logits; see the class."""
        return self.judge(x, self.embedding(style))

    def judge(self, x: Tensor, condition: Tensor) -> Tensor:
        """Patch logits (B, 1, H/8, W/8) for rows of the embedding, or mixes of them (B, C)."""
        y = x * 2 - 1
        for conv in (*self.convs, self.mix):
            y = F.leaky_relu(_convolve(conv, y), 0.2)
        projection = torch.einsum("bchw,bc->bhw", y, condition)[:, None]
        return _convolve(self.score, y) + projection


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a spectrally normalised convolution; its power iteration stays in fp32 under autocast."""
    assert isinstance(conv, nn.Conv2d)
    with torch.autocast(x.device.type, enabled=False):
        weight = conv.weight
    return F.conv2d(x, weight, conv.bias, conv.stride, conv.padding)
