"""The number of OpenVINO's streams on a machine, found by measuring and kept with the engine.

Several streams paint several frames at once, each on its part of the processors. Two streams are faster than
one on some machines and sizes and slower on others: memory bandwidth decides, which no table knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from streamstyle.engines.cache import EngineCache, Recipe
from streamstyle.engines.machine import instruction_sets, usable_cpus
from streamstyle.errors import EngineError
from streamstyle.types import EngineSpec

MIN_MEASURED_PIXELS = 320 * 180
"""Smaller frames are fast in any plan, and to measure would take longer than it gives."""

MAX_PIXELS_IN_FLIGHT = 8 * 1920 * 1080
"""Most pixels of all frames in flight, where there are more than two: each takes memory."""

MAX_STREAMS = 8
_MIN_SPEEDUP = 1.03  # a plan with more frames in flight delays them: it must be faster than this
_ROUNDS = 2
_ROUND_SECONDS = 0.15


class CpuPlan(msgspec.Struct, frozen=True):
    """The way to share the processors among frames."""

    streams: int
    """Number of frames that are painted at once."""
    fps: dict[str, float] = {}
    """Measured frames per second, by number of streams; empty where nothing was measured."""


@dataclass(frozen=True)
class CompiledModel:
    """A compiled model and the plan that it runs in."""

    compiled: Any
    """OpenVINO's compiled model."""
    plan: CpuPlan
    """The plan."""
    data: bytes
    """The model as OpenVINO exported it."""


def candidates(threads: int, pixels: int, *, most: int) -> list[int]:
    """Numbers of streams to try, the fewest first, for frames of so many pixels; at most `most` of them. One
    number where there is nothing to choose."""
    roof = min(threads, most, max(2, MAX_PIXELS_IN_FLIGHT // pixels))
    if pixels < MIN_MEASURED_PIXELS:
        return [min(2, roof)]
    return sorted({n for n in (1, 2, 4, threads // 4, threads // 2, threads) if 1 <= n <= roof})


def chosen(fps: Mapping[int, float]) -> int:
    """The fastest number of streams; of those that are as fast within 3 %, the smallest."""
    best = max(fps.values())
    return min(streams for streams, rate in fps.items() if rate * _MIN_SPEEDUP >= best)


def frames_per_second(compiled: Any, streams: int) -> float:
    """Frames a second of a compiled model with so many in flight; the better of two short rounds."""
    rng = np.random.default_rng(0)
    # No zeros: a network of them may run into denormal numbers, which are slow.
    inputs = {
        place: (200 * rng.random(tuple(port.shape))).astype(port.element_type.to_dtype())
        for place, port in enumerate(compiled.inputs)
    }
    requests = [compiled.create_infer_request() for _ in range(streams)]

    def paint(seconds: float) -> float:
        started, count = time.perf_counter(), 0
        for request in requests:
            request.start_async(inputs, share_inputs=True)
        while time.perf_counter() - started < seconds:
            requests[count % streams].wait()
            requests[count % streams].start_async(inputs, share_inputs=True)
            count += 1
        for request in requests:
            request.wait()
        return (count + streams) / (time.perf_counter() - started)

    paint(0)
    return max(paint(_ROUND_SECONDS) for _ in range(_ROUNDS))


def cpu_precision(capabilities: Collection[str], instructions: str) -> str:
    """bf16 if it is faster than fp32, which it is not with AVX-512's instructions alone.

    capabilities: those of the processor, from OpenVINO. instructions: see `instruction_sets`.
    """
    x86_without_amx = "avx" in instructions and "amx_bf16" not in instructions.split()
    return "bf16" if "BF16" in capabilities and not x86_without_amx else "fp32"


class _Processors:
    """All processors that this process may run on, as OpenVINO's device."""

    def __init__(self, ov: ModuleType) -> None:
        from importlib.metadata import version

        self.threads = usable_cpus()
        self._core = ov.Core()
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = cpu_precision(capabilities, instruction_sets())
        self.made_from = {
            "engine": "openvino",
            "library": ov.get_version(),
            "torch": version("torch"),
            "device": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "instructions": instruction_sets(),
            "precision": self.precision,
            "threads": self.threads,
        }

    def compiled(self, model: Any, numbers: Sequence[int], *, measure: bool) -> CompiledModel:
        """A model in the best of these numbers of streams, or, not measured, in two."""
        usual = min(2, numbers[-1])
        compiled = self._core.compile_model(model, "CPU", self._options(usual))
        if not measure:
            return CompiledModel(compiled, CpuPlan(usual), b"")
        # Export this model: OpenVINO cannot read the export of a model that it has read from a file.
        data = compiled.export_model().getvalue()
        if len(numbers) == 1:
            return CompiledModel(compiled, CpuPlan(usual), data)
        models = {usual: compiled} | {n: self._read(data, n) for n in numbers if n != usual}
        fps = {streams: frames_per_second(models[streams], streams) for streams in numbers}
        best = chosen(fps)
        return CompiledModel(
            models[best], CpuPlan(best, {str(n): round(rate, 1) for n, rate in fps.items()}), data
        )

    def load(self, data: bytes) -> CompiledModel:
        """Inverse of `_exported`. Raises EngineError."""
        head, _, model = data.partition(b"\n")
        try:
            plan = msgspec.json.decode(head, type=CpuPlan)
            return CompiledModel(self._read(model, plan.streams), plan, model)
        except (RuntimeError, msgspec.MsgspecError) as error:
            raise EngineError(f"OpenVINO cannot read the compiled model: {error}") from error

    def _read(self, data: bytes, streams: int) -> Any:
        return self._core.import_model(data, "CPU", self._options(streams))

    def _options(self, streams: int) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp32": "f32"}[self.precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": streams,
            # Decoder, encoder and repair take their turns on the same processors.
            "ENABLE_CPU_PINNING": False,
        }


def compiled_for_cpu(
    ov: ModuleType,
    convert: Callable[[], Any],
    key: Mapping[str, Any],
    *,
    cache: EngineCache | None,
    what: str,
    pixels: int,
    most_streams: int = MAX_STREAMS,
) -> tuple[Any, EngineSpec]:
    """A model compiled for frames per second, in bf16 if the CPU is faster with it, from `cache` on a cache
    hit.

    The number of streams is the fastest one, measured when the model was compiled; without a cache it is not
    measured. convert: makes the OpenVINO model on a cache miss. key: everything that the model depends on.
    what: model and size, for messages. pixels: of a frame. most_streams: 1 if a frame depends on the previous
    one. Raises the errors of OpenVINO and `convert`.
    """
    cpu = _Processors(ov)
    numbers = candidates(cpu.threads, pixels, most=most_streams)
    recipe = Recipe(
        what,
        {**key, **cpu.made_from, "streams": numbers},
        compile=lambda: cpu.compiled(convert(), numbers, measure=cache is not None),
        export=_exported,
        load=cpu.load,
    )
    planned = recipe.compile() if cache is None else cache.get(recipe)
    streams, plan = planned.plan.streams, _plan_text(planned.plan, cpu.threads)
    return planned.compiled, EngineSpec("openvino", cpu.precision, "cpu", in_flight=streams, plan=plan)


def _exported(planned: CompiledModel) -> bytes:
    """The plan as a line of JSON, then OpenVINO's exported model."""
    return msgspec.json.encode(planned.plan) + b"\n" + planned.data


def _plan_text(plan: CpuPlan, threads: int) -> str:
    each, s = max(1, threads // plan.streams), "s" if plan.streams > 1 else ""
    told = f"{plan.streams} stream{s} of {each} thread{'s' if each > 1 else ''}"
    others = ", ".join(f"{fps:g} fps in {streams}" for streams, fps in plan.fps.items())
    return f"{told} (measured: {others})" if others else told
