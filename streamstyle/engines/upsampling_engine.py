"""Paint at a smaller size and upsample the painting (see `upsampling`)."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.norm_stats import StatefulEngine, as_stateful, painter_of
from streamstyle.engines.upsampling import GuidedUpsampling, reduced
from streamstyle.nets.layout import CodeLayout
from streamstyle.types import Engine, EngineSpec, InferenceFuture, Picture, StyleCondition


def upsampled(inner: Engine, height: int, width: int, working: tuple[int, int]) -> Engine:
    """An engine for frames of `height` x `width` that paints at `working` (height, width), which `inner` is
    open for; `inner` itself where that is the frame's size."""
    if working == (height, width):
        return inner
    stateful = as_stateful(inner)
    if stateful is not None:
        return StatefulUpsamplingEngine(stateful, height, width, working)
    return UpsamplingEngine(inner, height, width, working)


class UpsamplingEngine:
    """Implements `Engine` for larger frames than `inner` paints.

    The call that waits for a painting enlarges it, in the caller's thread, while the engine goes on with the
    next frame.
    """

    def __init__(self, inner: Engine, height: int, width: int, working: tuple[int, int]) -> None:
        """working: (height, width) of `inner`."""
        self._inner = inner
        self._size = height, width
        self._working = working
        self._upsampled = GuidedUpsampling(height, width, working)
        self._condition: tuple[StyleCondition, StyleCondition] | None = None
        painter = painter_of(inner)
        self._painter = self if painter is inner else upsampled(painter, height, width, working)
        self._seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """Spec of the inner engine, with the size that it paints at."""
        return replace(self._inner.spec, size=(self._working[1], self._working[0]))

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`; reducing and bringing up are part of it."""
        return self._inner.busy_seconds + self._seconds

    @property
    def painter(self) -> Engine:
        """See `SkippingEngine`; itself where the inner engine paints every frame."""
        return self._painter

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        began = time.perf_counter()
        small, small_condition = reduced(pixels, *self._working), self._reduced_condition(condition)
        self._seconds += time.perf_counter() - began
        painted = self._inner.start(small, small_condition)

        def wait() -> Picture:
            coarse = painted.result()
            began = time.perf_counter()
            picture = self._upsampled(coarse, small, pixels)
            self._seconds += time.perf_counter() - began
            return picture

        return InferenceFuture(wait, painted.is_ready, painted.on_ready)

    def _reduced_condition(self, condition: StyleCondition) -> StyleCondition:
        """The same object while the condition stays, so that engines recognise it."""
        if condition.mask is None and not any(condition.canvas_shift):
            return condition
        if self._condition is None or self._condition[0] is not condition:
            mask = None if condition.mask is None else reduced(condition.mask, *self._working)
            (down, right), (height, width) = condition.canvas_shift, self._size
            shift = down * self._working[0] / height, right * self._working[1] / width
            self._condition = condition, replace(condition, mask=mask, canvas_shift=shift)
        return self._condition[1]

    def close(self) -> None:
        """Close the inner engine."""
        self._inner.close()


class StatefulUpsamplingEngine(UpsamplingEngine):
    """The same around a `StatefulEngine`, and one itself."""

    def __init__(self, inner: StatefulEngine, height: int, width: int, working: tuple[int, int]) -> None:
        super().__init__(inner, height, width, working)
        self._stateful = inner

    @property
    def norms(self) -> CodeLayout:
        """See `StatefulEngine`."""
        return self._stateful.norms

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """See `StatefulEngine`."""
        return self._stateful.norm_stats

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        self._stateful.norm_stats = value
