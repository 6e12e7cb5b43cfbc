"""The engine of a live run: its levels, from the full size to those for little memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from streamstyle.config import RunConfig
from streamstyle.engines.live_engine import LiveEngine, QualityLevel
from streamstyle.engines.size import MIN_SIDE
from streamstyle.flow import Future
from streamstyle.pipeline.compiling import Compiler
from streamstyle.pipeline.model import Model
from streamstyle.pipeline.sizing import WorkingSizeOpener, asked_size, check_sizes, run_request, sized_opener
from streamstyle.types import Engine, StreamInfo


def open_live_engine(levels: Sequence[QualityLevel], notify: Callable[[str], None]) -> LiveEngine:
    """An engine that exists at once, and paints as soon as its first level is open.

    A thread opens the levels, and child processes compile for them."""

    def begin(level: QualityLevel) -> Future[Engine]:
        compiler = Compiler(notify)
        return Future(partial(level.open, compiler), "engine", cancel=compiler.cancel)

    return LiveEngine(levels, begin, notify)


def quality_levels(model: Model, info: StreamInfo, config: RunConfig) -> list[QualityLevel]:
    """The quality levels for a source, the best first: as asked; at half of those sides; fewer frames of that
    size; the same at a quarter. All of them on a GPU, where there is one, before the processor's.

    Of `auto` sizes nothing is known yet, and the source's own sides count. Raises ConfigError.
    """
    check_sizes(config, model)
    levels = _levels(model, info, config, leave_gpu=True)
    if not model.gpu_first:
        return levels
    others = [replace(level, what=f"{level.what} on the processor") for level in levels]
    return [*_levels(model, info, config, leave_gpu=False), *others]


def _levels(model: Model, info: StreamInfo, config: RunConfig, *, leave_gpu: bool) -> list[QualityLevel]:
    height, width = info.height, info.width
    asked = asked_size(config, height, width)
    request = replace(run_request(config, model, info), leave_gpu=leave_gpu)
    best = sized_opener(config, model, info)
    levels = [QualityLevel(f"painting at {asked[1]}x{asked[0]}", best, request)]
    for share, more in ((2, 0), (2, 1), (4, 1)):
        small, every = (asked[0] // share, asked[1] // share), config.every + more
        if min(small) >= MIN_SIDE:
            fewer = f" one frame of {every}" if every > 1 else ""
            opener = WorkingSizeOpener(model.opener, small, every)
            what = f"painting{fewer} at {small[1]}x{small[0]}"
            levels.append(QualityLevel(what, opener, request))
    return levels
