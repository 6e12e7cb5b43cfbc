"""What the layers of the generator answer to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamstyle.nets.generator import NORM_EPS, Generator, paint
from streamstyle.types import Picture


@dataclass(frozen=True)
class Channel:
    """One channel of a layer. strength: standard deviation over the picture; map: float32 (h, w)."""

    index: int
    strength: float
    map: NDArray[np.float32]


def feature_maps(
    generator: Generator, picture: Picture, code: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """{conditional layer: float32 (C, h, w)} after its scale, shift and ReLU.

    picture: RGB uint8 (H, W, 3), H and W multiples of 8. code: (size,). The last layer, `detail`, has no
    maps: it is the direct path from the photo.
    """
    taps: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_pre_hook(lambda _module, inputs: taps.update({name: inputs[0]}))

    # A layer's answer is what the next module is given.
    blocks = list(generator.blocks)
    hooks = [
        keep("down1", generator.down2),
        keep("down2", blocks[0]),
        *(keep(f"block{i}", block.get_submodule("project")) for i, block in enumerate(blocks)),
        keep("merge", generator.up1),
        generator.up1.register_forward_hook(lambda _module, _inputs, output: taps.update(up1=output)),
    ]
    try:
        vector = torch.from_numpy(code)
        paint(generator, picture[None], vector)
    finally:
        for hook in hooks:
            hook.remove()
    # No module follows up1: its scale and shift are still to be applied.
    scale, shift = generator.layout.split(vector[None])["up1"]
    taps["up1"] = F.relu(F.instance_norm(taps["up1"], eps=NORM_EPS) * scale + shift)
    return {name: taps[name][0].numpy() for name in generator.layout.names if name in taps}


def strongest(maps: NDArray[np.float32], count: int) -> tuple[Channel, ...]:
    """The channels of (C, h, w) that vary most over the picture, strongest first.

    A channel that is high everywhere says nothing of where, so deviation counts and the mean does not.
    """
    deviation = maps.std(axis=(1, 2))
    order = np.argsort(-deviation, kind="stable")[:count]
    return tuple(Channel(int(i), float(deviation[i]), maps[i]) for i in order)
