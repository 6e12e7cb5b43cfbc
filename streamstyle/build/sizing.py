"""How the frames of a run reach the engine: at which size, which of them, whole or in tiles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from streamstyle.build.model import Model
from streamstyle.config import RunConfig
from streamstyle.engines.keyframe_engine import KeyframeEngine
from streamstyle.engines.size import affordable_engine, fitted, parse_size, parse_tile
from streamstyle.engines.tiled_engine import open_fitting, open_tiled
from streamstyle.engines.upsampling_engine import upsampled
from streamstyle.errors import ConfigError, EngineMemoryError
from streamstyle.temporal.fine_motion import FineMotion
from streamstyle.types import Engine, StreamInfo, StyleCondition


def sized_opener(config: RunConfig, model: Model) -> Callable[[StreamInfo], Engine]:
    """What opens the engine for a source, as `config` asks for. Where a GPU lacks memory for whole frames it
    paints tiles; then the processor paints.

    Raises ConfigError at once for a size that cannot be read; the opener raises EngineError.
    """
    open_for = _opener_of_one(config, model)
    if model.on_gpu is None:
        return open_for
    open_on_gpu = _opener_of_one(config, model.on_gpu)

    def open_either(info: StreamInfo) -> Engine:
        with suppress(EngineMemoryError):
            return open_on_gpu(info)
        return open_for(info)

    return open_either


def asked_size(config: RunConfig, height: int, width: int) -> tuple[int, int]:
    """The size (height, width) to paint frames of height x width at; of `auto` nothing is known yet, and the
    frame's own counts. Raises ConfigError."""
    box = None if config.size is None else parse_size(config.size)
    return (height, width) if box is None else fitted(height, width, box)


def open_alone(config: RunConfig, model: Model, height: int, width: int) -> Engine:
    """The engine that a film of height x width is painted by, whole or in tiles, and nothing around it: it
    paints pictures of `asked_size`. On a machine with a GPU never the processor's. Raises EngineError."""
    tile = None if config.tile is None else parse_tile(config.tile)
    return _opener(model.on_gpu or model, tile, live=False)(*asked_size(config, height, width))


def _opener_of_one(config: RunConfig, model: Model) -> Callable[[StreamInfo], Engine]:
    auto = config.size is not None and parse_size(config.size) is None
    tile = None if config.tile is None else parse_tile(config.tile)
    if tile is not None and model.open_stateful is None:
        raise ConfigError("only the network's own styles can be painted in tiles; leave --tile out")

    def open_for(info: StreamInfo) -> Engine:
        height, width = info.height, info.width
        open_one = _opener(model, tile, live=info.live)
        if auto:
            condition = StyleCondition(model.codes)
            inner, working = affordable_engine(open_one, height, width, info.rate, condition)
        else:
            working = asked_size(config, height, width)
            inner = open_one(*working)
        return _wrapped(inner, (height, width), working, config.every)

    return open_for


def open_keyframed(model: Model, size: tuple[int, int], working: tuple[int, int], every: int) -> Engine:
    """An engine for frames of `size` (height, width) that paints at `working`, one frame of `every`, and
    carries the painting to those between. Raises EngineError."""
    return _wrapped(model.open_engine(*working), size, working, every)


def _wrapped(inner: Engine, size: tuple[int, int], working: tuple[int, int], every: int) -> Engine:
    if every > 1:
        # Inside, where pictures are small; the frame's own edges come to propagated paintings too.
        inner = KeyframeEngine(inner, every, FineMotion())
    return upsampled(inner, *size, working)


def _opener(model: Model, tile: tuple[int, int] | None, *, live: bool) -> Callable[[int, int], Engine]:
    """What opens an engine for a height and width: whole, or in tiles where asked for or where memory lacks.
    Live, a smaller size is the better answer to that."""
    holding = model.open_stateful
    if holding is None or (live and tile is None):
        return model.open_engine

    def open_one(height: int, width: int) -> Engine:
        if tile is None:
            return open_fitting(model.open_engine, holding, height, width, model.receptive_radius())
        if tile[0] >= height and tile[1] >= width:
            return model.open_engine(height, width)
        return open_tiled(holding, height, width, tile, model.receptive_radius())

    return open_one
