"""Frames a second that a run keeps with an engine on this machine: measured once, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from streamstyle.engines.cache import EngineCache, Recipe, cache_folder
from streamstyle.engines.exported import graph_hash
from streamstyle.engines.gpu import find_gpu
from streamstyle.engines.machine import OtherLoad, instruction_sets, processor_name, usable_cpus
from streamstyle.engines.size import REST_COST, USABLE_CPU_SHARE, bring_up_seconds, engine_seconds, half_size
from streamstyle.errors import EngineError
from streamstyle.types import Engine, StyleCondition

FIXED_COST = 2.0
"""Part of a frame's cost that is the same at any size (the detector's small pictures, queues), as a
multiple of bringing up one of 1280x720."""

MAX_OTHER_LOAD = 0.1
"""Share of the processors above which other programs may have slowed the measurement."""

_FIXED_PIXELS = 1280 * 720
_MEASURED_SECONDS = 0.2
_FORMAT = 1
_SOURCES = ("openvino_engine.py", "cpu_plan.py", "device.py", "pace.py")
_ON_CPU = ("openvino", "torch")
_LIBRARIES = ("openvino", "torch", "torch_tensorrt")


class EnginePace(msgspec.Struct, frozen=True):
    """One measurement. All in seconds a frame: painting: the engine alone, with its number of frames in
    flight; upsampling: enlarging the painting, 0 if it has the frame's size; rest: processor time of the rest
    of a run."""

    painting: float
    upsampling: float
    rest: float
    device: str
    """"cpu", or the GPU that paints."""
    cpus: int
    """Processors that were ours."""
    others: float
    """Share of these that others took meanwhile, 0..1."""

    @property
    def fps(self) -> float:
        """Frames a second of a whole run. An engine on the CPU shares the processors with all the rest; one
        on a GPU has that to itself, and no network makes the rest any faster."""
        if self.device != "cpu":
            return USABLE_CPU_SHARE / self.painting
        return USABLE_CPU_SHARE * self.cpus / (self.painting * self.cpus + self.upsampling + self.rest)

    @property
    def disturbed(self) -> bool:
        """True if the processors were busy with something else; `fps` is a lower bound then."""
        return self.others > MAX_OTHER_LOAD


def measured(
    open_engine: Callable[[], Engine],
    condition: StyleCondition,
    frame: tuple[int, int],
    working: tuple[int, int],
) -> EnginePace:
    """Open an engine that paints pictures of size `working` (height, width), of frames of size `frame`, and
    measure for about a second. condition: its codes fit the network. Raises the errors of `open_engine`."""
    rng = np.random.default_rng(0)
    engine = open_engine()
    try:
        other_load = OtherLoad()
        painting = engine_seconds(engine, rng.integers(0, 256, (*working, 3), np.uint8), condition)
        bring_up = _bring_up(*frame)
        others = other_load.share()
    finally:
        engine.close()
    upsampling, rest = 0.0 if working == frame else bring_up, bring_up * _multiple(*frame)
    return EnginePace(painting, upsampling, rest, engine.spec.device, usable_cpus(), round(others, 2))


def rest_seconds(height: int, width: int) -> float:
    """Processor time of all that a run does beside painting a frame, by `REST_COST` and `FIXED_COST`."""
    return _bring_up(height, width) * _multiple(height, width)


def _bring_up(height: int, width: int) -> float:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return bring_up_seconds(picture, half_size(height, width), _MEASURED_SECONDS)


def _multiple(height: int, width: int) -> float:
    return REST_COST + FIXED_COST * _FIXED_PIXELS / (height * width)


class PaceCache:
    """Measurements of this machine, stored beside the engines. engine: the name in the settings. notify: see
    `EngineCache`."""

    def __init__(self, engine: str = "openvino", notify: Callable[[str], None] = lambda _: None) -> None:
        self._engine = engine
        self._cache = EngineCache(cache_folder() / "paces", notify)

    @cached_property
    def _machine(self) -> dict[str, Any]:
        # To look for a GPU may import torch.
        gpu = "not asked for" if self._engine in _ON_CPU else find_gpu()
        return {
            "pace": _FORMAT,
            "engine": self._engine,
            "graph": graph_hash(*(Path(__file__).with_name(name) for name in _SOURCES)),
            "device": processor_name(),
            "instructions": instruction_sets(),
            "threads": usable_cpus(),
            "gpu": None if isinstance(gpu, str) else gpu.to_json(),
            "libraries": {name: _installed(name) for name in _LIBRARIES},
        }

    def find(self, key: Mapping[str, Any]) -> EnginePace | None:
        """The kept measurement; None where nothing is. key: JSON values; all that the pace depends on beside
        the machine."""
        return self._cache.find(self._recipe("", key)) if self._cache.folder.is_dir() else None

    def keep(self, key: Mapping[str, Any], pace: EnginePace, what: str) -> None:
        """Store it. what: network and size, for messages."""
        busy = f", measured beside others that took {pace.others:.0%}" if pace.disturbed else ""
        self._cache.keep(self._recipe(f"{what}: about {pace.fps:.3g} fps in a run{busy}", key), pace)

    def sentences(self) -> list[str]:
        """All that is kept, for people; the last used first."""
        return [manifest.what for manifest in self._cache.manifests()]

    def clear(self) -> None:
        """Remove everything that is kept. Raises EngineError."""
        self._cache.clear()

    def _recipe(self, what: str, key: Mapping[str, Any]) -> Recipe[EnginePace]:
        return Recipe(what, {**self._machine, **key}, _unmeasured, msgspec.json.encode, _decoded)


def _unmeasured() -> EnginePace:
    raise EngineError("a pace is measured, not compiled")


def _decoded(data: bytes) -> EnginePace:
    try:
        return msgspec.json.decode(data, type=EnginePace)
    except msgspec.MsgspecError as error:
        raise EngineError(f"it cannot be read: {error}") from error


def _installed(library: str) -> str:
    """The time when a library was installed, empty if it is not: an update may be faster. Reading its version
    would take ten times as long, while frames of a live source wait."""
    try:
        spec = find_spec(library)
        return "" if spec is None or spec.origin is None else str(Path(spec.origin).stat().st_mtime_ns)
    except OSError:
        return ""
