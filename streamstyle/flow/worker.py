"""One thread of a run, which may get stuck in a call that does not come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from streamstyle.flow.channel import Cancelled, Channel
from streamstyle.telemetry import Ages, StageTimer
from streamstyle.types import Frame, Interruptible, Sink

T = TypeVar("T")


ATTENTION = 0.1
"""Seconds without a frame after which a sink looks who has come."""


@runtime_checkable
class Attentive(Protocol):
    """A sink that peers may connect to at any time."""

    def attend(self) -> None:
        """Called on the sink's thread, a few times a second while no frame comes. Raises SinkError."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Inlet:
    """The source of a run. frames: read on the capture thread; close: called there at the end, or whenever
    a blocked read comes back; interrupt: see `Interruptible`, None where there is no such thing."""

    frames: Iterable[Frame]
    close: Callable[[], None] = _nothing
    interrupt: Callable[[], None] | None = None


@dataclass(frozen=True)
class Outlet:
    """A sink, and how it is served.

    name: for reports. capacity: frames that wait for it. patience: seconds that one call of it may take once
    the run is to end; after that it is given up. optional: the run goes on without it where it fails.
    """

    sink: Sink
    name: str
    capacity: int = 8
    patience: float = 10.0
    optional: bool = False


class RunThread(threading.Thread):
    """A thread of a run, told apart from those of libraries."""


def anyone_left_behind() -> bool:
    """Whether a thread of any run is still blocked in a source or a sink that was given up."""
    return any(isinstance(thread, RunThread) for thread in threading.enumerate())


@dataclass
class Worker:
    """A thread, and since when it has been inside a call of something that is not ours.

    patience: seconds that such a call may take once the run is to end. interrupted: the call was asked to
    give up. stuck: it did not, and nobody waits for the thread any more.
    """

    name: str
    patience: float
    interrupt: Callable[[], None] | None
    timer: StageTimer = field(default_factory=StageTimer)
    busy_since: float | None = None
    interrupted: bool = False
    stuck: bool = False
    thread: threading.Thread | None = None

    def start(self, body: Callable[[], None]) -> None:
        """Run `body` on a thread of its own. A stuck one must not keep the process alive."""
        self.thread = RunThread(target=body, name=self.name, daemon=True)
        self.thread.start()

    @property
    def running(self) -> bool:
        """Whether there is still something to wait for."""
        return self.thread is not None and self.thread.is_alive() and not self.stuck

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, this long at most."""
        if self.thread is not None:
            self.thread.join(seconds)

    def hangs(self, ending_since: float) -> bool:
        """Whether a call has taken too long since the run was to end. It is interrupted after half of the
        patience, then given up. ending_since: `time.monotonic()` of that moment."""
        busy = self.busy_since
        waited = 0.0 if busy is None else time.monotonic() - max(busy, ending_since)
        if waited < self.patience / 2:
            return False
        if not self.interrupted and self.interrupt is not None:
            self.interrupted = True
            self.interrupt()
        self.stuck = waited >= self.patience
        return True

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The body calls what may not come back."""
        self.busy_since = time.monotonic()
        try:
            yield
        finally:
            self.busy_since = None

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on; waiting for each is a call inside, and timed."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            with self.inside():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            self.timer.add(time.perf_counter() - started)
            yield item


def write_all(sink: Sink, channel: Channel[Frame], worker: Worker, ages: Ages) -> None:
    """Write until the channel ends, then close the sink: as whole only if nothing went wrong."""
    complete = False
    attentive = sink if isinstance(sink, Attentive) else None
    try:
        for frame in channel.iter_with_timeout(None if attentive is None else ATTENTION):
            if frame is None:
                assert attentive is not None, "without a limit there is no time-out"
                with worker.inside():
                    attentive.attend()
                continue
            started = time.perf_counter()
            with worker.inside():
                sink.write(frame)
            worker.timer.add(time.perf_counter() - started)
            if not frame.filler:
                ages.add(time.monotonic() - frame.captured_at)
        complete = True
    except Cancelled:
        pass  # the reason travels elsewhere
    finally:
        with worker.inside():
            sink.close(complete=complete)


def interruption(thing: object) -> Callable[[], None] | None:
    """The function that interrupts a source or sink, None where it cannot be."""
    return thing.interrupt if isinstance(thing, Interruptible) else None
