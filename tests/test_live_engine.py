"""Never black: frames pass until an engine is ready, engines change between two frames, memory steps down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from streamstyle.engines import memory
from streamstyle.engines.live_engine import PASSTHROUGH, LiveEngine, QualityLevel
from streamstyle.engines.memory import check_memory, engine_error
from streamstyle.engines.request import EngineRequest, SizeOpener
from streamstyle.errors import EngineError, EngineMemoryError
from streamstyle.flow import Future
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import NullDetector, ResidualDetector
from streamstyle.types import Detector, Engine, EngineSpec, Frame, InferenceFuture, Picture, StyleCondition

CONDITION = StyleCondition(np.zeros((2, 4), np.float32), name="ink")


class AddingEngine:
    """Adds a number to every sample; several in flight. May lack memory from its n-th frame on."""

    busy_seconds = 1.0

    def __init__(self, added: int, in_flight: int = 2, fails_from: int | None = None) -> None:
        self.spec = EngineSpec(f"adds {added}", "uint8", "cpu", in_flight)
        self.closed = False
        self.waiting = 0
        self._added = added
        self._fails_from = fails_from
        self._begun = 0

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        assert not self.closed
        assert condition.ema_decay == 0
        begun, self._begun = self._begun, self._begun + 1
        self.waiting += 1

        def wait() -> Picture:
            assert not self.closed, "closed under a frame"
            self.waiting -= 1
            if self._fails_from is not None and begun >= self._fails_from:
                raise EngineMemoryError("out of memory")
            return pixels + np.uint8(self._added)

        return InferenceFuture(wait)

    def close(self) -> None:
        assert not self.waiting, "closed under a frame"
        self.closed = True


class Openings:
    """Opens engines when a test says so, the first `ready` ones at once."""

    def __init__(self, ready: int = 0) -> None:
        self._ready = ready
        self.begun: list[ManualOpening] = []

    def __call__(self, level: QualityLevel) -> ManualOpening:
        self.begun.append(ManualOpening(level.open))
        self.begun[-1].ready = len(self.begun) <= self._ready
        return self.begun[-1]


class ManualOpening:
    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._open = open_engine
        self.ready = False
        self.abandoned: Callable[[Engine], None] | None = None

    def result(self) -> Engine:
        assert self.ready
        return self._open()

    def abandon(self, free: Callable[[Engine], None]) -> None:
        self.abandoned = free


def frames(count: int, size: tuple[int, int] = (64, 96)) -> Iterator[Frame]:
    pixels = np.full((*size, 3), 100, np.uint8)
    for i in range(count):
        yield Frame(pixels, i, i, Fraction(1, 30), 1, 0.0)


def painted(
    engine: LiveEngine, count: int, at: dict[int, Callable[[], None]], detector: Detector | None
) -> list[Frame]:
    """Run frames through a process; before the frame of a number something happens."""

    def stream() -> Iterator[Frame]:
        for frame in frames(count):
            at.get(frame.index, lambda: None)()
            yield frame

    with EventLog(None) as events:
        stage = None if detector is None else RepairStage(detector, RepairCorrector(), events=events)
        process = Process(engine, lambda _: CONDITION, stage, repainter=engine)
        return list(process(stream()))


def level_of(what: str, opened: Callable[[], Engine]) -> QualityLevel:
    return QualityLevel(what, SizeOpener(lambda _height, _width: opened()), EngineRequest(0, 0))


def level(engine: Engine, what: str = "an engine") -> QualityLevel:
    return level_of(what, lambda: engine)


def broken(error: Exception, what: str = "a broken one") -> QualityLevel:
    def fail() -> Engine:
        raise error

    return level_of(what, fail)


def value(frame: Frame) -> int:
    assert (frame.pixels == frame.pixels.flat[0]).all()
    return int(frame.pixels.flat[0])


def test_frames_pass_unpainted_until_the_engine_is_ready_and_none_is_lost() -> None:
    begin, engine = Openings(), AddingEngine(7)
    live = LiveEngine([level(engine)], begin)
    left = painted(live, 12, {5: lambda: setattr(begin.begun[0], "ready", True)}, None)
    assert [frame.index for frame in left] == list(range(12))
    assert [value(frame) for frame in left] == [100] * 5 + [107] * 7
    assert [frame.style for frame in left] == [""] * 5 + ["ink"] * 7
    assert live.unpainted == 5
    live.close()
    assert engine.closed


@pytest.mark.parametrize(("before", "after"), [(2, 2), (3, 1), (1, 3)])
def test_engines_change_between_two_frames_and_the_old_one_finishes_its_own(before: int, after: int) -> None:
    begin, first, second = Openings(ready=1), AddingEngine(1, before), AddingEngine(2, after)
    live = LiveEngine([level(first)], begin)
    at = {
        4: lambda: live.set_levels([level(second)]),
        7: lambda: setattr(begin.begun[1], "ready", True),
    }
    left = painted(live, 12, at, None)
    assert [frame.index for frame in left] == list(range(12))
    assert [value(frame) for frame in left] == [101] * 7 + [102] * 5
    assert first.closed
    assert not second.closed
    assert live.spec == second.spec
    live.close()
    assert live.busy_seconds == 2.0


def test_the_detector_forgets_its_past_where_another_engine_goes_on() -> None:
    class Counting(NullDetector):
        resets = 0

        def reset(self) -> None:
            self.resets += 1

    for detector in (Counting(), ResidualDetector()):
        begin = Openings()
        live = LiveEngine([level(AddingEngine(60, fails_from=20)), level(AddingEngine(20))], begin)

        def opened(n: int, begin: Openings = begin) -> None:
            begin.begun[n].ready = True

        left = painted(live, 50, {10: partial(opened, 0), 40: partial(opened, 1)}, detector)
        assert {value(frame) for frame in left} == {100, 160, 120}
        assert left[0].quality is None, "what is not painted is not judged"
        assert all(frame.quality is not None for frame in left if value(frame) != 100)
        assert left[-1].quality is not None
        assert not left[-1].quality.kinds
        assert not isinstance(detector, Counting) or detector.resets == 1


def test_an_engine_that_lacks_memory_at_the_opening_is_followed_by_a_smaller_one() -> None:
    begin, told, small = Openings(), list[str](), AddingEngine(3)
    levels = [broken(EngineMemoryError("4 GB are needed")), level(small, "half the size")]
    live = LiveEngine(levels, begin, told.append)
    at = {
        2: lambda: setattr(begin.begun[0], "ready", True),
        4: lambda: setattr(begin.begun[1], "ready", True),
    }
    left = painted(live, 8, at, None)
    assert [value(frame) for frame in left] == [100] * 4 + [103] * 4
    assert told == ["4 GB are needed; continuing with half the size"]


def test_an_engine_that_lacks_memory_later_is_replaced_and_said_once() -> None:
    begin, told, small = Openings(ready=1), list[str](), AddingEngine(3)
    live = LiveEngine(
        [level(AddingEngine(1, 2, fails_from=3)), level(small, "half the size")], begin, told.append
    )
    left = painted(live, 12, {9: lambda: setattr(begin.begun[1], "ready", True)}, None)
    assert [frame.index for frame in left] == list(range(12))
    assert [value(frame) for frame in left] == [101] * 3 + [100] * 6 + [103] * 3
    assert told == ["out of memory; continuing with half the size"]


def test_where_nothing_fits_frames_go_on_unpainted() -> None:
    begin, told = Openings(ready=1), list[str]()
    live = LiveEngine([broken(EngineMemoryError("4 GB are needed"))], begin, told.append)
    left = painted(live, 4, {}, None)
    assert [value(frame) for frame in left] == [100] * 4
    assert len(told) == 1
    assert "unpainted" in told[0]


def test_an_engine_that_cannot_be_had_for_another_reason_is_an_error() -> None:
    begin = Openings(ready=1)
    live = LiveEngine([broken(EngineError("no such library")), level(AddingEngine(1))], begin)
    with pytest.raises(EngineError, match="no such library"):
        painted(live, 4, {}, None)


def test_an_engine_that_is_still_being_opened_is_freed_when_nobody_wants_it_any_more() -> None:
    begin, unwanted, engine = Openings(), AddingEngine(1), AddingEngine(2)
    live = LiveEngine([level(unwanted)], begin)
    painted(live, 2, {1: lambda: live.set_levels([level(engine)])}, None)
    free = begin.begun[0].abandoned
    assert free is not None
    free(unwanted)
    assert unwanted.closed
    live.close()
    assert begin.begun[1].abandoned is not None


def test_a_look_that_holds_waits_for_an_engine_that_does() -> None:
    begin = Openings(ready=1)
    live = LiveEngine([level(AddingEngine(1))], begin)
    pixels = next(frames(1)).pixels
    assert live.start(pixels, replace(CONDITION, ema_decay=0.5)).result()[0, 0, 0] == 101
    assert live.remember() is None


def test_a_region_waits_for_an_engine_that_is_ready_for_masks() -> None:
    heard: list[bool] = []

    class Masking(AddingEngine):
        def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
            heard.append(condition.mask is not None)
            return super().start(pixels, condition)

    plain, masked = Masking(1), Masking(2)
    plain.spec = replace(plain.spec, masks=False)
    begin = Openings(ready=1)
    live = LiveEngine([level(plain)], begin)
    pixels = next(frames(1)).pixels
    condition = replace(CONDITION, mask=np.zeros(pixels.shape[:2], np.uint8))
    assert live.start(pixels, condition).result()[0, 0, 0] == 101
    live.set_levels([level(masked)])
    assert live.start(pixels, condition).result()[0, 0, 0] == 101
    begin.begun[1].ready = True
    assert live.start(pixels, condition).result()[0, 0, 0] == 102
    assert heard == [False, False, True]
    live.close()


def test_the_process_opens_on_a_thread_and_never_waits() -> None:
    gate, engine = threading.Event(), AddingEngine(5)

    def open_slowly() -> Engine:
        assert gate.wait(60)
        return engine

    openings = list[Future[Engine]]()

    def begin(slow: QualityLevel) -> Future[Engine]:
        openings.append(Future(slow.open))
        return openings[-1]

    live = LiveEngine([level_of("slow", open_slowly)], begin)

    def let_it() -> None:
        gate.set()
        openings[0].result(60)

    left = painted(live, 10, {6: let_it}, None)
    assert [value(frame) for frame in left] == [100] * 6 + [105] * 4
    assert live.spec != PASSTHROUGH


def test_later_gives_what_the_call_gave_or_raised() -> None:
    assert Future(lambda: 3).result(60) == 3

    def fail() -> int:
        raise EngineError("no")

    failed = Future(fail)
    with pytest.raises(EngineError, match="no"):
        failed.result(60)
    assert failed.ready


def test_what_is_abandoned_is_freed_when_it_comes() -> None:
    gate, freed = threading.Event(), threading.Event()
    seen: list[int] = []

    def late() -> int:
        assert gate.wait(60)
        return 4

    def free(number: int) -> None:
        seen.append(number)
        freed.set()

    later = Future(late)
    with pytest.raises(TimeoutError):
        later.result(0)
    later.abandon(free)
    gate.set()
    assert freed.wait(60)
    done = Future(lambda: 5)
    done.result(60)
    done.abandon(free)
    assert seen == [4, 5]


def test_memory_is_checked_before_an_engine_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    check_memory(64, 64)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 30)
    check_memory(360, 640)
    with pytest.raises(EngineMemoryError, match=r"3840x2160 takes about \d+ MB"):
        check_memory(2160, 3840)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    check_memory(2160, 3840)


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("unsupported operation"), False),
    ],
)
def test_libraries_that_run_out_of_memory_are_understood(error: Exception, lacks: bool) -> None:
    assert isinstance(engine_error("it failed", error), EngineMemoryError) == lacks
