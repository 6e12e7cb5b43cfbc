"""How the frames of a run reach the engine: at which size."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.build.model import Model
from streamstyle.config import RunConfig
from streamstyle.engines.guided_engine import open_guided
from streamstyle.engines.size import fitted, open_affordable, parse_size
from streamstyle.types import Engine, Look, StreamInfo


def sized_opener(config: RunConfig, model: Model) -> Callable[[StreamInfo], Engine]:
    """What opens the engine for a source, at the size that `config` asks for.

    Raises ConfigError at once for a size that cannot be read; the opener raises EngineError.
    """
    if config.size is None:
        return lambda info: model.open_engine(info.height, info.width)
    box = parse_size(config.size)

    def open_for(info: StreamInfo) -> Engine:
        height, width = info.height, info.width
        if box is None:
            return open_affordable(model.open_engine, height, width, info.rate, Look(model.codes))
        return open_guided(model.open_engine, height, width, fitted(height, width, box))

    return open_for
