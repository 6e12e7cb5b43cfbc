"""Composition of transparent pictures over a colour."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2  # first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

BLACK = "000000"


@cache
def has_alpha(pixel_format: str) -> bool:
    """True if samples of this format may be transparent. A palette may hold transparent colours."""
    components = av.VideoFormat(pixel_format, 16, 16).components
    return pixel_format == "pal8" or any(component.is_alpha for component in components)


def rgb_of(background: str) -> tuple[int, int, int]:
    """The channels of the colour RRGGBB."""
    red, green, blue = bytes.fromhex(background)
    return red, green, blue


def flattened(pixels: NDArray[np.uint8], background: tuple[int, int, int]) -> tuple[Picture, bool]:
    """Lay a picture (H, W, 4), RGB with straight alpha, over a colour; also returns True if any of it was
    transparent."""
    colours: Any = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)
    alpha: Any = cv2.extractChannel(pixels, 3)
    if int(alpha.min()) == 255:
        return colours, False
    share = cv2.merge([alpha] * 3)
    seen = cv2.multiply(colours, share, scale=1 / 255)
    if any(background):
        behind = np.full_like(colours, background)
        seen = cv2.add(seen, cv2.multiply(behind, cv2.bitwise_not(share), scale=1 / 255))
    return seen, True
