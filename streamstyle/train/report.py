"""Contact sheets: the only honest loss curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.errors import SinkError
from streamstyle.nets.generator import Generator, paint


def contact_sheet(
    generator: Generator, codes: Tensor, photos: Sequence[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """A row per photo: the photo, then one picture per code (S, size). RGB uint8.

    Photos: RGB uint8, all of one size, sides multiples of 8.
    """
    frames = np.stack(photos)
    columns = [np.vstack(list(frames)), *(np.vstack(list(paint(generator, frames, code))) for code in codes)]
    return np.hstack(columns)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write RGB uint8 (H, W, 3) in the format of the suffix. Raises SinkError."""
    ok, data = cv2.imencode(path.suffix, picture[..., ::-1])
    if not ok:
        raise SinkError(f"cannot encode {path.name}")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from error
