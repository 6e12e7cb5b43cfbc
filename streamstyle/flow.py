"""Channels, threads and stopping: the only threading in the package.

    capture thread --[channel]--> the caller's thread: process --[channel]--> a thread per sink

Every channel is bounded. `lossless` waits when full and never drops; `latest` drops the oldest and
counts it. The first error wins: every thread has ended before `run` raises it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

from streamstyle.telemetry import StageTimer
from streamstyle.types import Frame, Sink

T = TypeVar("T")
Policy = Literal["lossless", "latest"]


class Cancelled(Exception):  # noqa: N818 - it reports no failure of its own
    """The other end of a channel has given up; the reason travels elsewhere."""


class Channel(Generic[T]):
    """A bounded queue between two threads, with an end and a way to give up.

    The writer calls `put` and, when done, `end`. The reader iterates. Either side calls `cancel` to make
    both sides stop at once with `Cancelled`. accepted, dropped: items put in, and dropped since.
    """

    def __init__(self, capacity: int, policy: Policy) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._policy = policy
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False
        self.accepted = 0
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item; full: wait (lossless) or drop the oldest (latest). Raises Cancelled."""
        with self._changed:
            if self._policy == "lossless":
                self._changed.wait_for(lambda: len(self._items) < self._capacity or self._cancelled)
            elif len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self.accepted += 1
            self._changed.notify_all()

    def end(self) -> None:
        """No more items: the reader drains what is there and stops."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Give up: waiting and later `put` and `next` raise Cancelled, queued items are dropped."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended or self._cancelled)
                if self._cancelled:
                    raise Cancelled
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


class Stop:
    """A request to end the run after the frames that are already captured; safe in a signal handler."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """End the run soon, and well."""
        self.requested = True


@dataclass(frozen=True)
class FlowReport:
    """Busy times of the capture stage and of each sink, and frames dropped on the way."""

    capture: StageTimer
    sinks: tuple[StageTimer, ...]
    captured: int
    dropped: int


class _FirstError:
    """The first error of any thread; it stops all of them."""

    def __init__(self, channels: Sequence[Channel[Frame]]) -> None:
        self._channels = channels
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keep what the body raises and make every thread stop."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - kept here, raised by `reraise` in the caller's thread
            with self._lock:
                if self._error is None and not isinstance(error, Cancelled):
                    self._error = error
            for channel in self._channels:
                channel.cancel()

    def reraise(self) -> None:
        """Raise the first error, if there was one, with its traceback."""
        if self._error is not None:
            raise self._error


def run(
    frames: Iterable[Frame],
    process: Callable[[Iterable[Frame]], Iterator[Frame]],
    sinks: Sequence[Sink],
    *,
    stop: Stop,
    on_frame: Callable[[], None],
    policy: Policy = "lossless",
    capacity: int = 8,
) -> FlowReport:
    """Drive frames from a source through `process` into every sink; returns when all have ended.

    on_frame is called in the caller's thread after each frame that `process` yields. The first error of
    any thread is raised here, with its traceback, after all threads have ended; sinks are then closed
    with `complete=False`. Sinks are closed in every case.
    """
    captured = Channel[Frame](capacity, policy)
    outputs = [Channel[Frame](capacity, policy) for _ in sinks]
    first_error = _FirstError([captured, *outputs])
    capture_timer = StageTimer()
    sink_timers = tuple(StageTimer() for _ in sinks)

    def guarded(body: Callable[[], None], name: str) -> threading.Thread:
        def in_guard() -> None:
            with first_error.guard():
                body()

        return threading.Thread(target=in_guard, name=name)

    threads = [guarded(partial(_capture, frames, captured, stop, capture_timer), "capture")] + [
        guarded(partial(_write_all, *each), f"sink-{i}")
        for i, each in enumerate(zip(sinks, outputs, sink_timers, strict=True))
    ]
    for thread in threads:
        thread.start()
    with first_error.guard():
        for styled in process(captured):
            for channel in outputs:
                channel.put(styled)
            on_frame()
        for channel in outputs:
            channel.end()
    for thread in threads:
        thread.join()
    first_error.reraise()
    dropped = sum(channel.dropped for channel in (captured, *outputs))
    return FlowReport(capture_timer, sink_timers, captured.accepted, dropped)


def _capture(frames: Iterable[Frame], channel: Channel[Frame], stop: Stop, timer: StageTimer) -> None:
    """Read the source to its end, or until the run is asked to stop."""
    for frame in timer.each(frames):
        if stop.requested:
            break
        channel.put(frame)
    channel.end()


def _write_all(sink: Sink, channel: Channel[Frame], timer: StageTimer) -> None:
    """Write until the channel ends, then close the sink: as whole only if nothing went wrong."""
    complete = False
    try:
        for frame in channel:
            started = time.perf_counter()
            sink.write(frame)
            timer.add(time.perf_counter() - started)
        complete = True
    finally:
        sink.close(complete=complete)
