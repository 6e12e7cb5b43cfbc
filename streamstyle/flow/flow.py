"""One run: who reads, who paints, who writes, and who is given up when it is stuck."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from streamstyle.errors import ConfigError, StreamStyleError
from streamstyle.flow.branch import Branch
from streamstyle.flow.channel import Cancelled, Channel, Policy
from streamstyle.flow.filler import FillerConfig, Timeline
from streamstyle.flow.worker import Inlet, Outlet, Worker, capture
from streamstyle.telemetry import Ages, StageTimer
from streamstyle.types import Frame

TICK = 0.02
"""Seconds between two looks at what is asked for, what is due and what is stuck."""

SOURCE_PATIENCE = 0.8
"""Seconds that a source may take for its next frame once the run is to end."""


_LOOK = 0.002
"""Seconds between two looks whether the first frame in flight is painted."""

_PACED = 60
"""Frames over which the pace "of late" is told."""


class StopRequest:
    """A request to end the run after the frames that are already captured; safe in a signal handler."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """End the run soon, and well."""
        self.requested = True


@dataclass(frozen=True)
class Live:
    """How a live source is served. depth: frames that wait before `process`; older ones are dropped.
    duration: seconds after which the run ends, whether frames come or not; None for no limit. notify: told
    that a slate is shown, and that frames come again."""

    filler: FillerConfig
    depth: int = 2
    duration: float | None = None
    notify: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class FlowStatus:
    """A run so far.

    captured, left: frames read, and painted. drops, depths: frames dropped, and frames that wait, by where:
    "capture" or an outlet's name. ages: by outlet. fps: painted frames
    per second, recently. fillers: frames that left because none came; slates:
    those of them that were a slate. stalled: fillers leave now. clock_resets: how often the source's time
    stamps fell back. stuck: outlets that were given up. failed: why, of
    optional outlets that ended by an error.
    """

    captured: int
    left: int
    drops: Mapping[str, int]
    depths: Mapping[str, int]
    ages: Mapping[str, Ages]
    seconds: float
    fps: float = 0.0
    fillers: int = 0
    slates: int = 0
    stalled: bool = False
    clock_resets: int = 0
    stuck: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


class Flow:
    """Drives frames from a source through `process` into every sink.

    live: None is lossless: every channel waits when full. Otherwise every channel holds the latest frames,
    and fillers leave while nothing comes.
    """

    def __init__(
        self,
        inlet: Inlet,
        outlets: Sequence[Outlet],
        *,
        stop: StopRequest,
        live: Live | None = None,
        capacity: int = 8,
    ) -> None:
        self._inlet, self._stop, self._live = inlet, stop, live
        policy: Policy = "lossless" if live is None else "latest"
        self.captured = Channel[Frame](capacity if live is None else live.depth, policy)
        self._branches = tuple(Branch.to(outlet, policy) for outlet in outlets)
        self._timeline = None if live is None else Timeline(live.filler)
        self._reader = Worker("capture", SOURCE_PATIENCE, inlet.interrupt)
        self._leaving = threading.Lock()  # styled frames and fillers share one time line
        self.left = 0
        self._times: deque[float] = deque(maxlen=_PACED)
        self._started = time.monotonic()
        self._error: BaseException | None = None
        self._begun = self._drained = False
        self._slating = False
        self._over = threading.Event()

    def run(
        self,
        process: Callable[[Iterable[Frame | None]], Iterator[Frame]],
        on_frame: Callable[[Frame], None],
    ) -> FlowStatus:
        """Run to the end; returns when all threads have ended or were given up.

        process: gets None where nothing waits, so that the first frame in flight is wanted once it is painted
        (live only).
        on_frame: called in the caller's thread after each frame that `process` yields. The first error of any
        thread is raised here, with its traceback; sinks are then closed with `complete=False`. The source and
        the sinks are closed in every case, each by the thread that used it.
        """
        self._started = time.monotonic()
        self._reader.start(partial(self._guarded, self._reader, self.captured, self._read))
        with self._leaving:
            self._begun = True
            for branch in self._branches:
                self._start_writing(branch)
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        try:
            with self._keeping_the_first_error():
                self._paint(process, on_frame)
            for worker in (self._reader, *(branch.worker for branch in self._branches)):
                while worker.running:
                    worker.join(TICK)
        finally:
            self._over.set()
        watch.join()
        if self._error is not None:
            raise self._error
        return self.status()

    def status(self) -> FlowStatus:
        """How it stands; from any thread."""
        line, branches = self._timeline, self._branches
        channels = {"capture": self.captured, **{branch.name: branch.channel for branch in branches}}
        return FlowStatus(
            captured=self.captured.accepted,
            left=self.left,
            drops={name: channel.dropped for name, channel in channels.items()},
            depths={name: channel.depth for name, channel in channels.items()},
            ages={branch.name: branch.ages for branch in branches},
            seconds=time.monotonic() - self._started,
            fps=self._fps(),
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
        with self._leaving:
            if self._drained or self._error is not None:
                raise ConfigError("the run is over")
            if any(branch.name == outlet.name for branch in self._branches):
                raise ConfigError(f"{outlet.name} is written already: remove it first")
            branch = Branch.to(outlet, "lossless" if self._live is None else "latest")
            self._branches = (*self._branches, branch)
            if self._begun:
                self._start_writing(branch)

    def detach(self, name: str) -> None:
        """Finish one sink, and go on without it; returns when it is closed or was given up. From any thread.

        Raises ConfigError where none has this name."""
        with self._leaving:
            branch = next((b for b in self._branches if b.name == name), None)
            if branch is None:
                known = ", ".join(b.name for b in self._branches) or "none"
                raise ConfigError(f"there is no output {name}: there are {known}")
            branch.end()
        branch.finish()
        with self._leaving:
            self._branches = tuple(b for b in self._branches if b is not branch)

    def queues(self) -> dict[str, dict[str, float]]:
        """How full each channel was, by where it ends: "process" or an outlet's name; see `Channel.fill`."""
        return {"process": self.captured.fill(), **{b.name: b.channel.fill() for b in self._branches}}

    def _fps(self) -> float:
        times = self._times.copy()
        return len(times) / (time.monotonic() - times[0]) if len(times) > 1 else 0.0

    def stage_timers(self) -> tuple[StageTimer, tuple[StageTimer, ...]]:
        """Busy times of the source, and of each sink."""
        return self._reader.timer, tuple(branch.worker.timer for branch in self._branches)

    def _read(self) -> None:
        capture(self._inlet, self.captured, self._reader, lambda: self._ending)

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
        with self._leaving:
            self._drained = True
            for branch in self._branches:
                branch.channel.end()

    def _latest(self) -> Iterator[Frame | None]:
        """What `process` gets of a live source: None where nothing waits while it holds frames, again and
        again until one is painted or another comes. Where it let one leave unasked it holds all it can, and
        may have to catch up: before, two that wait fill it."""
        frames = iter(self.captured)
        given = left = 0
        asked = False
        while True:
            came, left = self.left > left, self.left
            if given > left and not self.captured.wait_ready(0.0 if came or not asked else _LOOK):
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

    def _leave(self, frame: Frame) -> None:
        with self._leaving:
            if self._timeline is not None:
                self._say(back=True)
                frame = self._timeline.styled(frame, time.monotonic())
            self._hand_out(frame)
            self.left += 1
            self._times.append(time.monotonic())

    def _hand_out(self, frame: Frame) -> None:
        for branch in self._branches:
            branch.put(frame)

    @property
    def _ending(self) -> bool:
        limit = None if self._live is None else self._live.duration
        over = limit is not None and time.monotonic() - self._started >= limit
        return over or self._stop.requested or self._error is not None

    def _guarded(self, worker: Worker, channel: Channel[Frame], body: Callable[[], None]) -> None:
        """A worker's thread: what it raises ends the run, unless the run was ending and gave it up."""
        with self._keeping_the_first_error():
            try:
                body()
            except StreamStyleError:
                if worker is self._reader and self._ending:
                    channel.end()
                elif worker.interrupted or worker.stuck:
                    channel.abandon()
                else:
                    raise

    @contextmanager
    def _keeping_the_first_error(self) -> Iterator[None]:
        """Keep what the body raises and make every thread stop."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - kept here, raised by `run` in the caller's thread
            if self._error is None and not isinstance(error, Cancelled):
                self._error = error
            for channel in (self.captured, *(branch.channel for branch in self._branches)):
                channel.cancel()

    def _watch(self) -> None:
        with self._keeping_the_first_error():
            ending_since: float | None = None
            while not self._over.wait(self._pause()):
                if ending_since is None and self._ending:
                    ending_since = time.monotonic()
                if ending_since is None:
                    self._fill()
                else:
                    self._give_up_who_is_stuck(ending_since)

    def _pause(self) -> float:
        due = math.inf if self._timeline is None else self._timeline.due - time.monotonic()
        return min(TICK, max(due, 0.001))

    def _fill(self) -> None:
        if self._timeline is None:
            return
        with self._leaving:
            frame = None if self._drained else self._timeline.filler(time.monotonic())
            self._say(back=False)
            if frame is not None:
                self._hand_out(frame)

    def _say(self, *, back: bool) -> None:
        """Tell once that a slate is shown, and once that it no longer is."""
        assert self._timeline is not None
        assert self._live is not None
        if back and self._slating:
            self._live.notify(f"frames come again after {time.monotonic() - self._timeline.left:.1f} s")
        elif not back and self._timeline.slating and not self._slating:
            self._live.notify("no frame comes: a slate is shown until one does")
        self._slating = not back and self._timeline.slating

    def _give_up_who_is_stuck(self, ending_since: float) -> None:
        if self._reader.hangs(ending_since):
            self.captured.end()
        for branch in self._branches:
            branch.give_up_if_stuck(ending_since)
