"""A film in another size and length, so that one clip serves every measurement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from streamstyle.media.open import open_sink, open_source


def sized_film(source: str, out: Path, size: tuple[int, int], frames: int) -> Path:
    """Write the first `frames` frames of a source at (width, height), repeated if it is shorter.

    The sound is the source's, not repeated. Raises SourceError, SinkError.
    """
    width, height = size
    with open_source(source) as opened:
        info = replace(opened.info, width=width, height=height)
    sink = open_sink(str(out), info)
    written, step = 0, round(1 / (info.time_base * (info.rate or 30)))
    complete = False
    try:
        while written < frames:
            with open_source(source) as opened:
                for frame in opened:
                    picture = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
                    pixels = np.asarray(picture, np.uint8)
                    sink.write(replace(frame, pixels=pixels, pts=written * step, duration=step))
                    written += 1
                    if written == frames:
                        break
        complete = True
    finally:
        sink.close(complete=complete)
    return out
