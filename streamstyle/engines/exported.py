"""The network as a graph that a compiler reads: its inputs, and `torch.export` of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.buckets import Bucket
from streamstyle.engines.cache import source_hash, weights_hash
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import CANVAS_CHANNELS, SIZE_MULTIPLE

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from streamstyle.nets.ema_norm import StatefulFrameGenerator
    from streamstyle.nets.generator import FrameGenerator

NETS = Path(__file__).parents[1] / "nets"
_SOURCES = ("generator", "phases", "ema_norm", "layout", "noise", "patterns", "deployed", "packed")


def graph_hash(*engine: Path) -> str:
    """Hash of all source files that define the network's graph. engine: the files that compile and run it."""
    return source_hash(*(NETS / f"{name}.py" for name in _SOURCES), Path(__file__), *engine)


def graph_key(
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    engine: Path,
    *,
    stateful: bool,
) -> dict[str, Any]:
    """Everything that a compiled network depends on, but for size, precision, library and device. engine: the
    compiling file."""
    return {
        "architecture": dict(architecture),
        "weights": weights_hash(weights),
        "graph": graph_hash(engine),
        "holds": stateful,
    }


def input_shapes(
    size: tuple[int, int], config: GeneratorConfig, *, stateful: bool
) -> list[tuple[list[int], torch.dtype]]:
    """Shapes of frames, codes, mask and canvas, and of past statistics and EMA decay, in the order of the
    network's `forward`."""
    import torch

    height, width = size
    state = [([1, config.norms.size], torch.float32), ([1, 1], torch.float32)]
    return [
        ([1, height, width, 3], torch.uint8),
        ([1, 2, config.layout.size], torch.float32),
        ([1, 1, height // 2, width // 2], torch.uint8),
        ([1, CANVAS_CHANNELS, height // SIZE_MULTIPLE, width // SIZE_MULTIPLE], torch.float32),
        *(state if stateful else []),
    ]


def deployed_network(
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    precision: str,
    device: torch.device,
    *,
    stateful: bool,
) -> FrameGenerator | StatefulFrameGenerator:
    """The network of a bundle in `precision` on `device`, channels last. Raises ModelError."""
    import torch

    from streamstyle.nets.deployed import deployed
    from streamstyle.nets.generator import restore_generator

    network = deployed(restore_generator(architecture, weights), precision, stateful=stateful)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def export(
    network: torch.nn.Module, config: GeneratorConfig, size: tuple[int, int] | Bucket, *, stateful: bool
) -> ExportedProgram:
    """The graph of a network that takes `input_shapes`, for one padded size or for all of a bucket."""
    import torch
    from torch.export import Dim

    dynamic = None
    if isinstance(size, Bucket):
        sides = {"rows": size.height, "columns": size.width}
        rows, columns = (
            Dim(name, min=s.low // SIZE_MULTIPLE, max=s.high // SIZE_MULTIPLE) for name, s in sides.items()
        )
        eight, half = SIZE_MULTIPLE, SIZE_MULTIPLE // 2
        dynamic = (
            {1: eight * rows, 2: eight * columns},
            None,
            {2: half * rows, 3: half * columns},
            {2: rows, 3: columns},
            *([None, None] if stateful else []),
        )
        size = size.height.usual, size.width.usual
    device = next(network.parameters()).device
    shapes = input_shapes(size, config, stateful=stateful)
    example = tuple(torch.zeros(shape, dtype=dtype, device=device) for shape, dtype in shapes)
    return torch.export.export(network, example, dynamic_shapes=dynamic)
