"""The way of a run's frames to the engine: at which size, which of them, whole or in tiles.

Each opener here wraps another one, see `EngineOpener`. From the outside in: the GPU first, the size and the
keyframes, the tiles, the network.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from streamstyle.config import RunConfig
from streamstyle.engines.keyframe_engine import KeyframeEngine
from streamstyle.engines.request import EngineOpener, EngineRequest
from streamstyle.engines.size import affordable_engine, fitted, parse_size, parse_tile
from streamstyle.engines.tiled_engine import TilingOpener
from streamstyle.engines.upsampling_engine import upsampled
from streamstyle.errors import ConfigError, EngineMemoryError
from streamstyle.pipeline.model import Model
from streamstyle.temporal.fine_motion import FineMotion
from streamstyle.types import Engine, StreamInfo, StyleCondition


@dataclass(frozen=True)
class GpuFirstOpener:
    """Implements `EngineOpener`: where a GPU lacks memory for whole frames it paints tiles; where it lacks
    memory for those too, the processor paints."""

    inner: EngineOpener

    def open(self, request: EngineRequest) -> Engine:
        """See `EngineOpener`."""
        with suppress(EngineMemoryError):
            return self.inner.open(replace(request, leave_gpu=False))
        return self.inner.open(request)


@dataclass(frozen=True)
class WorkingSizeOpener:
    """Implements `EngineOpener`: paints at another size, and not every frame."""

    inner: EngineOpener
    working: tuple[int, int]
    """(height, width) to paint at."""
    every: int = 1
    """Paint one frame of so many."""

    def open(self, request: EngineRequest) -> Engine:
        """See `EngineOpener`."""
        size = request.height, request.width
        return _at_size(self.inner.open(request.at(*self.working)), size, self.working, self.every)


@dataclass(frozen=True)
class AutoSizeOpener:
    """Implements `EngineOpener`: paints at the largest size that keeps `request.rate` on this machine."""

    inner: EngineOpener
    condition: StyleCondition
    """Its codes fit the network."""
    every: int = 1
    """Paint one frame of so many."""

    def open(self, request: EngineRequest) -> Engine:
        """See `EngineOpener`."""
        engine, working = affordable_engine(self.inner, request, self.condition)
        return _at_size(engine, (request.height, request.width), working, self.every)


def _at_size(inner: Engine, size: tuple[int, int], working: tuple[int, int], every: int) -> Engine:
    if every > 1:
        # Inside, where pictures are small; the frame's own edges come to propagated paintings too.
        inner = KeyframeEngine(inner, every, FineMotion())
    return upsampled(inner, *size, working)


def asked_size(config: RunConfig, height: int, width: int) -> tuple[int, int]:
    """The size (height, width) to paint frames of height x width at; of `auto` nothing is known yet, and the
    frame's own counts. Raises ConfigError."""
    box = None if config.size is None else parse_size(config.size)
    return (height, width) if box is None else fitted(height, width, box)


def check_sizes(config: RunConfig, model: Model) -> None:
    """Raise ConfigError for a size or a tile that cannot be read or had."""
    if config.size is not None:
        parse_size(config.size)
    if config.tile is not None:
        parse_tile(config.tile)
        if model.network is None:
            raise ConfigError("only the network's own styles can be painted in tiles; leave --tile out")


def open_for_run(config: RunConfig, model: Model, info: StreamInfo) -> Engine:
    """The engine for a source, by `config`. Raises the errors of `EngineOpener.open`."""
    opener = sized_opener(config, model, info)
    if model.gpu_first:
        opener = GpuFirstOpener(opener)
    return opener.open(run_request(config, model, info))


def open_inner_engine(config: RunConfig, model: Model, height: int, width: int) -> Engine:
    """The engine that a film of height x width is painted by, whole or in tiles, and nothing around it: it
    paints pictures of `asked_size`. On a machine with a GPU never the processor's. Raises EngineError."""
    request = model.request(*asked_size(config, height, width))
    request = replace(request, tile=_tile(config), leave_gpu=not model.gpu_first)
    return _tiling(config, model, live=False).open(request)


def run_request(config: RunConfig, model: Model, info: StreamInfo) -> EngineRequest:
    """The request of a run for an engine for a source. Raises ConfigError."""
    return replace(model.request(info.height, info.width), tile=_tile(config), rate=info.rate)


def _tile(config: RunConfig) -> tuple[int, int] | None:
    return None if config.tile is None else parse_tile(config.tile)


def sized_opener(config: RunConfig, model: Model, info: StreamInfo) -> EngineOpener:
    """The opener of the engine at the size of the settings. Raises ConfigError."""
    inner = _tiling(config, model, live=info.live)
    if config.size is not None and parse_size(config.size) is None:
        return AutoSizeOpener(inner, StyleCondition(model.codes), config.every)
    return WorkingSizeOpener(inner, asked_size(config, info.height, info.width), config.every)


def _tiling(config: RunConfig, model: Model, *, live: bool) -> EngineOpener:
    """Live, a smaller size is the better answer where memory lacks."""
    if model.network is None or (live and config.tile is None):
        return model.opener
    return TilingOpener(model.opener)
