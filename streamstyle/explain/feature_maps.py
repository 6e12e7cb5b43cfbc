"""Response of the generator's layers to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamstyle.nets.generator import Generator, own_norm, unshuffled
from streamstyle.nets.noise import canvas
from streamstyle.nets.phases import pixels_of
from streamstyle.types import Picture


@dataclass(frozen=True)
class ChannelMap:
    """One channel of a layer."""

    index: int
    strength: float
    """Standard deviation over the picture."""
    map: NDArray[np.float32]
    """float32 (h, w)."""


def feature_maps(
    generator: Generator, picture: Picture, code: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """{conditional layer: float32 (C, h, w)} after its scale, shift and ReLU.

    picture: RGB uint8 (H, W, 3), H and W multiples of 8. code: (size,). The last layer, `detail`, has no
    maps: it is the direct path from the photo.
    """
    taps: dict[str, Tensor] = {}
    codes = torch.from_numpy(code)[None]
    at = generator.layout.affines(codes)
    plain = own_norm(at)

    def norm(name: str, x: Tensor) -> Tensor:
        answer = plain(name, x)
        taps[name] = F.relu(answer)
        return answer

    height, width = picture.shape[:2]
    field = torch.from_numpy(canvas(height, width))[None]
    pixels = unshuffled(torch.from_numpy(np.ascontiguousarray(picture))[None]).float() / 255
    with torch.no_grad():
        generator.phases(pixels, norm, generator.with_patterns(at, codes, field), field)
    # The four pixels of a block are normalised one by one there.
    taps["up1"] = pixels_of(taps["up1"])
    return {name: taps[name][0].numpy() for name in generator.layout.names if name in taps}


def strongest(maps: NDArray[np.float32], count: int) -> tuple[ChannelMap, ...]:
    """The channels of (C, h, w) that vary most over the picture, strongest first.

    Deviation counts and not the mean: a channel that is high everywhere shows no place.
    """
    deviation = maps.std(axis=(1, 2))
    order = np.argsort(-deviation, kind="stable")[:count]
    return tuple(ChannelMap(int(i), float(deviation[i]), maps[i]) for i in order)
