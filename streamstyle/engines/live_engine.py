"""An engine for live use: pictures pass through until a real one is ready, and never wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from streamstyle.engines.norm_stats import repainter_of
from streamstyle.engines.request import EngineCompiler, EngineOpener, EngineRequest
from streamstyle.errors import EngineError, EngineMemoryError
from streamstyle.types import Engine, EngineSpec, InferenceFuture, Picture, Repaint, Repainter, StyleCondition

T = TypeVar("T")

PASSTHROUGH = EngineSpec("passthrough", "uint8", "none", in_flight=0, paints=False)


class EngineFuture(Protocol):
    """An engine that is being opened elsewhere."""

    @property
    def ready(self) -> bool:
        """True if `result` returns, or raises, at once."""

    def result(self) -> Engine:
        """The engine. Raises the error of opening it."""

    def abandon(self, free: Callable[[Engine], None]) -> None:
        """Free the engine as soon as it is open, because it is not needed any more."""


@dataclass(frozen=True)
class QualityLevel:
    """One way to paint, at some cost."""

    what: str
    """For people, as in "640x360 on openvino"."""
    opener: EngineOpener
    request: EngineRequest

    def open(self, compiler: EngineCompiler | None = None) -> Engine:
        """Open its engine, which may take minutes. compiler: see `EngineRequest`. Raises what
        `EngineOpener.open` does; after an EngineMemoryError the next level is to be tried."""
        return self.opener.open(replace(self.request, compiler=compiler))


@dataclass
class _Serving:
    """An open engine and how many frames are in it."""

    level: QualityLevel
    engine: Engine
    below: tuple[QualityLevel, ...]
    repainter: Repainter | None = None
    """Resolved when the engine is set, not for every frame."""
    waiting: int = 0


class LiveEngine:
    """Implements `Engine` and `Repainter`; `start` never waits for an engine to open.

    `set_levels` names the quality levels, the best first. The best one is opened with the first picture, not
    earlier: opening would keep a picture waiting that could have passed. Meanwhile pictures pass through, or
    the engine before paints them. Engines change between two frames: each frame is finished by the engine
    that began it, so that results stay in order, one for each picture. If an engine lacks memory, when it
    opens or later, the next level is taken, and `notify` gets one sentence. All calls come from one thread,
    except `set_levels`. levels: those named last. unpainted: pictures that passed."""

    def __init__(
        self,
        levels: Iterable[QualityLevel],
        begin: Callable[[QualityLevel], EngineFuture],
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        """begin: starts to open an engine elsewhere, and returns at once."""
        self._begin = begin
        self._notify = notify
        self.levels = tuple(levels)
        self._level = 0
        self._asked: tuple[QualityLevel, ...] | None = self.levels
        self._opening: tuple[EngineFuture, tuple[QualityLevel, ...]] | None = None
        self._serving: _Serving | None = None
        self._retired: list[_Serving] = []
        self._spent_seconds = 0.0
        self._spec = PASSTHROUGH
        self.unpainted = 0

    @property
    def spec(self) -> EngineSpec:
        """Spec of the engine that got the last picture; PASSTHROUGH if none did."""
        return self._spec

    @property
    def opening(self) -> str:
        """The level that is being opened, for messages; empty if none is."""
        return "" if self._opening is None else self._opening[1][0].what

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`; of all engines so far."""
        serving = [] if self._serving is None else [self._serving]
        return self._spent_seconds + sum(s.engine.busy_seconds for s in (*serving, *self._retired))

    def set_levels(self, levels: Iterable[QualityLevel]) -> None:
        """Change to other quality levels, the best first, as soon as they are open. Called from any
        thread."""
        self.levels = tuple(levels)
        self.set_level(self._level)

    def set_level(self, skipped: int) -> None:
        """Skip so many of the best levels; the last one stays."""
        self._level = skipped
        self._asked = self.levels[min(skipped, len(self.levels) - 1) :]

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`. Raises EngineError if the first engine cannot be opened for another
        reason than memory: a live run does not use another engine silently."""
        self._advance()
        serving = self._serving
        if serving is None:
            return self._passed(pixels)
        if condition.ema_decay and not serving.engine.spec.stateful:
            condition = replace(condition, ema_decay=0.0)  # the stateful engine is still being opened
        if condition.mask is not None and not serving.engine.spec.masks:
            condition = replace(condition, mask=None)  # as is the one that is ready for masks
        try:
            pending = serving.engine.start(pixels, condition)
        except EngineMemoryError as error:
            self._step_down(serving, error)
            return self._passed(pixels)
        self._spec = serving.engine.spec
        serving.waiting += 1

        def wait() -> Picture:
            try:
                return pending.result()
            except EngineMemoryError as error:
                self._step_down(serving, error)
                return self._copy(pixels)
            finally:
                serving.waiting -= 1

        return replace(pending, result=wait)

    def remember(self) -> Repaint | None:
        """See `streamstyle.types.Repainter`; None while no engine keeps statistics."""
        repainter = None if self._serving is None else self._serving.repainter
        return None if repainter is None else repainter.remember()

    def close(self) -> None:
        """Free open engines, and one that is being opened as soon as it is open."""
        self._asked = None
        if self._opening is not None:
            self._opening[0].abandon(lambda engine: engine.close())
            self._opening = None
        self._retire()
        for serving in self._retired:
            self._free(serving)
        self._retired = []

    def _advance(self) -> None:
        """Between two frames: begin opening a requested engine, take one that is ready, free unused ones."""
        for serving in [s for s in self._retired if not s.waiting]:
            self._free(serving)
            self._retired.remove(serving)
        asked, self._asked = self._asked, None
        if asked is not None:
            if self._opening is not None:
                self._opening[0].abandon(lambda engine: engine.close())
            self._open(asked)
        if self._opening is None or not self._opening[0].ready:
            return
        (opening, levels), self._opening = self._opening, None
        try:
            engine = opening.result()
        except EngineMemoryError as error:
            self._open_below(levels, error)
        except EngineError as error:
            if self._serving is None:
                raise
            self._notify(f"{error}; the previous engine stays in use")
        else:
            self._retire()
            self._serving = _Serving(levels[0], engine, levels[1:], repainter_of(engine))

    def _open(self, levels: tuple[QualityLevel, ...]) -> None:
        self._opening = self._begin(levels[0]), levels

    def _open_below(self, levels: tuple[QualityLevel, ...], error: EngineMemoryError) -> None:
        if len(levels) < 2:
            self._notify(f"{error}; there is no smaller size, so frames pass unpainted")
            return
        self._notify(f"{error}; continuing with {levels[1].what}")
        self._open(levels[1:])

    def _step_down(self, serving: _Serving, error: EngineMemoryError) -> None:
        """Report a failed engine once, however many of its frames fail."""
        if serving is not self._serving:
            return
        self._retire()
        if self._opening is None:
            self._open_below((serving.level, *serving.below), error)

    def _retire(self) -> None:
        if self._serving is not None:
            self._retired.append(self._serving)
            self._serving = None

    def _free(self, serving: _Serving) -> None:
        self._spent_seconds += serving.engine.busy_seconds
        serving.engine.close()

    def _passed(self, pixels: Picture) -> InferenceFuture:
        self._spec = PASSTHROUGH
        picture = self._copy(pixels)
        return InferenceFuture(lambda: picture)

    def _copy(self, pixels: Picture) -> Picture:
        self.unpainted += 1
        return pixels.copy()
