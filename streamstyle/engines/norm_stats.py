"""The statistics that an engine keeps from frame to frame, and films painted with wrong ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import EngineError
from streamstyle.nets.layout import CodeLayout
from streamstyle.types import Engine, Picture, Repaint, Repainter, StyleCondition


class StatefulEngine(Engine, Protocol):
    """An engine whose `spec.stateful`: it paints with statistics mixed of the past and of the frame.

    Frames form a chain in the order of `start`, which waits for the frame before.
    """

    @property
    def norms(self) -> CodeLayout:
        """Layout of the statistics: of each normalising layer the deviations, then the means."""

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """Statistics that the last started frame was painted with, float32 (norms.size,): the past of the
        next one. None before the first frame. Setting replaces them. Raises EngineError."""

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None: ...


class SkippingEngine(Engine, Protocol):
    """An engine that does not paint every frame that it is given."""

    @property
    def painter(self) -> Engine:
        """Paints every frame that it is given, in the same way and with the same statistics."""


def as_stateful(engine: Engine) -> StatefulEngine | None:
    """The engine if its statistics can be set, otherwise None. Call it once, when an engine is opened.

    Looks at the class: reading `norm_stats` of an engine may wait for its device."""
    return cast(StatefulEngine, engine) if hasattr(type(engine), "norm_stats") else None


def painter_of(engine: Engine) -> Engine:
    """The engine that paints every frame for this one: `SkippingEngine.painter`, or itself."""
    return cast(SkippingEngine, engine).painter if hasattr(type(engine), "painter") else engine


class FrozenRepainter:
    """Implements `Repainter`: with the statistics frozen, a frame cannot pulse against the one before."""

    def __init__(self, engine: StatefulEngine) -> None:
        self._engine = engine

    def remember(self) -> Repaint:
        """See `streamstyle.types.Repainter`."""
        engine, past = self._engine, self._engine.norm_stats

        def again(pixels: Picture, condition: StyleCondition) -> Picture:
            present = engine.norm_stats
            engine.norm_stats = past
            picture = engine.start(pixels, replace(condition, ema_decay=1.0)).result()
            engine.norm_stats = present
            return picture

        return again


def repainter_of(engine: Engine) -> Repainter | None:
    """The repainter of an engine; None where it keeps no statistics."""
    painter = as_stateful(painter_of(engine))
    return None if painter is None else FrozenRepainter(painter)


class NormState:
    """The state of a stateful engine between two frames. norm_stats: see `StatefulEngine`."""

    def __init__(self, norms: CodeLayout) -> None:
        self.norms = norms
        self._norm_stats: NDArray[np.float32] | None = None

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """A copy; None before the first frame."""
        return None if self._norm_stats is None else self._norm_stats.copy()

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        if value is not None and value.shape != (self.norms.size,):
            raise EngineError(f"the network keeps {self.norms.size} statistics, not {value.shape}")
        self._norm_stats = None if value is None else np.array(value, np.float32)

    def inputs(self, ema_decay: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """past (1, norms.size) and ema_decay (1, 1) for the next frame; without a past, 0."""
        if self._norm_stats is None:
            return np.zeros((1, self.norms.size), np.float32), np.zeros((1, 1), np.float32)
        return self._norm_stats[None], np.full((1, 1), ema_decay, np.float32)


def paint_modulated(
    engine: Engine,
    pictures: Iterable[Picture],
    conditions: Iterable[StyleCondition],
    factors: Iterable[float],
    layers: Collection[str] | None = None,
) -> Iterator[Picture]:
    """Paint pictures with the statistics of each frame multiplied by a factor: flicker from inside.

    conditions: one per picture; their ema_decay is ignored. factors: one above 0 for each picture, on mean
    and deviation alike; 1 paints as the engine does with ema_decay 0, bit for bit. The other layers keep the
    statistics that they have without the factor. layers: names out of `engine.norms.names`, all where None.
    Frames whose factor is not 1 are painted twice.

    Raises EngineError where the engine keeps no statistics, ValueError for unknown layers, and where
    pictures, conditions and factors differ in number.
    """
    stateful = as_stateful(engine)
    if stateful is None:
        raise EngineError("this engine keeps no statistics; open one of the network's with stateful=True")
    chosen = set(stateful.norms.names if layers is None else layers)
    if unknown := chosen - set(stateful.norms.names):
        raise ValueError(f"no layers {sorted(unknown)}; there are {', '.join(stateful.norms.names)}")
    sizes = zip(stateful.norms.names, stateful.norms.channels, strict=True)
    modulated = np.concatenate([np.full(2 * count, name in chosen) for name, count in sizes])
    for pixels, condition, factor in zip(pictures, conditions, factors, strict=True):
        styled = stateful.start(pixels, replace(condition, ema_decay=0.0)).result()
        if factor != 1:
            norm_stats = stateful.norm_stats
            assert norm_stats is not None
            stateful.norm_stats = np.where(modulated, norm_stats * np.float32(factor), norm_stats)
            styled = stateful.start(pixels, replace(condition, ema_decay=1.0)).result()
        yield styled
