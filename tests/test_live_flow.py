"""Live runs with stand-in sources and sinks: what is dropped, what is given up, and what goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from peers import wait_for

from streamstyle.engines.completion import Completion
from streamstyle.errors import SinkError, SourceError
from streamstyle.flow import FillerConfig, Flow, FlowStatus, Inlet, Live, Outlet, StopRequest, Wakeup
from streamstyle.pipeline.process import Process
from streamstyle.types import (
    EngineSpec,
    Frame,
    InferenceFuture,
    MediaReport,
    Picture,
    StyleCondition,
)

LONG = 60.0
PICTURE = np.full((2, 2, 3), 200, np.uint8)


def frame(index: int) -> Frame:
    return Frame(PICTURE, index, index * 3000, Fraction(1, 90_000), 3000, time.monotonic())


def black(picture: Picture) -> Picture:
    return np.zeros_like(picture)


def live(frame_time: float = 1e6, slate_after: float = 1e6, duration: float | None = None) -> Live:
    """Has no fillers unless a frame time is given."""
    return Live(FillerConfig(frame_time, 1.5, slate_after, black), duration=duration)


def painted(stream: Iterable[Frame | None]) -> Iterator[Frame]:
    yield from (one for one in stream if one is not None)


class Watched:
    """A sink that keeps its frames, may wait for a gate, and lets a test wait for what it saw."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.stop_timeout = LONG if gate is None else 0.2
        """Seconds after which a run that ends gives it up: none is waited for longer than a gate says."""
        self.frames: list[Frame] = []
        self.complete: bool | None = None
        self.entered = threading.Event()
        self._gate = gate
        self._changed = threading.Condition()

    def write(self, frame: Frame) -> None:
        self.entered.set()
        if self._gate is not None:
            assert self._gate.wait(LONG)
        with self._changed:
            self.frames.append(frame)
            self._changed.notify_all()

    def close(self, *, complete: bool) -> None:
        assert self.complete is None, "closed twice"
        self.complete = complete

    def report(self) -> MediaReport:
        return MediaReport()

    def wait_for(self, seen: Callable[[list[Frame]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: seen(self.frames), LONG)


def drive(
    source: Iterator[Frame],
    sinks: list[Watched],
    how: Live,
    process: Callable[[Iterable[Frame | None]], Iterator[Frame]] = painted,
    stop: StopRequest | None = None,
    **more: object,
) -> FlowStatus:
    outlets = [
        Outlet(sink, str(i), capacity=2, stop_timeout=sink.stop_timeout) for i, sink in enumerate(sinks)
    ]
    flow = Flow(Inlet(source, **more), outlets, stop=stop or StopRequest(), live=how)  # type: ignore[arg-type]
    return flow.run(process, lambda _: None)


def test_live_slow_sink_does_not_slow_the_other() -> None:
    gate = threading.Event()
    slow, fast = Watched(gate), Watched()

    def source() -> Iterator[Frame]:
        for i in range(100):
            yield frame(i)
            fast.wait_for(lambda seen, i=i: len(seen) == i + 1)  # type: ignore[misc]
            assert slow.entered.wait(LONG)
        gate.set()

    status = drive(source(), [slow, fast], live())
    assert [one.index for one in fast.frames] == list(range(100))
    assert status.drops == {"capture": 0, "0": 100 - len(slow.frames), "1": 0}
    assert [one.index for one in slow.frames] == [0, 98, 99]
    assert (slow.complete, fast.complete) == (True, True)


def test_an_engine_three_times_too_slow_drops_exactly_and_stays_young(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamstyle.flow.channel.OVERFLOW_SECONDS", LONG)
    captured, painting = 0, threading.Semaphore(0)
    sink = Watched()
    ages: list[int] = []
    depths: list[int] = []

    def source() -> Iterator[Frame]:
        nonlocal captured
        for i in range(300):
            if i % 3 == 0 and i:
                assert painting.acquire(timeout=LONG)
            captured = i + 1
            yield frame(i)

    def slow(stream: Iterable[Frame | None]) -> Iterator[Frame]:
        for one in stream:
            if one is None:
                continue
            depths.append(flow.captured.depth)
            ages.append(captured - 1 - one.index)
            painting.release()  # three frames come while this one is painted
            before = flow.captured.accepted
            while flow.captured.accepted < min(before + 3, 300) and captured < 300:
                time.sleep(0.0005)
            yield one

    flow = Flow(Inlet(source()), [Outlet(sink, "sink", 8)], stop=StopRequest(), live=live())
    status = flow.run(slow, lambda _: None)
    assert max(depths) <= 2
    assert max(ages) <= 3
    assert sum(age == 0 for age in ages) > 0.8 * len(ages), "the newest is painted"
    assert status.captured == 300
    assert status.drops["capture"] == 300 - status.left > 150
    assert status.drops["sink"] == status.left - len(sink.frames) == 0


def test_live_frames_do_not_wait_for_the_next_one_in_the_engine() -> None:
    sink = Watched()

    def source() -> Iterator[Frame]:
        for i in range(5):
            yield frame(i)
            sink.wait_for(lambda seen, i=i: len(seen) == i + 1)  # type: ignore[misc]

    def two_in_flight(stream: Iterable[Frame | None]) -> Iterator[Frame]:
        pending: list[Frame] = []
        for one in stream:
            pending += [] if one is None else [one]
            while pending and (one is None or len(pending) > 2):
                yield pending.pop(0)
        yield from pending

    assert drive(source(), [sink], live(), two_in_flight).left == 5


class PairEngine:
    """Paints two at a time, and no first picture before the second one has begun."""

    spec = EngineSpec("pair", "uint8", "none", in_flight=2)
    busy_seconds = 0.0

    def __init__(self) -> None:
        self.begun = [threading.Event(), threading.Event()]
        self._at = iter(self.begun)

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        next(self._at).set()

        def wait() -> Picture:
            assert self.begun[1].wait(LONG), "the second one waits for the first"
            return pixels.copy()

        return InferenceFuture(wait, self.begun[1].is_set)

    def close(self) -> None:
        pass


def test_a_frame_that_comes_while_another_is_painted_is_begun_at_once() -> None:
    engine = PairEngine()

    def source() -> Iterator[Frame]:
        yield frame(0)
        assert engine.begun[0].wait(LONG)
        yield frame(1)

    condition = StyleCondition(np.zeros((2, 4), np.float32))
    process = Process(engine, lambda _: condition, spare=0)
    sink = Watched()
    assert drive(source(), [sink], live(), process).left == 2
    assert [one.index for one in sink.frames] == [0, 1]


class CallingEngine(PairEngine):
    """Paints on a thread of its own, which calls back."""

    spec = EngineSpec("calling", "uint8", "none", in_flight=1)

    def __init__(self) -> None:
        self.asked = 0
        self.paint = threading.Event()
        self.completion = Completion()

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        def finish() -> None:
            assert self.paint.wait(LONG)
            self.completion.finish()

        threading.Thread(target=finish).start()
        return InferenceFuture(pixels.copy, self._is_ready, self.completion.then)

    def _is_ready(self) -> bool:
        self.asked += 1
        return self.completion.done


def test_an_engine_that_calls_back_ends_the_wait_and_is_not_asked_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamstyle.flow.flow._RARE_POLL_SECONDS", LONG)
    engine, wakeup, sink = CallingEngine(), Wakeup(), Watched()

    def source() -> Iterator[Frame]:
        yield frame(0)
        engine.paint.set()
        sink.wait_for(lambda seen: len(seen) == 1)  # else the end of the source would end the wait

    condition = StyleCondition(np.zeros((2, 4), np.float32))
    process = Process(engine, lambda _: condition, spare=0, wakeup=wakeup)
    flow = Flow(
        *(Inlet(source()), [Outlet(sink, "0")]),
        stop=StopRequest(),
        live=live(frame_time=LONG),
        wakeup=wakeup,
    )
    assert flow.run(process, lambda _: None).left == 1
    assert engine.asked <= 2


def test_a_silent_source_is_stood_in_for_and_returns_without_a_jump_back() -> None:
    sink = Watched()

    def source() -> Iterator[Frame]:
        yield frame(0)
        sink.wait_for(lambda seen: any(not one.pixels.any() for one in seen))
        yield frame(1)
        yield frame(2)

    status = drive(source(), [sink], live(frame_time=0.01, slate_after=0.1))
    kinds = [(one.filler, bool(one.pixels.any())) for one in sink.frames]
    first_slate = kinds.index((True, False))
    assert kinds[0] == (False, True)
    assert set(kinds[1:first_slate]) <= {(True, True)}  # none where a busy machine looks late
    assert [one.index for one in sink.frames if not one.filler][-1] == 2
    assert all(a.pts < b.pts for a, b in pairwise(sink.frames))
    assert status.left == 3
    assert status.fillers + 3 == len(sink.frames) + status.drops["0"]
    assert status.ages["0"].all.count == sum(not one.filler for one in sink.frames)


def test_a_silent_source_ends_with_the_duration() -> None:
    gate, closed = threading.Event(), threading.Event()

    def source() -> Iterator[Frame]:
        yield frame(0)
        gate.wait(LONG)

    sink = Watched()
    status = drive(source(), [sink], live(duration=0.3), close=closed.set)
    assert (status.captured, status.left, sink.complete) == (1, 1, True)
    gate.set()
    assert closed.wait(LONG), "who was blocked in the source closes it"


def test_stopping_gives_up_a_blocked_source_and_a_blocked_sink_and_finishes_the_other() -> None:
    gate, stop = threading.Event(), StopRequest()
    blocked, film = Watched(gate), Watched()
    closed = threading.Event()

    def source() -> Iterator[Frame]:
        for i in range(3):
            yield frame(i)
            film.wait_for(lambda seen, i=i: len(seen) == i + 1)  # type: ignore[misc]
            assert blocked.entered.wait(LONG)
        stop.request()
        gate.wait(LONG)
        raise SourceError("the camera timed out")

    status = drive(source(), [blocked, film], live(), stop=stop, close=closed.set)
    assert film.complete is True
    assert [one.index for one in film.frames] == [0, 1, 2]
    assert blocked.complete is None
    assert status.stuck == ("0",)
    assert status.drops["0"] == 2
    assert not closed.is_set()
    gate.set()
    assert closed.wait(LONG)
    wait_for(lambda: blocked.complete is not None, "the end of the blocked one")
    assert blocked.complete is False


class StoppedWhileItCloses(Watched):
    """A sink whose process is stopped for long while it closes, as by Ctrl-Z: only the clock goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._clock, self._ahead = time.monotonic, 0.0
        self._looks = 0
        monkeypatch.setattr(time, "monotonic", self._now)

    def _now(self) -> float:
        self._looks += threading.current_thread().name == "watch"
        return self._clock() + self._ahead

    def _watched(self) -> None:
        wait_for(lambda least=self._looks + 20: self._looks > least, "the watch")

    def close(self, *, complete: bool) -> None:
        self._watched()
        self._ahead = 100 * LONG
        self._watched()
        super().close(complete=complete)


def test_the_time_in_which_a_run_is_stopped_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, stop = StoppedWhileItCloses(monkeypatch), StopRequest()

    def source() -> Iterator[Frame]:
        yield frame(0)
        stop.request()

    status = drive(source(), [sink], live(), stop=stop)
    assert status.stuck == ()
    assert sink.complete is True


class Peer(Watched):
    """A sink that blocks until it is interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.stop_timeout = 0.2
        self._freed = threading.Event()

    def write(self, frame: Frame) -> None:
        self.entered.set()
        assert self._freed.wait(LONG)
        raise SinkError("the peer is gone")

    def interrupt(self) -> None:
        self._freed.set()


def test_stopping_interrupts_who_can_be_interrupted_and_every_thread_ends() -> None:
    peer, stop, freed, closed = Peer(), StopRequest(), threading.Event(), threading.Event()
    before = threading.active_count()

    def source() -> Iterator[Frame]:
        yield frame(0)
        assert peer.entered.wait(LONG)
        stop.request()
        freed.wait(LONG)

    status = drive(source(), [peer], live(), stop=stop, close=closed.set, interrupt=freed.set)
    assert status.stuck == ("0",)
    assert closed.wait(LONG)
    wait_for(lambda: peer.complete is not None, "the end of the peer")
    assert peer.complete is False
    wait_for(lambda: threading.active_count() == before, "the end of every thread")


@pytest.mark.parametrize("place", ["source", "process", "sink"])
def test_live_the_first_error_wins_and_every_thread_has_ended(place: str) -> None:
    class Full(Watched):
        def write(self, frame: Frame) -> None:
            super().write(frame)
            if place == "sink":
                raise SinkError("the disk is full")

    sinks = [Full(), Watched()]

    def source() -> Iterator[Frame]:
        for i in range(10**9):
            yield frame(i)
            if place == "source" and i == 20:
                raise SourceError("unplugged")

    def process(stream: Iterable[Frame | None]) -> Iterator[Frame]:
        for one in painted(stream):
            if place == "process":
                raise ValueError("a bug")
            yield one

    expected = {"source": SourceError, "process": ValueError, "sink": SinkError}[place]
    before = threading.active_count()
    with pytest.raises(expected):
        drive(source(), list(sinks), live(), process)
    assert threading.active_count() == before
    assert [sink.complete for sink in sinks] == [False, False]


def test_the_process_ends_with_a_thread_that_never_comes_back() -> None:
    script = """
import sys, threading
from streamstyle.cli import main
from streamstyle.flow import Flow, Inlet, StopRequest
def stuck(_):
    stop = StopRequest()
    def read():
        stop.request()
        threading.Event().wait()
        yield
    Flow(Inlet(read()), [], stop=stop).run(lambda frames: iter(frames), lambda _: None)
    print("told")
    return 130
main.main = lambda: stuck(None)
main.program()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=LONG, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "told\n", "")
