"""How each frame of a run is painted: codes, the region's mask, the hold on the past."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamstyle.config import RunConfig
from streamstyle.engines.segmentation import OnnxRegion
from streamstyle.errors import ConfigError
from streamstyle.media.open import open_source
from streamstyle.regions.open import open_region
from streamstyle.regions.spec import parse_region
from streamstyle.styles.bundle import ORIGINAL
from streamstyle.temporal.steady import SceneHold
from streamstyle.types import Engine, Frame, Look, Region


def region_opener(config: RunConfig) -> Callable[[int, int], Region] | None:
    """What opens the region for a height and width; None where none is asked for.

    Raises ConfigError at once for a region that cannot be read; the opener raises SourceError, EngineError,
    and ConfigError for a region that does not fit the frame.
    """
    if config.region is None:
        if config.region_style != ORIGINAL:
            raise ConfigError("a region style needs a region: say where with --region")
        return None
    spec = parse_region(config.region)

    def open_for(height: int, width: int) -> Region:
        return open_region(
            spec,
            height,
            width,
            feather=config.region_feather,
            open_film=open_source,
            open_segmentation=lambda s, h, w: OnnxRegion(s.path, s.category, s.scale, h, w),
        )

    return open_for


def looks(
    codes: NDArray[np.float32],
    region: Region | None,
    hold: Callable[[Frame], float] | None = None,
    name: str = "",
) -> Callable[[Frame], Look]:
    """How each frame is painted; as long as the region's mask and the hold stay, so does the look."""
    still = Look(codes, name=name)

    def of(frame: Frame) -> Look:
        nonlocal still
        mask = None if region is None else region.mask(frame)
        share = 0.0 if hold is None else hold(frame)
        if mask is not still.mask or share != still.hold:
            still = Look(codes, mask, share, name)
        return still

    return of


def hold_of(config: RunConfig, engine: Engine, *, live: bool) -> Callable[[Frame], float] | None:
    """The share of the past that each frame's statistics hold; None where none is asked for or kept.

    live: the engine may not be open yet; it ignores a hold that it cannot keep.
    """
    steadied = config.consistency > 0 and (live or engine.spec.holds)
    return SceneHold(config.consistency).of if steadied else None
