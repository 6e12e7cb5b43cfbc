"""The engine of a live run: what is tried, and what is taken where memory lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from streamstyle.build.compiling import Compiler
from streamstyle.build.model import Model
from streamstyle.build.sizing import asked_size, open_keyframed, sized_opener
from streamstyle.config import RunConfig
from streamstyle.engines.live_engine import LiveEngine, QualityLevel
from streamstyle.engines.size import SMALLEST
from streamstyle.flow import Future
from streamstyle.types import Engine, StreamInfo


def open_live_engine(levels: Sequence[QualityLevel], notify: Callable[[str], None]) -> LiveEngine:
    """An engine that is there at once, and paints as soon as the first of these levels is open.

    Levels are opened on a thread, and what must be compiled for them by child processes."""

    def begin(open_one: Callable[[], Engine]) -> Future[Engine]:
        compiler = Compiler(notify)

        def open_compiled() -> Engine:
            with compiler.serving():
                return open_one()

        return Future(open_compiled, "engine", cancel=compiler.cancel)

    return LiveEngine(levels, begin, notify)


def quality_levels(model: Model, info: StreamInfo, config: RunConfig) -> list[QualityLevel]:
    """The quality levels for a source, the best first: as asked; at half of those sides; fewer frames of that
    size; the same at a quarter. All of them on a GPU, where there is one, before the processor's.

    Of `auto` sizes nothing is known yet, and the source's own sides count.
    """
    levels = _levels_of_one(replace(model, on_gpu=None), info, config)
    if model.on_gpu is None:
        return levels
    others = [replace(level, what=f"{level.what} on the processor") for level in levels]
    return [*_levels_of_one(model.on_gpu, info, config), *others]


def _levels_of_one(model: Model, info: StreamInfo, config: RunConfig) -> list[QualityLevel]:
    height, width = info.height, info.width
    asked = asked_size(config, height, width)
    levels = [QualityLevel(f"painting at {asked[1]}x{asked[0]}", partial(sized_opener(config, model), info))]
    for share, more in ((2, 0), (2, 1), (4, 1)):
        small, every = (asked[0] // share, asked[1] // share), config.every + more
        if min(small) >= SMALLEST:
            propagated = f" one frame of {every}" if every > 1 else ""
            levels.append(
                QualityLevel(
                    f"painting{propagated} at {small[1]}x{small[0]}",
                    partial(open_keyframed, model, (height, width), small, every),
                )
            )
    return levels
