"""Times of the network's layers in OpenVINO, by its own counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.openvino_engine import convert, import_openvino
from streamstyle.engines.padding import Padding
from streamstyle.nets.noise import SIZE_MULTIPLE

_FRAMES = 20


class Layer(msgspec.Struct, frozen=True):
    """Time of one layer of the network."""

    name: str
    """Name in the converted graph."""
    kind: str
    """Kind of layer, such as "Convolution" or "MVN"."""
    kernel: str
    """The kernel that computes it."""
    milliseconds: float
    """Milliseconds of a frame, the least that was measured."""
    share: float
    """Share of the time of all layers."""


def layer_times(
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    height: int,
    width: int,
) -> list[Layer]:
    """All layers that took time, the slowest first, for one frame after the other on one processor. The
    counters themselves take time: shares are worth more than milliseconds."""
    ov = import_openvino()
    size = Padding.to_multiple(height, width, SIZE_MULTIPLE).padded_size
    options = {"PERF_COUNT": "YES", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    compiled = ov.Core().compile_model(convert(ov, architecture, weights, size), "CPU", options)
    rng = np.random.default_rng(0)
    inputs = [
        (200 * rng.random(tuple(port.shape))).astype(port.element_type.to_dtype()) for port in compiled.inputs
    ]
    request = compiled.create_infer_request()
    least: dict[tuple[str, str, str], float] = {}
    for _ in range(_FRAMES):
        request.infer(inputs, share_inputs=True)
        for node in request.get_profiling_info():
            key, seconds = (node.node_name, node.node_type, node.exec_type), node.real_time.total_seconds()
            least[key] = min(seconds, least.get(key, seconds))
    total = sum(least.values())
    slowest = sorted(least.items(), key=lambda item: -item[1])
    return [Layer(*key, round(1e3 * s, 3), round(s / total, 4)) for key, s in slowest if s]
