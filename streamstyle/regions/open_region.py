"""Regions from requests: one table."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.regions.chroma import ChromaRegion
from streamstyle.regions.feather import FeatheredRegion
from streamstyle.regions.film_region import FilmRegion
from streamstyle.regions.picture_region import PictureRegion
from streamstyle.regions.rectangles import RectanglesRegion
from streamstyle.regions.spec import ChromaKey, MaskFile, People, Rectangles, RegionSpec, Segmentation
from streamstyle.types import Region, Source

FEATHER = 32.0
"""Width in pixels of the soft edge of a region whose own edge is hard."""


def open_region(
    spec: RegionSpec,
    height: int,
    width: int,
    *,
    feather: float | None,
    open_film: Callable[[str], Source],
    open_segmentation: Callable[[Segmentation, int, int], Region],
    open_people: Callable[[People], Region],
) -> Region:
    """The region for frames of `height` x `width`, with edges of `feather` pixels.

    feather: None for `FEATHER`, and for people's own edges. open_film, open_segmentation, open_people:
    openers of other rooms. Raises ConfigError, SourceError, EngineError, ModelError.
    """
    region: Region
    match spec:
        case Rectangles():
            region = RectanglesRegion(spec, height, width)
        case MaskFile(path) if spec.is_picture:
            region = PictureRegion(path, height, width)
        case MaskFile(path):
            region = FilmRegion(open_film(path), height, width)
        case ChromaKey():
            region = ChromaRegion(spec)
        case Segmentation():
            region = open_segmentation(spec, height, width)
        case People():
            region = open_people(spec)
            feather = feather or 0.0
    return FeatheredRegion(region, FEATHER if feather is None else feather)
