"""The engine for NVIDIA GPUs: TensorRT, built ahead of time from the exported network and kept.

torch.export -> torch_tensorrt.dynamo.compile -> torch_tensorrt.save. The whole network is one TensorRT engine
(`require_full_compilation`), typed as the exported graph says: weights in fp16 or bf16, statistics in fp32.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch

from streamstyle.engines.buckets import Bucket
from streamstyle.engines.cache import EngineCache, Recipe
from streamstyle.engines.cuda_engine import IN_FLIGHT, Package, as_network
from streamstyle.engines.device import DeviceEngine, StatefulDeviceEngine
from streamstyle.engines.exported import deployed_network, export, graph_key, input_shapes
from streamstyle.engines.gpu import Gpu
from streamstyle.engines.request import EngineRequest
from streamstyle.engines.slots import first_line
from streamstyle.errors import EngineError
from streamstyle.nets.deployed import LevelFrames
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.types import EngineSpec

INSTALL = "pip install streamstyle[tensorrt]"
WORKSPACES = (0, 2 << 30, 512 << 20, 128 << 20)
"""Bytes that TensorRT may use beside weights and activations, tried in turn; 0: as much as there is."""

_NEEDED = ("torch-tensorrt", "tensorrt")

Built = TypeVar("Built")


def import_tensorrt() -> ModuleType:
    """Import torch_tensorrt. Raises EngineError where it is not installed, or cannot be used here."""
    if find_spec("torch_tensorrt") is None:
        raise EngineError(f"the tensorrt engine needs the package torch-tensorrt: {INSTALL}")
    try:
        # It prints about missing parts, and `--json` needs the standard output.
        with redirect_stdout(io.StringIO()):
            import torch_tensorrt
    except Exception as error:
        raise EngineError(
            f"torch-tensorrt is installed, but cannot be used ({first_line(error)}); it needs an NVIDIA "
            f"driver and TensorRT's libraries: {INSTALL}"
        ) from error
    return torch_tensorrt  # type: ignore[no-any-return]


def open_tensorrt(
    request: EngineRequest, gpu: Gpu | None, *, cache: EngineCache | None = None
) -> DeviceEngine:
    """The engine of a request, with a named precision, on `gpu`, for all sizes of its size's bucket. gpu:
    None runs everything on the CPU, for tests; TensorRT itself cannot. Raises EngineError, ModelError.
    """
    given, precision, stateful, notify = (
        request.given_network,
        request.precision,
        request.stateful,
        request.notify,
    )
    architecture, weights = given.architecture, given.weights
    library = import_tensorrt()
    config = GeneratorConfig.from_json(architecture)
    bucket = Bucket.of(request.height, request.width)
    device = torch.device("cpu" if gpu is None else f"cuda:{gpu.index}")
    key = {
        **graph_key(architecture, weights, Path(__file__), stateful=stateful),
        "engine": "tensorrt",
        "precision": precision,
        "bucket": bucket.to_json(),
        "torch": str(torch.__version__),
        "libraries": {name: _version(name) for name in _NEEDED},
        "device": None if gpu is None else gpu.to_json(),
    }

    def compile_() -> Package:
        notify("tensorrt 1/3: exporting the network")
        network = deployed_network(architecture, weights, precision, device, stateful=stateful)
        data = build(library, network, config, bucket, stateful=stateful, notify=notify)
        notify("tensorrt 3/3: reading the engine back")
        return load(data)

    recipe = Recipe(
        f"{given.label} for {bucket}", key, compile=compile_, export=lambda package: package.data, load=load
    )
    package = recipe.compile() if cache is None else cache.get(recipe)
    if gpu is not None:
        library.runtime.set_cudagraphs_mode(True)
    in_flight = 1 if stateful or gpu is None else IN_FLIGHT
    spec = EngineSpec(
        "tensorrt", precision, str(device), in_flight=in_flight, stateful=stateful, why=request.why
    )
    engine = StatefulDeviceEngine if stateful else DeviceEngine
    network = as_network(package.run)
    return engine(network, config, request, device=device, spec=spec)


def build(
    library: ModuleType,
    network: torch.nn.Module,
    config: GeneratorConfig,
    bucket: Bucket,
    *,
    stateful: bool,
    notify: Callable[[str], None],
) -> bytes:
    """The engine as `torch_tensorrt.save` writes it. Raises EngineError."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of libraries, on their own future
        path = Path(folder) / "engine.pt2"
        try:
            program = export(LevelFrames(network), config, bucket, stateful=stateful)  # type: ignore[arg-type]
            inputs = [library.Input(**shapes) for shapes in profile(config, bucket, stateful=stateful)]
            notify("tensorrt 2/3: TensorRT chooses its kernels; this takes minutes")

            def compile_(workspace: int) -> Any:
                return library.dynamo.compile(
                    program,
                    inputs=inputs,
                    require_full_compilation=True,
                    min_block_size=1,
                    workspace_size=workspace,
                    # Its own caches lie in the system's temporary folder, where anybody could have put them.
                    timing_cache_path=str(Path(folder) / "timing.bin"),
                    cache_built_engines=False,
                    reuse_cached_engines=False,
                )

            compiled = with_less_workspace(compile_, notify)
            # retrace=False: write the compiled module without running it again.
            library.save(compiled, str(path), output_format="exported_program", retrace=False)
            return path.read_bytes()
        except EngineError:
            raise
        # Its failures are of every kind, bare Exceptions among them.
        except Exception as error:
            raise EngineError(f"TensorRT cannot build the engine: {first_line(error)}") from error


def profile(config: GeneratorConfig, bucket: Bucket, *, stateful: bool) -> list[dict[str, Any]]:
    """Arguments of `torch_tensorrt.Input` for every input: smallest, usual and largest shape, and type."""
    sides = (("min_shape", "low"), ("opt_shape", "usual"), ("max_shape", "high"))
    shapes = {
        name: input_shapes((getattr(bucket.height, of), getattr(bucket.width, of)), config, stateful=stateful)
        for name, of in sides
    }
    rows = zip(*shapes.values(), strict=True)
    return [
        {**{name: tuple(shape) for name, (shape, _) in zip(shapes, row, strict=True)}, "dtype": row[0][1]}
        for row in rows
    ]


def with_less_workspace(compile_: Callable[[int], Built], notify: Callable[[str], None]) -> Built:
    """Call `compile_` with the first of `WORKSPACES` that does not run out of memory.

    Raises EngineError if the last one does, and other errors of `compile_`.
    """
    for workspace, smaller in zip(WORKSPACES, (*WORKSPACES[1:], None), strict=True):
        try:
            return compile_(workspace)
        except Exception as error:
            if not _out_of_memory(error):
                raise
            if smaller is None:
                raise EngineError(
                    "TensorRT runs out of GPU memory: close other programs that use the GPU, or take "
                    "--engine cuda"
                ) from error
            notify(f"out of GPU memory; building again with a workspace of {smaller >> 20} MiB")
    raise AssertionError("the last workspace returns or raises")


def load(data: bytes) -> Package:
    """An engine that `build` made; only ever of our own cache, whose hash was checked. Raises EngineError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Package(data, torch.export.load(io.BytesIO(data)).module())
        # A damaged archive causes errors of many kinds: zip, JSON, pickle, TensorRT.
        except Exception as error:
            raise EngineError(f"TensorRT cannot read the engine: {first_line(error)}") from error


def _out_of_memory(error: Exception) -> bool:
    said = str(error).lower().replace("_", " ")
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in said or "outofmemory" in said


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
