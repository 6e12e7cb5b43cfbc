"""One run: reading, painting and writing on their threads, and abandoning those that are stuck."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from streamstyle.errors import StreamStyleError
from streamstyle.flow.branch import Branch
from streamstyle.flow.branches import Branches
from streamstyle.flow.capture import Capture
from streamstyle.flow.channel import Cancelled, Channel, Policy
from streamstyle.flow.filler import FillerConfig, SlateNotices, Timeline
from streamstyle.flow.stop_request import StopRequest
from streamstyle.flow.timing import Ages, RecentRate, StageTimer
from streamstyle.flow.wakeup import Wakeup
from streamstyle.flow.worker import Inlet, Outlet, Worker
from streamstyle.types import Frame

TICK_SECONDS = 0.02
"""Seconds between two checks for requests, due fillers and stuck threads."""

_POLL_SECONDS = 0.002
"""Seconds between two looks whether the first frame in flight is painted, where its engine cannot call."""

_RARE_POLL_SECONDS = 0.1
"""The same for an engine that can call back: a frame that fails may make no call."""


_STOPPED_SECONDS = 1.0
"""Seconds between two checks after which this process was stopped, as by Ctrl-Z."""


@dataclass(frozen=True)
class Live:
    """Settings of a run with a live source."""

    filler: FillerConfig
    depth: int = 2
    """Frames that wait before `process`; older ones are dropped."""
    duration: float | None = None
    """Seconds after which the run ends, whether frames come or not; None for no limit."""
    notify: Callable[[str], None] = lambda _: None
    """Gets a sentence when a slate is shown, and when frames come again."""


@dataclass(frozen=True)
class FlowStatus:
    """The state of a run."""

    captured: int
    """Number of frames read."""
    left: int
    """Number of frames painted."""
    drops: Mapping[str, int]
    """Number of frames dropped, by place: "capture" or the name of an outlet."""
    depths: Mapping[str, int]
    """Number of frames that wait, by place."""
    ages: Mapping[str, Ages]
    """Ages of frames, by outlet."""
    seconds: float
    """Seconds since the start."""
    fps: float = 0.0
    """Painted frames per second, recently."""
    fillers: int = 0
    """Number of fillers that left."""
    slates: int = 0
    """Number of fillers that were a slate."""
    stalled: bool = False
    """True while fillers leave."""
    clock_resets: int = 0
    """Number of times that the source's time stamps fell back."""
    stuck: tuple[str, ...] = ()
    """Names of the abandoned outlets."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Error of each optional outlet that ended by one, by name."""


class Flow:
    """Drives frames from a source through `process` into every sink.

    live: None is lossless: every channel waits when full. Otherwise every channel holds the latest frames,
    and fillers leave while nothing comes. wakeup: called when `process` may have a painted frame.
    """

    def __init__(
        self,
        inlet: Inlet,
        outlets: Sequence[Outlet],
        *,
        stop: StopRequest,
        live: Live | None = None,
        capacity: int = 8,
        wakeup: Wakeup | None = None,
    ) -> None:
        self._stop, self._live = stop, live
        policy: Policy = "lossless" if live is None else "latest"
        channel = Channel[Frame](capacity if live is None else live.depth, policy)
        self._capture = Capture(inlet, channel)
        self._branches = Branches(outlets, policy)
        self._timeline = None if live is None else Timeline(live.filler)
        self._notices = None if live is None else SlateNotices(live.notify)
        self._wakeup = wakeup or Wakeup()
        self._wakeup.connect(channel.wake)
        self._painted = RecentRate()
        self._started = time.monotonic()
        self._error: BaseException | None = None
        self._over = threading.Event()

    @property
    def captured(self) -> Channel[Frame]:
        """Frames that wait for `process`."""
        return self._capture.channel

    @property
    def left(self) -> int:
        """Painted frames so far."""
        return self._painted.count

    def run(
        self,
        process: Callable[[Iterable[Frame | None]], Iterator[Frame]],
        on_frame: Callable[[Frame], None],
    ) -> FlowStatus:
        """Run to the end; returns when all threads have ended or were abandoned.

        process: gets None when no frame waits, and then yields the first frame in flight once it is painted
        (live only). on_frame: called in the caller's thread after each frame that `process` yields. The first
        error of any thread is raised here, with its traceback; sinks are then closed with `complete=False`.
        The source and the sinks are closed in every case, each by the thread that used it.
        """
        self._started = time.monotonic()
        reader = self._capture.worker
        reader.start(partial(self._guarded, reader, self.captured, self._read))
        self._branches.start(self._start_writing)
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        try:
            with self._keeping_the_first_error():
                self._paint(process, on_frame)
            for worker in (reader, *(branch.worker for branch in self._branches)):
                while worker.running:
                    worker.join(TICK_SECONDS)
        finally:
            self._over.set()
        watch.join()
        if self._error is not None:
            raise self._error
        return self.status()

    def status(self) -> FlowStatus:
        """The state of the run; from any thread."""
        line, branches, now = self._timeline, tuple(self._branches), time.monotonic()
        channels = {"capture": self.captured, **{branch.name: branch.channel for branch in branches}}
        return FlowStatus(
            captured=self.captured.accepted,
            left=self.left,
            drops={name: channel.dropped for name, channel in channels.items()},
            depths={name: channel.depth for name, channel in channels.items()},
            ages={branch.name: branch.ages for branch in branches},
            seconds=now - self._started,
            fps=self._painted.fps(now),
            fillers=0 if line is None else line.fillers,
            slates=0 if line is None else line.slates,
            stalled=line is not None and line.stalled,
            clock_resets=0 if line is None else line.shifted,
            stuck=tuple(b.name for b in branches if b.worker.stuck or b.worker.interrupted),
            failed={b.name: b.failure for b in branches if b.failure},
        )

    def attach(self, outlet: Outlet) -> None:
        """Serve one more sink, from the next frame on. From any thread.

        Raises ConfigError where an outlet has this name, or no frame will leave any more."""
        self._branches.attach(outlet)

    def detach(self, name: str) -> None:
        """Finish one sink, and go on without it; returns when it is closed or abandoned.

        From any thread. Raises ConfigError if none has this name."""
        self._branches.detach(name)

    def queues(self) -> dict[str, dict[str, float]]:
        """Fill of each channel, by its reader: "process" or an outlet's name; see `Channel.fill`."""
        return {"process": self.captured.fill(), **{b.name: b.channel.fill() for b in self._branches}}

    def stage_timers(self) -> tuple[StageTimer, tuple[StageTimer, ...]]:
        """Busy times of the source, and of each sink."""
        return self._capture.worker.timer, tuple(branch.worker.timer for branch in self._branches)

    def _read(self) -> None:
        self._capture.read(lambda: self._ending)

    def _start_writing(self, branch: Branch) -> None:
        body = branch.write if not branch.outlet.optional else branch.try_to_write
        branch.worker.start(partial(self._guarded, branch.worker, branch.channel, body))

    def _paint(
        self,
        process: Callable[[Iterable[Frame | None]], Iterator[Frame]],
        on_frame: Callable[[Frame], None],
    ) -> None:
        for styled in process(self.captured if self._live is None else self._latest()):
            self._leave(styled)
            on_frame(styled)
        self._branches.end()

    def _latest(self) -> Iterator[Frame | None]:
        """Frames of a live source for `process`: None where nothing waits while it holds frames, again and
        again until one is painted or another comes. Where it let one leave unasked it holds all it can, and
        may have to catch up: before, two that wait fill it."""
        frames = iter(self.captured)
        given = left = 0
        asked = False
        while True:
            came, left = self.left > left, self.left
            if given > left and not self.captured.wait_ready(
                0.0 if came or not asked else self._poll_seconds()
            ):
                asked = True
                yield None
                continue
            if came and not asked:
                self.captured.catch_up()
            asked = False
            frame = next(frames, None)
            if frame is None:
                return
            given += 1
            yield frame

    def _poll_seconds(self) -> float:
        return _POLL_SECONDS if self._wakeup.polled else _RARE_POLL_SECONDS

    def _leave(self, frame: Frame) -> None:
        with self._branches.lock:
            now = time.monotonic()
            if self._timeline is not None and self._notices is not None:
                self._notices.frame(self._timeline, now)
                frame = self._timeline.styled(frame, now)
            self._branches.hand_out(frame)
            self._painted.add(time.monotonic())

    @property
    def _ending(self) -> bool:
        limit = None if self._live is None else self._live.duration
        over = limit is not None and time.monotonic() - self._started >= limit
        return over or self._stop.requested or self._error is not None

    def _guarded(self, worker: Worker, channel: Channel[Frame], body: Callable[[], None]) -> None:
        """A worker's thread: its error ends the run, unless the run is ending and has abandoned it."""
        with self._keeping_the_first_error():
            try:
                body()
            except StreamStyleError:
                if worker is self._capture.worker and self._ending:
                    channel.end()
                elif worker.interrupted or worker.stuck:
                    channel.abandon()
                else:
                    raise

    @contextmanager
    def _keeping_the_first_error(self) -> Iterator[None]:
        """Keep the error of the body, and make every thread stop."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - kept here, raised by `run` in the caller's thread
            if self._error is None and not isinstance(error, Cancelled):
                self._error = error
            self.captured.cancel()
            self._branches.cancel()

    def _watch(self) -> None:
        with self._keeping_the_first_error():
            ending_since: float | None = None
            looked = time.monotonic()
            while not self._over.wait(self._pause()):
                before, looked = looked, time.monotonic()
                if ending_since is not None and looked - before > _STOPPED_SECONDS:
                    ending_since += looked - before  # nothing could go on meanwhile
                if ending_since is None and self._ending:
                    ending_since = time.monotonic()
                if ending_since is None:
                    self._fill()
                else:
                    self._give_up_who_is_stuck(ending_since, looked)

    def _pause(self) -> float:
        due = math.inf if self._timeline is None else self._timeline.due - time.monotonic()
        return min(TICK_SECONDS, max(due, 0.001))

    def _fill(self) -> None:
        if self._timeline is None or self._notices is None:
            return
        with self._branches.lock:
            frame = None if self._branches.over else self._timeline.filler(time.monotonic())
            self._notices.filler(self._timeline)
            if frame is not None:
                self._branches.hand_out(frame)

    def _give_up_who_is_stuck(self, ending_since: float, now: float) -> None:
        self._capture.give_up_if_stuck(ending_since, now)
        for branch in self._branches:
            branch.give_up_if_stuck(ending_since, now)
