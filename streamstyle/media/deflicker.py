"""FFmpeg's filter against flicker, for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import cv2  # noqa: F401 - first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
import numpy as np

from streamstyle.types import Picture


def deflicker(frames: Sequence[Picture]) -> list[Picture]:
    """The filter `deflicker` with its defaults (mean luma of 5 frames): RGB uint8 (H, W, 3) in and out."""
    height, width = frames[0].shape[:2]
    rate = Fraction(1, 30)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=rate)
    names = ("format=yuv444p", "deflicker", "format=rgb24", "buffersink")
    chain = [source, *(graph.add(*name.split("=")) for name in names)]
    for one, other in pairwise(chain):
        one.link_to(other)
    graph.configure()
    left: list[Picture] = []

    def drain() -> None:
        while True:
            try:
                frame = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, av.VideoFrame)
            left.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))

    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, rate
        graph.push(frame)
        drain()
    graph.push(None)
    drain()
    return left
