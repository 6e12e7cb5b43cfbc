"""The CPU engine: OpenVINO, bf16 where the CPU computes it, several requests in flight."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.cache import EngineCache
from streamstyle.engines.completion import Completion
from streamstyle.engines.conditioning import Conditioning
from streamstyle.engines.cpu_plan import MAX_STREAMS, compiled_for_cpu
from streamstyle.engines.exported import graph_key, input_shapes
from streamstyle.engines.memory import engine_error
from streamstyle.engines.norm_stats import NormState
from streamstyle.engines.packing import FramePacker
from streamstyle.engines.padding import Padding
from streamstyle.engines.pattern_mixing import PatternMixer
from streamstyle.engines.request import EngineRequest
from streamstyle.errors import EngineError, ModelError
from streamstyle.nets.layout import BLOCK_BYTES, CodeLayout, GeneratorConfig
from streamstyle.nets.noise import SIZE_MULTIPLE, WOVEN_CHANNELS
from streamstyle.types import EngineSpec, InferenceFuture, Picture, StyleCondition

if TYPE_CHECKING:
    from torch import Tensor, nn


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry. Raises EngineError where it is not installed.

    `import openvino` alone forks processes that call an analytics host. With its telemetry package
    hidden, OpenVINO falls back to its own silent stub.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise EngineError("the openvino engine needs the package openvino: pip install openvino") from error
    return openvino  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class _Slot:
    """One frame in flight: its request, and the memory that it reads from."""

    request: Any
    packer: FramePacker


class OpenVinoEngine:
    """One compiled graph per frame size; style codes, mask and canvas are inputs of it.

    A request with masks opens the graph with masks. Otherwise the first condition with a mask opens it, and
    it paints from then on, so that runs without masks are faster. cache: None compiles at every start. Raises
    EngineError, ModelError.
    """

    _STATEFUL = False

    def __init__(self, request: EngineRequest, cache: EngineCache | None = None) -> None:
        ov, stateful = import_openvino(), self._STATEFUL
        architecture, weights = request.given_network.architecture, request.given_network.weights
        try:
            self._config = GeneratorConfig.from_json(architecture)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the bundle's architecture cannot be read: {error}") from error
        self._padding = Padding.to_multiple(request.height, request.width, SIZE_MULTIPLE)
        self._conditioning = Conditioning(self._padding, self._config.layout.size, stateful=stateful)
        self._mixer = PatternMixer(self._config) if self._config.patterns else None
        size = self._padding.padded_size
        key = graph_key(architecture, weights, Path(__file__), stateful=stateful)

        def open_graph(*, masks: bool) -> tuple[Any, EngineSpec]:
            regional = " with a region" if masks and not stateful else ""
            try:
                compiled, spec = compiled_for_cpu(
                    ov,
                    lambda: convert(ov, architecture, weights, size, stateful=stateful, masks=masks),
                    {**key, "size": list(size), "masks": masks},
                    cache=cache,
                    what=request.what + regional,
                    pixels=size[0] * size[1],
                    most_streams=1 if stateful else MAX_STREAMS,
                )
            except (RuntimeError, MemoryError) as error:
                raise engine_error("OpenVINO cannot compile the network", error) from error
            return compiled, replace(spec, stateful=stateful, masks=masks, why=request.why)

        self._open_graph = open_graph
        self._compiled, self._spec = open_graph(masks=request.masks or stateful)
        self._idle: deque[_Slot] = deque()
        self._under_way: set[_Slot] = set()
        self._calls = False  # whether requests call back
        self._busy_seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """`precision` is the one that the CPU really uses."""
        return self._spec

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`."""
        return self._busy_seconds

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        return self._begin(pixels, condition)[1]

    def _begin(
        self, pixels: Picture, condition: StyleCondition, *state: NDArray[np.float32]
    ) -> tuple[Any, InferenceFuture]:
        """The request that paints, and the call that waits for the picture. state: further inputs."""
        if condition.mask is not None and not self._spec.masks:
            self._compiled, self._spec = self._open_graph(masks=True)
            self._idle = deque()  # frames that are under way keep the graph and the slots that they have
        codes, mask = self._conditioning.of(condition)
        idle = self._idle
        slot = idle.popleft() if idle else self._slot()
        request, packer = slot.request, slot.packer
        completion = self._completion(request)
        packer.pack(self._padding.pad(pixels))
        fields = self._conditioning.fields_of(condition)
        read = 2 if self._spec.masks else 1  # codes
        styles = (codes, mask) if self._spec.masks else (codes[:, 0],)
        mixed = [] if self._mixer is None else [self._mixer.mixed(codes[0, :read], fields)]
        inputs = (packer.blocks, *styles, fields.woven[None], *state, *mixed)
        # share_inputs: no copy in; the request keeps the arrays alive until its next start.
        request.start_async(dict(enumerate(inputs)), share_inputs=True)
        self._under_way.add(slot)

        def wait() -> Picture:
            _finish(request)
            self._under_way.discard(slot)
            styled = packer.unpack(request.get_output_tensor(0).data)
            self._busy_seconds += request.latency / 1e3 / self._spec.in_flight
            idle.append(slot)
            return styled if styled.shape == pixels.shape else self._padding.crop(styled)

        def on_ready(call: Callable[[], None]) -> bool:
            self._calls = True
            return completion is not None and completion.then(call)

        def is_ready() -> bool:
            return (completion is not None and completion.done) or bool(request.wait_for(0))

        return request, InferenceFuture(wait, is_ready, on_ready)

    def _completion(self, request: Any) -> Completion | None:
        """Called by OpenVINO's thread, only if requested, because it waits for Python's lock."""
        if not self._calls:
            return None
        completion = Completion()
        request.set_callback(Completion.finish, completion)
        return completion

    def _slot(self) -> _Slot:
        return _Slot(self._compiled.create_infer_request(), FramePacker(*self._padding.padded_size))

    def close(self) -> None:
        """Drop the requests. One that calls back is waited for: it must not do so in a process that ends."""
        self._idle.clear()
        for slot in self._under_way if self._calls else ():
            with suppress(EngineError):  # the picture is not needed
                _finish(slot.request)
        self._under_way.clear()


class StatefulOpenVinoEngine(OpenVinoEngine):
    """The same with statistics as state in, state out; implements `StatefulEngine`.

    A frame needs the statistics of the previous one, so two cannot run at once: `start` waits for the
    previous frame, and each frame gets all processors.
    """

    _STATEFUL = True
    _running: Any = None

    @cached_property
    def _state(self) -> NormState:
        return NormState(self._config.norms)

    @property
    def norms(self) -> CodeLayout:
        """See `StatefulEngine`."""
        return self._state.norms

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """See `StatefulEngine`; waits for the frame that is under way."""
        self._settle()
        return self._state.norm_stats

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        self._settle()
        self._state.norm_stats = value

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        self._settle()
        past, ema_decay = self._state.inputs(condition.ema_decay)
        self._running, pending = self._begin(pixels, condition, past, ema_decay)
        return pending

    def _settle(self) -> None:
        """Let the frame that is under way finish, and keep its statistics."""
        if self._running is not None:
            request, self._running = self._running, None
            _finish(request)
            self._state.norm_stats = request.get_output_tensor(1).data[0]

    def close(self) -> None:
        """Drop the requests."""
        self._running = None
        super().close()


def _finish(request: Any) -> None:
    try:
        request.wait()
    except RuntimeError as error:
        raise engine_error("the openvino engine failed on a frame", error) from error


def convert(
    ov: ModuleType,
    architecture: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.generic]],
    size: tuple[int, int],
    *,
    stateful: bool = False,
    masks: bool = False,
) -> Any:
    """The network as an OpenVINO model for frames of `size` (height, width), multiples of 8. masks: it reads
    two codes and a mask instead of one code; so does every graph with statistics."""
    # Here and not above: a start from the cache must not wait for torch.
    import torch

    from streamstyle.nets.generator import restore_generator
    from streamstyle.nets.packed import (
        PackedFrameGenerator,
        PlainPackedFrameGenerator,
        StatefulPackedFrameGenerator,
    )

    generator = restore_generator(architecture, weights)
    plain = not (stateful or masks)
    if stateful:
        network: PackedFrameGenerator = StatefulPackedFrameGenerator(generator)
    else:
        network = PlainPackedFrameGenerator(generator) if plain else PackedFrameGenerator(generator)
    # The trace runs the network once. A small frame serves: sizes are recorded as operations, and OpenVINO
    # then fixes them to `shapes`. At 1080p a full frame took seconds and 0.8 GB more.
    side = 8 * SIZE_MULTIPLE
    inputs = _input_shapes((side, side), generator.config, stateful=stateful, plain=plain)
    example = tuple(torch.zeros(shape, dtype=dtype) for shape, dtype in inputs)
    wanted = _input_shapes(size, generator.config, stateful=stateful, plain=plain)
    return traced(ov, network, example, [shape for shape, _ in wanted])


def traced(ov: ModuleType, network: nn.Module, example: Sequence[Tensor], shapes: Sequence[list[int]]) -> Any:
    """A torch module as an OpenVINO model with inputs of these shapes. example: inputs of any size, on which
    the module runs once."""
    import torch
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings():
        # OpenVINO's converter uses torch.jit.trace, which torch deprecates. Its other way in,
        # torch.export, converts slower and gives a graph of twice the cost. Torch's checks of
        # sizes become constants in the trace; they hold for every size.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # By default the trace is checked: the module runs twice more, and the comparison imports SymPy and
        # torch.distributed, which takes most of the time until the first painted frame.
        module = TorchScriptPythonDecoder(
            network, example_input=tuple(example), trace_kwargs={"check_trace": False}
        )
        return ov.convert_model(module, input=[ov.PartialShape(shape) for shape in shapes])


def _input_shapes(
    size: tuple[int, int], config: GeneratorConfig, *, stateful: bool, plain: bool
) -> list[tuple[list[int], Any]]:
    """Shapes and types of the inputs of the networks of `streamstyle.nets.packed`. plain: one code and no
    mask."""
    (_, levels), (codes, floats), mask, canvas, *state = input_shapes(size, config, stateful=stateful)
    height, width = size
    blocks = [1, (height // 2 + 2) * (width // 2 + 2), BLOCK_BYTES]
    styles = [([1, codes[-1]], floats)] if plain else [(codes, floats), mask]
    woven = [1, WOVEN_CHANNELS, *canvas[0][2:]], floats
    mixed = [2 if plain else 4, height * width // 4, config.widths[0]], floats
    return [(blocks, levels), *styles, woven, *state, *([mixed] if config.patterns else [])]
