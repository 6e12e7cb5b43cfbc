"""What the discriminator of the training says: which patches pass for the painting?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional as F

from streamstyle.errors import ModelError
from streamstyle.styles.bundle import ORIGINAL, Manifest, verified_bytes
from streamstyle.types import Picture

_FILE = "discriminator.safetensors"


@dataclass(frozen=True)
class Critic:
    """The patch discriminator with its spectral norms divided out: plain convolutions.

    weights: fp32 tensors by name. rows: {style name: row of the embedding}.
    """

    weights: Mapping[str, Tensor]
    rows: Mapping[str, int]

    def knows(self, shares: Mapping[str, float]) -> bool:
        """Were all styles of the mix there when the discriminator was trained?"""
        return set(shares) <= set(self.rows)

    @torch.no_grad()
    def judge(self, picture: Picture, shares: Mapping[str, float]) -> NDArray[np.float32]:
        """Logits float32 (H/8, W/8): above 0 the 38 x 38 pixels around look painted, below 0 they do not.

        picture: RGB uint8 (H, W, 3). shares: {known style: share}. The condition enters linearly
        (Miyato and Koyama 2018, eq. 3), so a mix is judged by the mixed embedding.
        """
        w = self.weights
        y = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
        for i in range(sum(name.startswith("convs.") and name.endswith(".weight") for name in w)):
            y = F.conv2d(y, w[f"convs.{i}.weight"], w[f"convs.{i}.bias"], stride=2, padding=1)
            y = F.leaky_relu(y, 0.2)
        y = F.leaky_relu(F.conv2d(y, w["mix.weight"], w["mix.bias"], padding=1), 0.2)
        embedding = sum(share * w["embedding.weight"][self.rows[name]] for name, share in shares.items())
        assert isinstance(embedding, Tensor)
        logits = F.conv2d(y, w["score.weight"], w["score.bias"])[:, 0]
        return (logits + torch.einsum("bchw,c->bhw", y, embedding))[0].numpy()


def load_critic(folder: Path, manifest: Manifest) -> Critic | None:
    """Read a bundle's discriminator; None where the bundle ships none.

    Raises ModelError where the file is damaged or not the manifest's.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        data = verified_bytes(folder, _FILE, manifest)
        weights = {name: tensor.float() for name, tensor in load(data).items()}
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged: {error}; install it again") from error
    names = (*(style.name for style in manifest.styles), ORIGINAL)
    return Critic(weights, {name: i for i, name in enumerate(names)})
