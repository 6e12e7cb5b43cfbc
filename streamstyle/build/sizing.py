"""How the frames of a run reach the engine: at which size, and which of them."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.build.model import Model
from streamstyle.config import RunConfig
from streamstyle.engines.carrying_engine import CarryingEngine
from streamstyle.engines.guided_engine import around
from streamstyle.engines.size import affordable_engine, fitted, parse_size
from streamstyle.temporal.explained import FineMotion
from streamstyle.types import Engine, Look, StreamInfo


def sized_opener(config: RunConfig, model: Model) -> Callable[[StreamInfo], Engine]:
    """What opens the engine for a source, as `config` asks for.

    Raises ConfigError at once for a size that cannot be read; the opener raises EngineError.
    """
    box = None if config.size is None else parse_size(config.size)

    def open_for(info: StreamInfo) -> Engine:
        height, width = info.height, info.width
        if config.size is not None and box is None:
            look = Look(model.codes)
            inner, working = affordable_engine(model.open_engine, height, width, info.rate, look)
            return _carried(inner, (height, width), working, config.every)
        working = (height, width) if box is None else fitted(height, width, box)
        return open_carried(model, (height, width), working, config.every)

    return open_for


def open_carried(model: Model, size: tuple[int, int], working: tuple[int, int], every: int) -> Engine:
    """An engine for frames of `size` (height, width) that paints at `working`, one frame of `every`, and
    carries the painting to those between. Raises EngineError."""
    return _carried(model.open_engine(*working), size, working, every)


def _carried(inner: Engine, size: tuple[int, int], working: tuple[int, int], every: int) -> Engine:
    if every > 1:
        # Inside, where pictures are small; the frame's own edges come to carried paintings too.
        inner = CarryingEngine(inner, every, FineMotion())
    return around(inner, *size, working)
