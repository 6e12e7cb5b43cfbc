"""Contact sheets: the only honest loss curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.errors import SinkError
from streamstyle.nets.generator import FrameGenerator, Generator


def contact_sheet(
    generator: Generator, codes: Tensor, photos: Sequence[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """A row per photo: the photo, then one picture per code (S, size). RGB uint8.

    Photos: RGB uint8, all of one size, sides multiples of 8.
    """
    frame_generator = FrameGenerator(generator)
    rows = []
    with torch.no_grad():
        for photo in photos:
            frames = torch.from_numpy(np.ascontiguousarray(photo))[None]
            styled = [frame_generator(frames, code[None])[0].numpy() for code in codes]
            rows.append(np.hstack([photo, *styled]))
    return np.vstack(rows)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write RGB uint8 (H, W, 3) in the format of the suffix. Raises SinkError."""
    ok, data = cv2.imencode(path.suffix, picture[..., ::-1])
    if not ok:
        raise SinkError(f"cannot encode {path.name}")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from error
