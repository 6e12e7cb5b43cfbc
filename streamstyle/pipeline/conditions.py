"""Conditions of painting besides the codes: a region, decay of the statistics, the place of the canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from streamstyle.config import RunConfig
from streamstyle.engines.request import NetworkWeights
from streamstyle.errors import ConfigError
from streamstyle.styles.bundle import ORIGINAL
from streamstyle.temporal.camera_motion import CameraMotion
from streamstyle.temporal.scene_smoothing import SceneSmoothing
from streamstyle.types import Engine, Frame, Region, StreamInfo, StyleCondition


def region_opener(config: RunConfig) -> Callable[[int, int], Region] | None:
    """A function that opens the region for a height and width; None without a region.

    Raises ConfigError at once for an invalid region, and ModelError for one whose model is missing; the
    opener raises SourceError, EngineError, and ConfigError for a region that does not fit the frame.
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
        model_file(PERSON)  # report a missing file before anything is opened

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


def region_of(config: RunConfig, info: StreamInfo) -> Region | None:
    """The region, open for frames of a source; None where none is asked for. Raises what `region_opener` and
    its opener raise."""
    opener = region_opener(config)
    return None if opener is None else opener(info.height, info.width)


def ema_decay_of(config: RunConfig, engine: Engine, *, live: bool) -> Callable[[Frame], float] | None:
    """The share of past statistics in those of each frame; None without --consistency, and for an engine
    without statistics.

    live: the engine may not be open yet; it ignores a decay that it cannot apply.
    """
    smoothed = config.consistency > 0 and (live or engine.spec.stateful)
    return SceneSmoothing(config.consistency).of if smoothed else None


class MovingCanvas:
    """Conditions of frames, with the canvas moved as the camera has moved.

    condition: gives those of frames, in order. The same object comes again while nothing changes.
    """

    def __init__(self, condition: Callable[[Frame], StyleCondition]) -> None:
        self._condition = condition
        self._camera = CameraMotion()
        self._given = self._moved = StyleCondition(np.zeros((2, 0), np.float32))

    def __call__(self, frame: Frame) -> StyleCondition:
        """The condition of the next frame."""
        given, shift = self._condition(frame), self._camera.shift(frame.pixels)
        if given is not self._given or shift != self._moved.canvas_shift:
            self._given = given
            self._moved = replace(given, canvas_shift=shift) if any(shift) else given
        return self._moved


def with_canvas(
    condition: Callable[[Frame], StyleCondition], config: RunConfig, network: NetworkWeights | None
) -> Callable[[Frame], StyleCondition]:
    """Conditions whose canvas moves as the settings say. network: None for painters without a canvas."""
    return MovingCanvas(condition) if config.canvas == "follow" and network is not None else condition
