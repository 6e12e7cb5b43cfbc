"""One clock for a live source over any number of connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from statistics import median

TIME_BASE = Fraction(1, 90_000)

JUMP_SECONDS = 2.0
"""Time stamps that run back, or ahead of the clock by more than this, belong to another time line."""

_NEAR_SECONDS = 10.0
_CATCH_UP_SECONDS = 1.0

_MAX_AHEAD_SECONDS = 0.1
"""Seconds that stamps may run ahead of the clock: an earlier frame was delayed before it was first seen."""

_LATE_SECONDS = 0.25
"""Seconds of delay after which a frame was held up, or time was lost."""

_RECOVERY_SECONDS = 0.5
"""Seconds within which a source that was merely held up regains at least half of that."""


class LiveClock:
    """Numbers frames and assigns time stamps that begin at 0, never run back, and continue across gaps.

    Within a connection the steps are the source's own. At the start of a connection, or when time stamps
    jump, the next frame is stamped with the time since the first frame of all. Stamps follow that time: a
    backlog that would run ahead is held back. If frames stay late, because the source's clock stopped while
    it was gone, stamps follow the wall clock. The same offset applies to sound. jumps: number of jumps within
    a connection. stale: True if the last frame was delayed and came so soon after the previous one that newer
    ones follow at once.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        self._offset: float | None = None
        self._ticks: int | None = None
        self._step = 0.0  # of the source's own stamps
        self._at = 0.0
        self._late: tuple[float, float] | None = None  # since when, and how much then
        self.frames = 0
        self.jumps = 0
        self.stale = False

    def connect(self) -> None:
        """Start a new connection: the next frame has new time stamps."""
        self._offset = self._late = None

    def place(self, stamp: float | None, now: float) -> int:
        """Ticks of `TIME_BASE` for the frame with this time stamp of its source in seconds, if it has one.

        now: `time.monotonic()`. Among stamped frames, a frame without a stamp, as damage leaves it, follows
        the previous one by its step: its time of arrival says nothing.
        """
        if self._start is None:
            self._start = now
        on_time = now - self._start
        last = on_time if self._ticks is None else float(self._ticks * TIME_BASE)
        placed = on_time
        if stamp is not None:
            before = self._offset
            placed = self._placed(stamp, last, on_time)
            if self._offset == before:
                self._step = placed - last
            self.stale = on_time - placed > _LATE_SECONDS and now - self._at < self._step / 2
        elif self._offset is not None:
            placed = last + self._step
        ticks = round(placed / float(TIME_BASE))
        self._ticks = ticks if self._ticks is None else max(ticks, self._ticks + 1)
        self._at = now
        self.frames += 1
        return self._ticks

    def _placed(self, stamp: float, last: float, on_time: float) -> float:
        """Place of a stamp; moves the offset if necessary."""
        if self._offset is not None:
            placed = stamp + self._offset
            if not last - JUMP_SECONDS < placed < on_time + JUMP_SECONDS:
                self._offset = None
                self.jumps += 1
        if self._offset is None:
            self._offset, self._late = on_time - stamp, None
        self._offset -= max(0.0, stamp + self._offset - on_time - _MAX_AHEAD_SECONDS)
        late = on_time - stamp - self._offset
        if late <= _LATE_SECONDS:
            self._late = None
        elif self._late is None or self._late[1] - late > _RECOVERY_SECONDS / 2:
            self._late = on_time, late
        elif on_time - self._late[0] > _RECOVERY_SECONDS:
            self._offset, self._late = self._offset + late, None
        return stamp + self._offset

    @property
    def waiting(self) -> bool:
        """True until the connection has given a frame."""
        return self._offset is None

    def seconds(self, stamp: float) -> float | None:
        """Place of the source's time stamp on this clock; None before the first frame of a connection, and
        for implausible stamps far from the last one."""
        if self._offset is None or self._ticks is None:
            return None
        placed = stamp + self._offset
        return placed if abs(placed - self._ticks * TIME_BASE) < _NEAR_SECONDS else None


class Pace:
    """Delays frames that arrive faster than they are to be shown."""

    def __init__(self) -> None:
        self._start: float | None = None

    def hold(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until a frame of this presentation time is due; the first is due at once. A frame that is more
        than a second late delays all that follow. Returns early when stopped."""
        now = time.monotonic()
        if self._start is None or now - self._start > seconds + _CATCH_UP_SECONDS:
            self._start = now - seconds
        wait_until(self._start + seconds, stopped)


def wait_until(moment: float, stopped: Callable[[], bool]) -> None:
    """Sleep until this `time.monotonic()`; returns within a twentieth of a second when stopped."""
    while (wait := moment - time.monotonic()) > 0 and not stopped():
        time.sleep(min(wait, 0.05))


def measured_rate(stamps: list[float], declared: Fraction | None) -> Fraction | None:
    """Frames per second from the median step between these time stamps in seconds: the declared rate if it is
    within 3 % of that; None without time stamps and declared rate."""
    steps = [b - a for a, b in pairwise(stamps) if b > a]
    if len(steps) < 3:
        return declared
    rate = 1 / median(steps)
    if declared is not None and abs(rate / declared - 1) < 0.03:
        return declared
    return Fraction(round(rate * 100), 100) if 0.01 < rate < 1000 else declared
