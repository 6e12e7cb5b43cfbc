"""One thread of a run, which may get stuck in a call that does not return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from streamstyle.flow.channel import Cancelled, Channel
from streamstyle.flow.timing import Ages, StageTimer
from streamstyle.types import Frame, Interruptible, Sink

T = TypeVar("T")


IDLE_SECONDS = 0.1
"""Seconds without a frame after which an `IdleSink` is called."""


@runtime_checkable
class IdleSink(Protocol):
    """A sink with work to do while no frame comes, such as serving new peers."""

    def on_idle(self) -> None:
        """Called on the sink's thread, a few times a second while no frame comes. Raises SinkError."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Inlet:
    """The source of a run."""

    frames: Iterable[Frame]
    """Frames, read on the capture thread."""
    close: Callable[[], None] = _nothing
    """Called on that thread at the end, or when a blocked read returns."""
    interrupt: Callable[[], None] | None = None
    """See `Interruptible`; None where the source cannot be interrupted."""


@dataclass(frozen=True)
class Outlet:
    """A sink, and its service."""

    sink: Sink
    """The sink."""
    name: str
    """Name for reports."""
    capacity: int = 8
    """Number of frames that may wait for it."""
    stop_timeout: float = 10.0
    """Seconds that one call may take while the run ends, before it is abandoned."""
    optional: bool = False
    """True if the run goes on where it fails."""


class RunThread(threading.Thread):
    """A thread of a run, unlike those of libraries."""


def has_abandoned_threads() -> bool:
    """True if a thread of any run is still blocked in an abandoned source or sink."""
    return any(isinstance(thread, RunThread) for thread in threading.enumerate())


@dataclass
class Worker:
    """A thread, and the start of its current call of foreign code.

    stop_timeout: seconds that such a call may take once the run is to end. interrupted: the call was asked to
    give up. stuck: it did not, and nobody waits for the thread any more.
    """

    name: str
    stop_timeout: float
    interrupt: Callable[[], None] | None
    timer: StageTimer = field(default_factory=StageTimer)
    busy_since: float | None = None
    interrupted: bool = False
    stuck: bool = False
    thread: threading.Thread | None = None

    def start(self, body: Callable[[], None]) -> None:
        """Run `body` on a separate thread. A stuck one must not keep the process alive."""
        self.thread = RunThread(target=body, name=self.name, daemon=True)
        self.thread.start()

    @property
    def running(self) -> bool:
        """True if the thread lives and is not abandoned."""
        return self.thread is not None and self.thread.is_alive() and not self.stuck

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, this long at most."""
        if self.thread is not None:
            self.thread.join(seconds)

    def hangs(self, ending_since: float, now: float) -> bool:
        """True if a call has taken too long since the run was to end. The call is interrupted after half of
        the stop_timeout, and given up after all of it. ending_since, now: `time.monotonic()`, now being a
        moment before this call, so that a stop of the process in between does not count."""
        busy = self.busy_since
        waited = 0.0 if busy is None else now - max(busy, ending_since)
        if waited < self.stop_timeout / 2:
            return False
        if not self.interrupted and self.interrupt is not None:
            self.interrupted = True
            self.interrupt()
        self.stuck = waited >= self.stop_timeout
        return True

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Mark a call in the body that may not return."""
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
    idle_sink = sink if isinstance(sink, IdleSink) else None
    try:
        for frame in channel.iter_with_timeout(None if idle_sink is None else IDLE_SECONDS):
            if frame is None:
                assert idle_sink is not None, "without a limit there is no time-out"
                with worker.inside():
                    idle_sink.on_idle()
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
