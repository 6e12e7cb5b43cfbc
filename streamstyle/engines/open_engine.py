"""The list of engines, and the choice of `auto`. The only place that knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from streamstyle.engines.cache import EngineCache, cache_folder
from streamstyle.engines.gpu import Gpu, find_gpu
from streamstyle.engines.memory import check_memory
from streamstyle.engines.openvino_engine import OpenVinoEngine, StatefulOpenVinoEngine
from streamstyle.engines.request import EngineRequest
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError, nearest
from streamstyle.types import Engine, InferenceFuture, Picture, StyleCondition

ENGINES = ("tensorrt", "cuda", "openvino", "torch")
"""Engines that `auto` tries, in this order."""

_ON_GPU = ("tensorrt", "cuda")
PRECISIONS = {"tensorrt": ("fp16", "bf16"), "cuda": ("fp16", "bf16", "fp32")}
"""Precisions of the engines that offer a choice; the first is the default."""


def paint_all(engine: Engine, pictures: Iterable[Picture], condition: StyleCondition) -> Iterator[Picture]:
    """Paint pictures under one condition, in order, with the engine's number of frames in flight."""
    waiting: deque[InferenceFuture] = deque()
    for pixels in pictures:
        waiting.append(engine.start(pixels, condition))
        if len(waiting) > engine.spec.in_flight:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def open_engine(request: EngineRequest) -> Engine:
    """Open the engine that `request.engine` names for its network; "auto": the first of `ENGINES` that opens.

    Raises as `EngineOpener.open` says. Only "auto" goes on to another engine, and says why in `spec.why`.
    """
    name, precision = request.engine, request.precision
    if name == "auto":
        return _open_any(request)
    if name not in ENGINES:
        known = ("auto", *ENGINES)
        raise ConfigError(f"unknown engine '{name}'{nearest(name, known)}; known are {', '.join(known)}")
    if precision not in {"auto", *PRECISIONS.get(name, ())}:
        choices = ", ".join(PRECISIONS.get(name, ())) or "no other than auto"
        raise ConfigError(f"the {name} engine has no precision '{precision}'; it has {choices}")
    return _OPENERS[name](request)


class NetworkOpener:
    """Implements `EngineOpener` for the network that the request names."""

    open = staticmethod(open_engine)


def _open_any(request: EngineRequest) -> Engine:
    refused: list[str] = []
    lacking: EngineMemoryError | None = None
    gpu = find_gpu()
    if isinstance(gpu, str):
        refused.append(gpu)
    # Precision is a choice on a GPU; on a CPU the engine knows best.
    for name in ENGINES[len(_ON_GPU) :] if isinstance(gpu, str) else ENGINES:
        if request.precision not in {"auto", *PRECISIONS.get(name, (request.precision,))}:
            refused.append(f"{name} has no {request.precision}")
            continue
        try:
            return _OPENERS[name](replace(request, why="; ".join(refused)))
        except EngineError as error:
            if isinstance(error, EngineMemoryError):
                if name not in _ON_GPU:
                    raise  # the next engine takes as much
                lacking = error
            refused.append(str(error))
        if lacking is not None and name == _ON_GPU[-1] and not request.leave_gpu:
            raise lacking
    raise EngineError(f"no engine is available: {'; '.join(refused)}")


def _gpu_for(name: str) -> Gpu:
    gpu = find_gpu()
    if isinstance(gpu, str):
        raise EngineError(f"the {name} engine needs an NVIDIA GPU: {gpu}; take --engine auto")
    return gpu


def _cache_for(name: str, request: EngineRequest) -> EngineCache:
    compiler, precision = request.compiler, request.precision if name in PRECISIONS else "auto"
    in_child = None if compiler is None else partial(compiler.compile, request.compile_order(name, precision))
    return EngineCache(cache_folder(), request.notify, compile_in_child=in_child)


def _with_precision(name: str, request: EngineRequest) -> EngineRequest:
    return replace(request, precision=PRECISIONS[name][0]) if request.precision == "auto" else request


def _open_tensorrt(request: EngineRequest) -> Engine:
    if find_spec("torch_tensorrt") is None:
        raise EngineError(
            "the tensorrt engine needs the package torch-tensorrt: pip install streamstyle[tensorrt]"
        )
    gpu, cache = _gpu_for("tensorrt"), _cache_for("tensorrt", request)
    from streamstyle.engines.tensorrt_engine import open_tensorrt

    return open_tensorrt(_with_precision("tensorrt", request), gpu, cache=cache)


def _open_cuda(request: EngineRequest) -> Engine:
    gpu, cache = _gpu_for("cuda"), _cache_for("cuda", request)
    from streamstyle.engines.cuda_engine import open_cuda

    return open_cuda(_with_precision("cuda", request), gpu, cache=cache)


def _open_openvino(request: EngineRequest) -> Engine:
    check_memory(request.height, request.width)
    engine = StatefulOpenVinoEngine if request.stateful else OpenVinoEngine
    return engine(request, _cache_for("openvino", request))


def _open_torch(request: EngineRequest) -> Engine:
    check_memory(request.height, request.width)
    if request.compiler is not None:
        request.notify("the torch engine is made in this process, so frames may stall")
    # Importing torch takes two seconds; an engine out of the cache needs none of it.
    from streamstyle.engines.torch_engine import StatefulTorchEngine, TorchEngine
    from streamstyle.nets.ema_norm import StatefulFrameGenerator
    from streamstyle.nets.generator import FrameGenerator, restore_generator

    network = request.given_network
    generator = restore_generator(network.architecture, network.weights)
    size = request.height, request.width
    if request.stateful:
        return StatefulTorchEngine(StatefulFrameGenerator(generator), *size, why=request.why)
    return TorchEngine(FrameGenerator(generator), *size, why=request.why)


_OPENERS: Mapping[str, Callable[[EngineRequest], Engine]] = {
    "tensorrt": _open_tensorrt,
    "cuda": _open_cuda,
    "openvino": _open_openvino,
    "torch": _open_torch,
}
