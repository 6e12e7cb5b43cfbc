"""Pictures as encoders take them: YUV or RGB by the scaler, or 256 colours for GIF."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import cv2  # first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
import numpy as np
from av.filter.context import FilterContext
from av.video.reformatter import VideoReformatter

from streamstyle.media.colour import from_rgb
from streamstyle.types import Picture

PALETTE = "pal8"

_RENEWAL_DISTANCE = 1.5
"""Distance of a picture from its 256 colours, relative to the first one's, from which a new palette is
chosen."""

_INVISIBLE_DIFFERENCE = 2.0
"""Difference in levels that is invisible."""

_SAMPLED_SIDE = 160
"""Longer side in pixels of the picture that colours are chosen from."""

_TIME_BASE = Fraction(1, 100)


def encodable(pixel_format: str, matrix: str) -> Callable[[Picture], av.VideoFrame]:
    """A function that converts pictures (H, W, 3) to frames of a stream of this pixel format. matrix: see
    `from_rgb`."""
    if pixel_format == PALETTE:
        return PaletteConverter()
    return partial(_reformatted, VideoReformatter(), matrix, pixel_format)


def _reformatted(
    reformatter: VideoReformatter, matrix: str, pixel_format: str, picture: Picture
) -> av.VideoFrame:
    return from_rgb(reformatter, picture, matrix, pixel_format)


class PaletteConverter:
    """Frames of 256 colours, by FFmpeg's palettegen and paletteuse. The palette stays until a picture does
    not fit it, so that still parts do not flicker."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._source: FilterContext | None = None
        self._usual = 0.0
        self._count = 0

    def __call__(self, picture: Picture) -> av.VideoFrame:
        """The picture (H, W, 3) in the colours of the palette."""
        if self._graph is not None:
            frame = self._drawn(picture)
            if _distance(frame, picture) <= max(
                self._usual * _RENEWAL_DISTANCE, self._usual + _INVISIBLE_DIFFERENCE
            ):
                return frame
        self._choose(picture)
        frame = self._drawn(picture)
        self._usual = _distance(frame, picture)
        return frame

    def _drawn(self, picture: Picture) -> av.VideoFrame:
        assert self._graph is not None
        assert self._source is not None
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self._count, _TIME_BASE
        self._count += 1
        self._source.push(frame)
        return self._graph.vpull()

    def _choose(self, picture: Picture) -> None:
        """Choose the palette of this picture."""
        height, width = picture.shape[:2]
        colours = _palette(picture)
        graph = av.filter.Graph()
        graph.threads = 1  # painting has the cores
        self._source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("rgb24"), time_base=_TIME_BASE
        )
        chosen = graph.add_buffer(
            width=colours.width, height=colours.height, format=colours.format, time_base=_TIME_BASE
        )
        drawn = graph.add("paletteuse", "dither=sierra2_4a")
        self._source.link_to(drawn, 0, 0)
        chosen.link_to(drawn, 0, 1)
        drawn.link_to(graph.add("buffersink"))
        graph.configure()
        colours.pts, colours.time_base = 0, _TIME_BASE
        chosen.push(colours)
        chosen.push(None)
        self._graph, self._count = graph, 0


def _palette(picture: Picture) -> av.VideoFrame:
    height, width = picture.shape[:2]
    scale = min(1.0, _SAMPLED_SIDE / max(height, width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=size[0], height=size[1], format=av.VideoFormat("rgb24"), time_base=_TIME_BASE
    )
    graph.link_nodes(
        source, graph.add("palettegen", "stats_mode=single:reserve_transparent=0"), graph.add("buffersink")
    ).configure()
    frame = av.VideoFrame.from_ndarray(small, format="rgb24")
    frame.pts, frame.time_base = 0, _TIME_BASE
    source.push(frame)
    return graph.vpull()


def _distance(frame: av.VideoFrame, picture: Picture) -> float:
    """Mean difference in levels of every fourth pixel, each averaged with its neighbours, as eyes do with
    dithering."""
    height, width = picture.shape[:2]
    size = max(width // 4, 1), max(height // 4, 1)
    small = (
        cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (frame.to_ndarray(format="rgb24"), picture)
    )
    return float(np.mean(cv2.absdiff(*small)))
