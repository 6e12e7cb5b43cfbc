"""Engines of others on a CPU, behind our engine protocol, to be measured beside ours. No run paints with
them.

torch, inductor, aotinductor and onnxruntime run our own network. classic runs the feed-forward style network
of one style that most programs are built on (Johnson et al. 2016), in torch eager, with random weights: only
its cost is measured.
"""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.conditioning import Conditioning
from streamstyle.engines.exported import deployed_network, input_shapes
from streamstyle.engines.machine import usable_cpus
from streamstyle.engines.padding import Padding
from streamstyle.errors import ConfigError, EngineError, nearest
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import Engine, EngineSpec, InferenceFuture, Picture, StyleCondition

Inputs = tuple[NDArray[Any], ...]
Network = Callable[[Inputs], NDArray[np.uint8]]
"""Frames, codes, mask and canvas, as `FrameGenerator` takes them, to painted frames."""

_ONNX_OPSET = 18


class BaselineEngine:
    """Implements `Engine`: runs each frame to its end in `start`, on all processors."""

    def __init__(self, name: str, network: Network, code_size: int, height: int, width: int) -> None:
        """code_size: of one style code; 0 for a network that knows no codes."""
        self.spec = EngineSpec(name, "fp32", "cpu", in_flight=0)
        self.busy_seconds = 0.0
        self._network = network
        self._padding = Padding.to_multiple(height, width, SIZE_MULTIPLE)
        self._conditioning = Conditioning(self._padding, code_size)

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        started = time.perf_counter()
        codes, mask = self._conditioning.of(condition)
        painted = self._network(
            (self._padding.pad(pixels).copy()[None], codes, mask, self._conditioning.canvas_of(condition))
        )
        styled = self._padding.crop(painted[0])
        self.busy_seconds += time.perf_counter() - started
        return InferenceFuture(lambda: styled)

    def close(self) -> None:
        """Do nothing: the garbage collector frees all."""


def open_baseline_engine(
    name: str,
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    height: int,
    width: int,
) -> Engine:
    """Open one of PEERS for frames of `height` x `width`; compiling takes up to minutes.

    Raises ConfigError for an unknown name, EngineError where a program or package is missing.
    """
    if name not in PEERS:
        raise ConfigError(f"unknown peer '{name}'{nearest(name, PEERS)}; known are {', '.join(PEERS)}")
    if name == "classic":
        return BaselineEngine("classic network, torch eager", _classic(), 0, height, width)
    import torch

    # Channels last and with folded kernels: the form in which torch and its compilers are fastest.
    network = deployed_network(architecture, weights, "fp32", torch.device("cpu"), stateful=False)
    config = GeneratorConfig.from_json(architecture)
    size = height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's compilers, to their own developers
        try:
            run = PEERS[name](network, _example(size, config))
        except (RuntimeError, OSError) as error:
            raise EngineError(f"{name} cannot compile the network: {str(error).splitlines()[0]}") from error
    return BaselineEngine(name, run, config.layout.size, height, width)


def _example(size: tuple[int, int], config: GeneratorConfig) -> tuple[Any, ...]:
    import torch

    return tuple(torch.zeros(s, dtype=d) for s, d in input_shapes(size, config, stateful=False))


def _on_torch(network: Any) -> Network:
    import torch

    def run(inputs: Inputs) -> NDArray[np.uint8]:
        with torch.inference_mode():
            painted: NDArray[np.uint8] = network(*map(torch.from_numpy, inputs)).numpy()
        return painted

    return run


def _classic() -> Network:
    import torch

    from streamstyle.nets.transformer import TransformerNet

    torch.manual_seed(0)
    network = TransformerNet().eval()

    def paint(frames: Any, *_: Any) -> Any:
        y = network(frames.permute(0, 3, 1, 2).float()).clamp(0, 255).byte()
        return y.permute(0, 2, 3, 1).contiguous()

    return _on_torch(paint)


def _eager(network: Any, _example: tuple[Any, ...]) -> Network:
    return _on_torch(network)


def _inductor(network: Any, example: tuple[Any, ...]) -> Network:
    import torch

    def compiled(program: Any) -> Any:
        run: Any = torch.compile(program.module(), dynamic=False)
        with torch.inference_mode():
            run(*example)
        return run

    return _on_torch(_by_inductor(compiled, network, example))


def _aotinductor(network: Any, example: tuple[Any, ...]) -> Network:
    import torch

    inductor: Any = torch._inductor  # torch exports no types for these two
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "network.pt2")

        def compiled(program: Any) -> Any:
            inductor.aoti_compile_and_package(program, package_path=path)
            return inductor.aoti_load_package(path)

        return _on_torch(_by_inductor(compiled, network, example))


def _by_inductor(compiled: Callable[[Any], Any], network: Any, example: tuple[Any, ...]) -> Any:
    """Compile the exported network by `compiled`.

    torch 2.13's inductor fails in some sizes and layouts on a replication pad that follows a pixel shuffle
    ("vr must not be None"): then of a network that joins slices, which may be slower.
    """
    import torch
    from torch import Tensor

    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise EngineError(f"torch compiles with {compiler}, which is missing: apt install g++")

    def joined(x: Tensor, padding: list[int]) -> Tensor:
        for axis, (before, after) in zip((3, 2), (padding[:2], padding[2:]), strict=True):
            first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
            x = torch.cat([*[first] * before, x, *[last] * after], axis)
        return x

    with torch.no_grad():
        program = torch.export.export(network, example)
        try:
            return compiled(program)
        except RuntimeError:
            table = torch.export.default_decompositions()
            table[torch.ops.aten.replication_pad2d.default] = joined
            return compiled(program.run_decompositions(table))


def _onnxruntime(network: Any, example: tuple[Any, ...]) -> Network:
    import torch

    try:
        import onnx  # noqa: F401 - torch's exporter needs it
        import onnxruntime
    except ImportError as error:
        raise EngineError("onnxruntime is not installed: pip install onnx onnxruntime") from error
    names = ["frames", "codes", "mask", "canvas"]
    file: Any = BytesIO()  # torch's types know of paths only
    # The newer exporter (dynamo=True) needs one package more and gives the same graph.
    torch.onnx.export(network, example, file, dynamo=False, opset_version=_ONNX_OPSET, input_names=names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> NDArray[np.uint8]:
        painted: NDArray[np.uint8] = session.run(None, dict(zip(names, inputs, strict=True)))[0]
        return painted

    return run


PEERS: Mapping[str, Callable[[Any, tuple[Any, ...]], Network]] = {
    "torch": _eager,
    "inductor": _inductor,
    "aotinductor": _aotinductor,
    "onnxruntime": _onnxruntime,
    "classic": lambda _network, _example: _classic(),
}
