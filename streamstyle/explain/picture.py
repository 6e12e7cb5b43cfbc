"""Pictures for explanations: size, Lab, heat maps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import Picture

# Instance normalisation needs more than one position at 1/8 of the size.
MIN_SIDE = 2 * SIZE_MULTIPLE


def fit(picture: Picture, side: int) -> Picture:
    """Bring RGB uint8 (H, W, 3) to a longer side of at most `side` and to sides the generator takes.

    Each side is rounded to a multiple of 8, which bends the aspect by less than 8 pixels.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    rows, columns = (
        max(MIN_SIDE, round(length * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE) for length in (height, width)
    )
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, (columns, rows), interpolation=method).astype(np.uint8, copy=False)


def to_lab(picture: Picture) -> NDArray[np.float32]:
    """RGB uint8 (H, W, 3) to CIE Lab float32 (H, W, 3): L in 0..100, a and b in about -127..127."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab, np.float32)


def heat(
    values: NDArray[np.float32], size: tuple[int, int], *, low: float | None = None, high: float | None = None
) -> Picture:
    """A map (h, w) as RGB uint8 of `size` (height, width): dark is `low`, bright is `high`.

    Colours are viridis, which stays ordered in grey and for colour-blind eyes. Without bounds the map's
    own smallest value and 99.5th percentile are taken.
    """
    bottom = float(values.min()) if low is None else low
    top = float(np.percentile(values, 99.5)) if high is None else high
    scaled = ((values - bottom) / max(top - bottom, 1e-9) * 255).clip(0, 255).astype(np.uint8)
    large = cv2.resize(scaled, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS)[..., ::-1]).astype(np.uint8)
