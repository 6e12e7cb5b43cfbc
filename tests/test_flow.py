from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest

from streamstyle.errors import SinkError, SourceError
from streamstyle.flow import Cancelled, Channel, Flow, FlowStatus, Inlet, Outlet, StopRequest
from streamstyle.types import Frame, MediaReport


def frames(count: int) -> Iterator[Frame]:
    pixels = np.zeros((2, 2, 3), np.uint8)
    for i in range(count):
        yield Frame(pixels, i, i, Fraction(1, 30), 1, 0.0)


def unchanged(stream: Iterable[Frame]) -> Iterator[Frame]:
    yield from stream


def run(
    source: Iterator[Frame],
    process: Callable[[Iterable[Frame]], Iterator[Frame]],
    sinks: Sequence[Recorder],
    stop: StopRequest | None = None,
    on_frame: Callable[[Frame], None] = lambda _: None,
) -> FlowStatus:
    outlets = [Outlet(sink, str(i), capacity=2) for i, sink in enumerate(sinks)]
    return Flow(Inlet(source), outlets, stop=stop or StopRequest(), capacity=2).run(process, on_frame)


class Recorder:
    """A sink that keeps indices, may wait for a gate and may fail at a frame."""

    def __init__(self, *, gate: threading.Event | None = None, fail_at: int | None = None) -> None:
        self.indices: list[int] = []
        self.complete: bool | None = None
        self._gate = gate
        self._fail_at = fail_at

    def write(self, frame: Frame) -> None:
        if self._gate is not None:
            assert self._gate.wait(30)
        if frame.index == self._fail_at:
            raise SinkError("the disk is full")
        self.indices.append(frame.index)

    def close(self, *, complete: bool) -> None:
        assert self.complete is None, "closed twice"
        self.complete = complete

    def report(self) -> MediaReport:
        return MediaReport()


def test_a_lossless_channel_keeps_everything_in_order() -> None:
    channel = Channel[int](2, "lossless")

    def write() -> None:
        for i in range(100):
            channel.put(i)
        channel.end()

    writer = threading.Thread(target=write)
    writer.start()
    assert list(channel) == list(range(100))
    writer.join()
    assert (channel.accepted, channel.dropped) == (100, 0)


def test_a_latest_channel_drops_the_oldest_and_counts_it() -> None:
    channel = Channel[int](2, "latest")
    for i in range(10):
        channel.put(i)
    channel.end()
    assert list(channel) == [8, 9]
    assert channel.dropped == 8


@pytest.mark.parametrize(
    ("overflows", "lately", "kept"), [(False, 60.0, [0, 1]), (True, 60.0, [2]), (True, 0.0, [1, 2])]
)
def test_a_reader_that_catches_up_takes_the_newest_if_one_was_dropped_lately(
    monkeypatch: pytest.MonkeyPatch, overflows: bool, lately: float, kept: list[int]
) -> None:
    monkeypatch.setattr("streamstyle.flow.channel.OVERFLOW_SECONDS", lately)
    channel = Channel[int](2, "latest")
    for i in range(3 if overflows else 2):
        channel.put(i)
    channel.catch_up()
    channel.end()
    assert list(channel) == kept
    assert channel.accepted - channel.dropped == len(kept)


def test_a_channel_tells_how_full_it_was() -> None:
    channel = Channel[int](2, "latest")
    for item in range(3):
        channel.put(item)  # finds nothing, one, and after the oldest was dropped one
    assert channel.fill() == {"mean": 0.67, "full": 0.667, "capacity": 2}


def test_cancelling_wakes_a_waiting_writer() -> None:
    channel = Channel[int](1, "lossless")
    channel.put(0)
    waiting = threading.Event()
    seen: list[type[BaseException]] = []

    def write() -> None:
        waiting.set()
        try:
            channel.put(1)
        except Cancelled as error:
            seen.append(type(error))

    writer = threading.Thread(target=write)
    writer.start()
    waiting.wait()
    channel.cancel()
    writer.join(30)
    assert seen == [Cancelled]
    with pytest.raises(Cancelled):
        next(iter(channel))


def test_every_sink_gets_every_frame_and_is_closed_as_complete() -> None:
    sinks = [Recorder(), Recorder()]
    seen: list[int] = []
    report = run(frames(50), unchanged, sinks, on_frame=lambda frame: seen.append(frame.index))
    assert seen == list(range(50))
    assert report.captured == report.left == 50
    assert sum(report.drops.values()) == 0
    for sink in sinks:
        assert sink.indices == list(range(50))
        assert sink.complete is True


@pytest.mark.parametrize("place", ["source", "process", "sink"])
def test_the_first_error_reaches_the_caller_and_every_thread_has_ended(place: str) -> None:
    def source() -> Iterator[Frame]:
        yield from frames(20)
        if place == "source":
            raise SourceError("unplugged")
        yield from frames(10_000)

    def process(stream: Iterable[Frame]) -> Iterator[Frame]:
        for frame in stream:
            if place == "process" and frame.index == 10:
                raise ValueError("a bug")
            yield frame

    sinks = [Recorder(fail_at=5 if place == "sink" else None), Recorder()]
    expected = {"source": SourceError, "process": ValueError, "sink": SinkError}[place]
    before = threading.active_count()
    with pytest.raises(expected) as caught:
        run(source(), process, sinks)
    assert threading.active_count() == before
    assert caught.tb is not None
    assert [sink.complete for sink in sinks] == [False, False]


def test_stopping_ends_the_source_and_completes_the_sinks() -> None:
    stop = StopRequest()
    sink = Recorder()

    def process(stream: Iterable[Frame]) -> Iterator[Frame]:
        for frame in stream:
            if frame.index == 7:
                stop.request()
            yield frame

    run(frames(10**9), process, [sink], stop)
    assert sink.complete is True
    assert sink.indices == list(range(len(sink.indices)))
    assert len(sink.indices) < 20


def test_a_stop_is_waited_for_and_may_be_requested_in_a_signal_handler() -> None:
    stop = StopRequest()
    assert not stop.wait(0.01)
    before = signal.signal(signal.SIGINT, lambda *_: stop.request())
    try:
        interrupter = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
        interrupter.start()
        assert stop.wait(), "the waiting thread itself runs the handler"
        interrupter.join()
    finally:
        signal.signal(signal.SIGINT, before)
    stop.request()
    assert stop.wait(0), "it stays requested"
    assert stop.wait()


def test_a_sink_is_attended_while_no_frame_comes() -> None:
    attended = threading.Event()

    class IdleSink(Recorder):
        def on_idle(self) -> None:
            attended.set()

    def source() -> Iterator[Frame]:
        yield from frames(1)
        assert attended.wait(60)
        yield from frames(1)

    sink = IdleSink()
    run(source(), unchanged, [sink])
    assert sink.indices == [0, 0]
    assert sink.complete
