"""The engine for NVIDIA GPUs without TensorRT: AOTInductor, CUDA graphs, copies in parallel to computing.

AOTInductor compiles the exported network ahead of time to a package, which is cached like other engines. All
of it also runs on a CPU (`device="cpu"`), for tests without a GPU.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamstyle.engines.cache import EngineCache, Recipe
from streamstyle.engines.device import DeviceEngine, StatefulDeviceEngine
from streamstyle.engines.exported import deployed_network, export, graph_key
from streamstyle.engines.gpu import Gpu
from streamstyle.engines.machine import instruction_sets
from streamstyle.engines.padding import Padding
from streamstyle.engines.request import EngineRequest
from streamstyle.engines.slots import Network, first_line
from streamstyle.errors import EngineError
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import EngineSpec

_INDUCTOR = {
    # Else the shuffle of bytes is folded into the padding behind it, on whose indices torch 2.13 breaks off.
    "realize_reads_threshold": 0,
    # Of the code that starts kernels; a recorded CUDA graph does without it.
    "aot_inductor.compile_wrapper_opt_level": "O0",
}

IN_FLIGHT = 3  # one on its way in, one being painted, one on its way out


@dataclass(frozen=True)
class Package:
    """A compiled network: its cached package, and the callable."""

    data: bytes
    run: Callable[..., Any]


def open_cuda(
    request: EngineRequest, gpu: Gpu | None, *, compiled: bool = True, cache: EngineCache | None = None
) -> DeviceEngine:
    """The engine of a request, with a named precision, on `gpu`, or on the CPU if that is None.

    compiled: compile with AOTInductor, which needs a C++ compiler. Otherwise, or if compiling fails (with a
    message), eager torch runs the network, channels last. Raises EngineError, ModelError.
    """
    network, precision, stateful = request.given_network, request.precision, request.stateful
    architecture, weights = network.architecture, network.weights
    config = GeneratorConfig.from_json(architecture)
    device = torch.device("cpu" if gpu is None else f"cuda:{gpu.index}")
    in_flight = 1 if stateful or gpu is None else IN_FLIGHT
    spec = EngineSpec("cuda", precision, str(device), in_flight=in_flight, stateful=stateful, why=request.why)
    size = Padding.to_multiple(request.height, request.width, SIZE_MULTIPLE).padded_size
    module = deployed_network(architecture, weights, precision, device, stateful=stateful)
    run: Callable[..., Any] = module
    if compiled:
        key = {
            **graph_key(architecture, weights, Path(__file__), stateful=stateful),
            "engine": "cuda",
            "precision": precision,
            "size": list(size),
            "torch": str(torch.__version__),
            "device": instruction_sets() if gpu is None else gpu.to_json(),
        }
        recipe = Recipe(
            request.what,
            key,
            compile=lambda: _compile(module, config, size, stateful=stateful),
            export=lambda package: package.data,
            load=_load,
        )
        try:
            run = (recipe.compile() if cache is None else cache.get(recipe)).run
        except EngineError as error:
            request.notify(f"cuda runs uncompiled, which is slower: {error}")
    engine = StatefulDeviceEngine if stateful else DeviceEngine
    return engine(as_network(run), config, request, device=device, spec=spec, capture=gpu is not None)


def as_network(run: Callable[..., Any]) -> Network:
    """A module or package, whose frames may be whole numbers of another type, as `DeviceEngine` wants it."""

    def network(*inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        result = run(*inputs)
        styled, used = result if isinstance(result, list | tuple) and len(result) == 2 else (result, None)
        styled = styled[0] if isinstance(styled, list | tuple) else styled
        return styled.to(torch.uint8), used

    return network


def _compile(
    module: torch.nn.Module, config: GeneratorConfig, size: tuple[int, int], *, stateful: bool
) -> Package:
    from torch._inductor import aoti_compile_and_package
    from torch._inductor.utils import fresh_cache

    # Inductor's own cache lies in the system's temporary folder and is unpickled from there.
    with tempfile.TemporaryDirectory() as folder, fresh_cache(dir=folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on its own future
        path = str(Path(folder) / "network.pt2")
        try:
            program = export(module, config, size, stateful=stateful)
            aoti_compile_and_package(program, package_path=path, inductor_configs=_INDUCTOR)
            data = Path(path).read_bytes()
        # Different errors for a missing compiler, its headers, Triton, memory.
        except Exception as error:
            raise EngineError(
                f"AOTInductor cannot compile the network ({first_line(error)}); it needs a C++ compiler: "
                "apt install g++"
            ) from error
    return _load(data)


def _load(data: bytes) -> Package:
    from torch._inductor import aoti_load_package

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pt2"
        path.write_bytes(data)
        try:
            # Single-threaded: its locks would prevent recording a CUDA graph.
            return Package(data, aoti_load_package(str(path), run_single_threaded=True))
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            raise EngineError(f"torch cannot read the compiled network: {first_line(error)}") from error
