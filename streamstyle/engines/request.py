"""The request for an engine, and the protocol of everything that opens one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Engine


@dataclass(frozen=True)
class NetworkWeights:
    """A generator, as a style bundle holds it."""

    architecture: Mapping[str, Any]
    """See `GeneratorConfig`."""
    weights: Mapping[str, NDArray[np.generic]]
    """Weights by the names of the generator's state."""
    label: str = "the network"
    """Name for messages, as in "`label` for WxH"; the name of a bundled network."""


@dataclass(frozen=True)
class CompileOrder:
    """Everything that a process needs to compile an engine into the cache for another one. Plain values."""

    model: str
    """Name of a bundled network or an imported model."""
    engine: str
    height: int
    width: int
    imported: bool = False
    precision: str = "auto"
    stateful: bool = False
    masks: bool = False
    strength: float = 1.0
    """Share of the painting of an imported model in the picture, 0..1."""


class EngineCompiler(Protocol):
    """Compiles into the cache, so that the caller's thread need not."""

    def compile(self, order: CompileOrder, what: str) -> None:
        """Wait until it is compiled. what: name for messages. Raises the errors of compiling."""


def _ignore(_sentence: str) -> None:
    pass


@dataclass(frozen=True)
class EngineRequest:
    """Request for an engine. Openers pass it on, changed or not, to the opener inside them."""

    height: int
    """Pixels of the frames that the engine is given."""
    width: int
    network: NetworkWeights | None = None
    """The network; None for openers that have their own."""
    engine: str = "auto"
    """A name of `ENGINES`; "auto" takes the first of them that opens."""
    precision: str = "auto"
    """One of the engine's `PRECISIONS`."""
    stateful: bool = False
    """Average the statistics of the normalisation over the frames, so that conditions may set `ema_decay`.
    Paints one frame at a time then, which is slower."""
    masks: bool = False
    """True if conditions will have masks. Otherwise the first mask opens a slower graph."""
    halvings: int = 0
    """Number of times that engines on a device halve input and painting for `InferenceFuture.analysis`."""
    tile: tuple[int, int] | None = None
    """(height, width) to cut frames into; None cuts them only where memory lacks."""
    rate: Fraction | None = None
    """Frames per second of the source; None where unknown."""
    leave_gpu: bool = True
    """True if "auto" may paint on the processor where the GPU lacks memory for this size."""
    why: str = ""
    """The reason that "auto" took no better engine."""
    notify: Callable[[str], None] = _ignore
    """Gets a sentence when an engine is compiled, and why it cannot be kept for the next start."""
    compiler: EngineCompiler | None = None
    """Compiles in another process, for callers that must not block. None compiles in this one."""

    def at(self, height: int, width: int) -> Self:
        """The same for pictures of another size, which are then not those that are judged."""
        same = (height, width) == (self.height, self.width)
        return replace(self, height=height, width=width, halvings=self.halvings if same else 0)

    @property
    def given_network(self) -> NetworkWeights:
        """The network. Only for openers of networks."""
        assert self.network is not None, "an opener of networks was asked without one"
        return self.network

    @property
    def what(self) -> str:
        """Network and size, for people."""
        return f"{self.given_network.label} for {self.width}x{self.height}"

    def compile_order(self, engine: str, precision: str) -> CompileOrder:
        """The order for `compiler`: a bundled network on the engine of this name."""
        return CompileOrder(
            self.given_network.label,
            engine,
            self.height,
            self.width,
            precision=precision,
            stateful=self.stateful,
            masks=self.masks,
        )


class EngineOpener(Protocol):
    """Opens engines. Openers wrap openers: tiles, sizes, keyframes."""

    def open(self, request: EngineRequest) -> Engine:
        """Open an engine, which may take minutes.

        Raises ConfigError for an unknown name or precision, EngineMemoryError where frames of this size do
        not fit into memory, EngineError where the engine cannot be had, ModelError.
        """


@dataclass(frozen=True)
class SizeOpener:
    """Implements `EngineOpener` for engines with a choice of size only."""

    open_size: Callable[[int, int], Engine]
    """Opens an engine for (height, width)."""

    def open(self, request: EngineRequest) -> Engine:
        """See `EngineOpener`."""
        return self.open_size(request.height, request.width)
