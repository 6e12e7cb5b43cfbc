"""Which engines there are, and which one `auto` takes. The only place that knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.cache import EngineCache, cache_folder
from streamstyle.engines.gpu import Gpu, find_gpu
from streamstyle.engines.memory import check_memory
from streamstyle.engines.openvino_engine import OpenVinoEngine, StatefulOpenVinoEngine
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError, nearest
from streamstyle.types import Engine, InferenceFuture, Picture, StyleCondition

ENGINES = ("tensorrt", "cuda", "openvino", "torch")
"""What `auto` tries, in this order."""

_ON_GPU = ("tensorrt", "cuda")
PRECISIONS = {"tensorrt": ("fp16", "bf16"), "cuda": ("fp16", "bf16", "fp32")}
"""Of engines that leave the choice; the first is taken where none is asked for."""


@dataclass(frozen=True)
class _Wanted:
    """The arguments of `open_engine`. why: the reason that `auto` took no better engine."""

    architecture: Mapping[str, Any]
    weights: Mapping[str, NDArray[np.generic]]
    height: int
    width: int
    stateful: bool
    masks: bool
    halvings: int
    precision: str
    label: str
    notify: Callable[[str], None]
    aside: Callable[[str, str], None] | None = None
    leave_gpu: bool = True
    why: str = ""

    def cache(self, engine: str) -> EngineCache:
        aside = None if self.aside is None else partial(self.aside, engine)
        return EngineCache(cache_folder(), self.notify, aside=aside)


def paint_all(engine: Engine, pictures: Iterable[Picture], condition: StyleCondition) -> Iterator[Picture]:
    """Paint pictures under one condition, in order, with as many in flight as the engine asks for."""
    waiting: deque[InferenceFuture] = deque()
    for pixels in pictures:
        waiting.append(engine.start(pixels, condition))
        if len(waiting) > engine.spec.in_flight:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def open_engine(
    name: str,
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    height: int,
    width: int,
    *,
    stateful: bool = False,
    masks: bool = False,
    halvings: int = 0,
    precision: str = "auto",
    label: str = "the network",
    notify: Callable[[str], None] = lambda _: None,
    aside: Callable[[str, str], None] | None = None,
    leave_gpu: bool = True,
) -> Engine:
    """Open the engine `name` for frames of `height` x `width`; "auto": the first of `ENGINES` to be had.

    architecture, weights: of a style bundle's generator. stateful: keep the statistics of the normalisation
    from frame to frame, so that conditions may set `ema_decay`; one frame at a time then. masks: conditions
    will have them; an engine that is slower for it is else made so by the first. halvings: how often engines
    on a device halve picture and painting for `InferenceFuture.small`. precision: one of the engine's
    `PRECISIONS`. notify: told that an engine is compiled, once (`label` for WxH), and why it cannot be kept
    for the next start. aside: for callers that cannot wait, has the engine of this name compiled into the
    cache by another process (see `EngineCache`; the second argument is for people). leave_gpu: whether "auto"
    paints on the processor where the GPU lacks memory for this size. Raises ConfigError for an unknown name
    or precision, EngineMemoryError where frames of this size do not fit into memory and EngineError where the
    engine cannot be had. Only "auto" goes on to another one, and says why in `spec.why`."""
    wanted = _Wanted(
        *(architecture, weights, height, width, stateful, masks, halvings),
        *(precision, label, notify, aside, leave_gpu),
    )
    if name == "auto":
        return _open_any(wanted)
    if name not in ENGINES:
        known = ("auto", *ENGINES)
        raise ConfigError(f"unknown engine '{name}'{nearest(name, known)}; known are {', '.join(known)}")
    if precision not in {"auto", *PRECISIONS.get(name, ())}:
        choices = ", ".join(PRECISIONS.get(name, ())) or "no other than auto"
        raise ConfigError(f"the {name} engine has no precision '{precision}'; it has {choices}")
    return _OPENERS[name](wanted)


def _open_any(wanted: _Wanted) -> Engine:
    refused: list[str] = []
    lacking: EngineMemoryError | None = None
    gpu = find_gpu()
    if isinstance(gpu, str):
        refused.append(gpu)
    # A precision is asked for on a GPU; elsewhere the engine knows best what the processor computes.
    for name in ENGINES[len(_ON_GPU) :] if isinstance(gpu, str) else ENGINES:
        if wanted.precision not in {"auto", *PRECISIONS.get(name, (wanted.precision,))}:
            refused.append(f"{name} has no {wanted.precision}")
            continue
        try:
            return _OPENERS[name](replace(wanted, why="; ".join(refused)))
        except EngineError as error:
            if isinstance(error, EngineMemoryError):
                if name not in _ON_GPU:
                    raise  # the next engine takes as much
                lacking = error
            refused.append(str(error))
        if lacking is not None and name == _ON_GPU[-1] and not wanted.leave_gpu:
            raise lacking
    raise EngineError(f"no engine can be had: {'; '.join(refused)}")


def _gpu_for(name: str) -> Gpu:
    gpu = find_gpu()
    if isinstance(gpu, str):
        raise EngineError(f"the {name} engine needs an NVIDIA GPU: {gpu}; take --engine auto")
    return gpu


def _open_tensorrt(wanted: _Wanted) -> Engine:
    if find_spec("torch_tensorrt") is None:
        raise EngineError(
            "the tensorrt engine needs the package torch-tensorrt: pip install streamstyle[tensorrt]"
        )
    asked = _asked_of_gpu("tensorrt", wanted)
    from streamstyle.engines.tensorrt_engine import open_tensorrt

    return open_tensorrt(**asked)


def _open_cuda(wanted: _Wanted) -> Engine:
    asked = _asked_of_gpu("cuda", wanted)
    from streamstyle.engines.cuda_engine import open_cuda

    return open_cuda(**asked)


def _asked_of_gpu(name: str, wanted: _Wanted) -> dict[str, Any]:
    return {
        "architecture": wanted.architecture,
        "weights": wanted.weights,
        "height": wanted.height,
        "width": wanted.width,
        "gpu": _gpu_for(name),
        "precision": _precision(name, wanted),
        "holds": wanted.stateful,
        "halvings": wanted.halvings,
        "cache": wanted.cache(name),
        "label": wanted.label,
        "notify": wanted.notify,
        "why": wanted.why,
    }


def _precision(name: str, wanted: _Wanted) -> str:
    return PRECISIONS[name][0] if wanted.precision == "auto" else wanted.precision


def _open_openvino(wanted: _Wanted) -> Engine:
    check_memory(wanted.height, wanted.width)
    engine = StatefulOpenVinoEngine if wanted.stateful else OpenVinoEngine
    return engine(
        wanted.architecture,
        wanted.weights,
        wanted.height,
        wanted.width,
        masks=wanted.masks,
        cache=wanted.cache("openvino"),
        label=wanted.label,
        why=wanted.why,
    )


def _open_torch(wanted: _Wanted) -> Engine:
    check_memory(wanted.height, wanted.width)
    if wanted.aside is not None:
        wanted.notify("the torch engine is made in this process, for which frames may stall")
    # Importing torch takes two seconds; an engine out of the cache needs none of it.
    from streamstyle.engines.torch_engine import StatefulTorchEngine, TorchEngine
    from streamstyle.nets.ema_norm import StatefulFrameGenerator
    from streamstyle.nets.generator import FrameGenerator, restore_generator

    generator = restore_generator(wanted.architecture, wanted.weights)
    size = wanted.height, wanted.width
    if wanted.stateful:
        return StatefulTorchEngine(StatefulFrameGenerator(generator), *size, why=wanted.why)
    return TorchEngine(FrameGenerator(generator), *size, why=wanted.why)


_OPENERS: Mapping[str, Callable[[_Wanted], Engine]] = {
    "tensorrt": _open_tensorrt,
    "cuda": _open_cuda,
    "openvino": _open_openvino,
    "torch": _open_torch,
}
