"""Conditions of painting besides the codes: a region, and the decay of the statistics."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.config import RunConfig
from streamstyle.errors import ConfigError
from streamstyle.styles.bundle import ORIGINAL
from streamstyle.temporal.scene_smoothing import SceneSmoothing
from streamstyle.types import Engine, Frame, Region


def region_opener(config: RunConfig) -> Callable[[int, int], Region] | None:
    """A function that opens the region for a height and width; None where none is asked for.

    Raises ConfigError at once for a region that cannot be read, and ModelError for one whose model is not
    there; the opener raises SourceError, EngineError, and ConfigError for a region that does not fit the
    frame.
    """
    if config.region is None:
        if config.region_style != ORIGINAL:
            raise ConfigError("a region style needs a region: say where with --region")
        return None
    from streamstyle.engines.person_network import SIZE, PersonNetwork
    from streamstyle.engines.segmentation import OnnxRegion
    from streamstyle.media.open import open_source
    from streamstyle.regions.open_region import open_region
    from streamstyle.regions.person import PersonRegion
    from streamstyle.regions.spec import People, parse_region
    from streamstyle.styles.downloads import PERSON, model_file

    spec = parse_region(config.region)

    if isinstance(spec, People):
        model_file(PERSON)  # what is missing is told before anything is opened

    def open_people(people: People) -> Region:
        network = PersonNetwork(model_file(PERSON))
        return PersonRegion(network.foreground, SIZE, inverse=people.inverse)

    def open_for(height: int, width: int) -> Region:
        return open_region(
            spec,
            height,
            width,
            feather=config.region_feather,
            open_film=open_source,
            open_segmentation=lambda s, h, w: OnnxRegion(s.path, s.category, s.scale, h, w),
            open_people=open_people,
        )

    return open_for


def ema_decay_of(config: RunConfig, engine: Engine, *, live: bool) -> Callable[[Frame], float] | None:
    """The share of the past that each frame's statistics hold; None where none is asked for or kept.

    live: the engine may not be open yet; it ignores a decay that it cannot apply.
    """
    steadied = config.consistency > 0 and (live or engine.spec.stateful)
    return SceneSmoothing(config.consistency).of if steadied else None
