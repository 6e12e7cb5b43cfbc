"""Regions from requests: one table."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.regions.chroma import ChromaRegion
from streamstyle.regions.feather import FeatheredRegion
from streamstyle.regions.film_region import FilmRegion
from streamstyle.regions.picture_region import PictureRegion
from streamstyle.regions.rectangles import RectanglesRegion
from streamstyle.regions.spec import ChromaKey, MaskFile, Rectangles, RegionSpec, Segmentation
from streamstyle.types import Region, Source


def open_region(
    spec: RegionSpec,
    height: int,
    width: int,
    *,
    feather: float,
    open_film: Callable[[str], Source],
    open_segmentation: Callable[[Segmentation, int, int], Region],
) -> Region:
    """The region for frames of `height` x `width`, with edges of `feather` pixels.

    open_film, open_segmentation: openers of other rooms. Raises ConfigError, SourceError, EngineError.
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
    return FeatheredRegion(region, feather)
