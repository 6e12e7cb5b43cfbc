"""The discriminator of the training: which patches of a picture pass for the painting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load

from streamstyle.errors import ModelError
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.styles.bundle import ORIGINAL, Manifest, verified_bytes
from streamstyle.types import Picture

_FILE = "discriminator.safetensors"


@dataclass(frozen=True)
class Critic:
    """The patch discriminator of a bundle."""

    network: PatchDiscriminator
    rows: Mapping[str, int]
    """Row of the embedding, by name of the style."""

    def knows(self, shares: Mapping[str, float]) -> bool:
        """True if the discriminator was trained on all styles of the mix."""
        return set(shares) <= set(self.rows)

    @torch.no_grad()
    def judge(self, picture: Picture, shares: Mapping[str, float]) -> NDArray[np.float32]:
        """Logits float32 (H/8, W/8): above 0 the 38 x 38 pixels around look painted, below 0 they do not.

        picture: RGB uint8 (H, W, 3). shares: {known style: share}. The condition enters linearly
        (Miyato and Koyama 2018, eq. 3), so a mix is judged by the mixed embedding.
        """
        x = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
        rows = self.network.embedding.weight[[self.rows[name] for name in shares]]
        condition = torch.tensor([list(shares.values())]) @ rows
        return self.network.judge(x, condition)[0, 0].numpy()


def load_critic(folder: Path, manifest: Manifest) -> Critic | None:
    """Read a bundle's discriminator; None if the bundle has none.

    Raises ModelError if the file is damaged, or differs from the manifest.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        data = verified_bytes(folder, _FILE, manifest)
        network = PatchDiscriminator.restore(load(data))
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged: {error}; install it again") from error
    names = (*(style.name for style in manifest.styles), ORIGINAL)
    return Critic(network.requires_grad_(False), {name: i for i, name in enumerate(names)})
