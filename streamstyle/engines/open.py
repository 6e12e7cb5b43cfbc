"""Which engines there are, and which one `auto` takes. The only place that knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.cache import EngineCache, cache_folder
from streamstyle.engines.memory import check_memory
from streamstyle.engines.openvino_engine import HoldingOpenVinoEngine, OpenVinoEngine
from streamstyle.errors import ConfigError, nearest
from streamstyle.types import Engine, Look, Pending, Picture

ENGINES = ("openvino", "torch")
_AUTO = "openvino"


def paint_all(engine: Engine, pictures: Iterable[Picture], look: Look) -> Iterator[Picture]:
    """Paint pictures in one look, in order, with as many in flight as the engine asks for."""
    waiting: deque[Pending] = deque()
    for pixels in pictures:
        waiting.append(engine.start(pixels, look))
        if len(waiting) > engine.spec.in_flight:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def open_engine(
    name: str,
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    height: int,
    width: int,
    *,
    statistics: bool = False,
    label: str = "the network",
    tell: Callable[[str], None] = lambda _: None,
) -> Engine:
    """Open the engine `name` ("auto": the fastest on a CPU) for frames of `height` x `width`.

    architecture, weights: of a style bundle's generator. statistics: keep those of the normalisation from
    frame to frame, so that looks may ask for `hold`; one frame at a time then, which is slower. tell: hears
    that an engine is compiled, once (`label` for WxH), and why it cannot be kept for the next start.
    Raises ConfigError for an unknown name, EngineMemoryError where frames of this size do not fit into memory
    and EngineError where the engine cannot be had; never falls back to another one.
    """
    chosen = _AUTO if name == "auto" else name
    if chosen not in ENGINES:
        known = ("auto", *ENGINES)
        raise ConfigError(f"unknown engine '{name}'{nearest(name, known)}; known are {', '.join(known)}")
    check_memory(height, width)
    if chosen == "torch":
        return _open_torch(architecture, weights, height, width, statistics=statistics)
    openvino = HoldingOpenVinoEngine if statistics else OpenVinoEngine
    cache = EngineCache(cache_folder(), tell)
    return openvino(architecture, weights, height, width, cache=cache, label=label)


def _open_torch(
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    height: int,
    width: int,
    *,
    statistics: bool,
) -> Engine:
    # Importing torch takes two seconds; an engine out of the cache needs none of it.
    from streamstyle.engines.torch_engine import HoldingTorchEngine, TorchEngine
    from streamstyle.nets.generator import FrameGenerator, restore_generator
    from streamstyle.nets.held import HoldingFrameGenerator

    generator = restore_generator(architecture, weights)
    if statistics:
        return HoldingTorchEngine(HoldingFrameGenerator(generator), height, width)
    return TorchEngine(FrameGenerator(generator), height, width)
