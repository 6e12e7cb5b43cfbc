"""One time for all that a live source gives, over any number of connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from statistics import median

TIME_BASE = Fraction(1, 90_000)

JUMP_SECONDS = 2.0
"""Time stamps that run ahead of the clock by more than this, or back, are of another time line."""

_NEAR_SECONDS = 10.0
_CATCH_UP_SECONDS = 1.0

_AHEAD = 0.1
"""Seconds that stamps may run ahead of the clock: what comes sooner was held up before it was first seen."""

_LATE = 0.25
"""Seconds that a frame may be late before it was held up, or time was lost."""

_SETTLED = 0.5
"""Seconds in which a source that was merely held up has gained half of that at least."""


class LiveClock:
    """Numbers frames and gives them time stamps that begin at 0, never run back, and go on in silence.

    Within a connection the steps are the source's own. Where a connection begins, or its time stamps jump,
    the next frame is stamped with the time since the first one of all. Stamps keep to that time: those of a
    backlog that would run ahead of it are held back, and where frames stay late, since the source's clock
    stood while it was gone, they go on by the wall clock. Its offset also holds for the sound. jumps: how
    often time stamps jumped within a connection. stale: the last frame was held up, and came so soon after
    the one before that newer ones follow at once.
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
        """The next frame is of a new connection, with time stamps of its own."""
        self._offset = self._late = None

    def place(self, stamp: float | None, now: float) -> int:
        """Ticks of `TIME_BASE` for the frame with this time stamp of its source in seconds, if it has one.

        now: `time.monotonic()`. Among stamped frames one without a stamp, as damage leaves it, follows the
        one before by its step: when it came tells nothing.
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
            self.stale = on_time - placed > _LATE and now - self._at < self._step / 2
        elif self._offset is not None:
            placed = last + self._step
        ticks = round(placed / float(TIME_BASE))
        self._ticks = ticks if self._ticks is None else max(ticks, self._ticks + 1)
        self._at = now
        self.frames += 1
        return self._ticks

    def _placed(self, stamp: float, last: float, on_time: float) -> float:
        """Where the stamp lies; moves the offset where it must."""
        if self._offset is not None:
            placed = stamp + self._offset
            if not last - JUMP_SECONDS < placed < on_time + JUMP_SECONDS:
                self._offset = None
                self.jumps += 1
        if self._offset is None:
            self._offset, self._late = on_time - stamp, None
        self._offset -= max(0.0, stamp + self._offset - on_time - _AHEAD)
        late = on_time - stamp - self._offset
        if late <= _LATE:
            self._late = None
        elif self._late is None or self._late[1] - late > _SETTLED / 2:
            self._late = on_time, late
        elif on_time - self._late[0] > _SETTLED:
            self._offset, self._late = self._offset + late, None
        return stamp + self._offset

    @property
    def waiting(self) -> bool:
        """Has the connection given no frame yet?"""
        return self._offset is None

    def seconds(self, stamp: float) -> float | None:
        """Where the source's time stamp lies on this clock; None before the first frame of a connection, and
        far from the last one, where stamps are not to be believed."""
        if self._offset is None or self._ticks is None:
            return None
        placed = stamp + self._offset
        return placed if abs(placed - self._ticks * TIME_BASE) < _NEAR_SECONDS else None


class Pace:
    """Holds back what comes faster than it is to be shown."""

    def __init__(self) -> None:
        self._start: float | None = None

    def hold(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until a frame of this presentation time is due; the first is due at once. One that is late by
        more than a second makes all that follow later. Returns early when stopped."""
        now = time.monotonic()
        if self._start is None or now - self._start > seconds + _CATCH_UP_SECONDS:
            self._start = now - seconds
        wait_until(self._start + seconds, stopped)


def wait_until(moment: float, stopped: Callable[[], bool]) -> None:
    """Sleep to this `time.monotonic()`; returns early, within a twentieth of a second, when stopped."""
    while (wait := moment - time.monotonic()) > 0 and not stopped():
        time.sleep(min(wait, 0.05))


def measured_rate(stamps: list[float], declared: Fraction | None) -> Fraction | None:
    """Frames per second by the median step between these time stamps in seconds: the declared rate where it
    is that within 3 %; None where there is nothing to measure and nothing was declared."""
    steps = [b - a for a, b in pairwise(stamps) if b > a]
    if len(steps) < 3:
        return declared
    rate = 1 / median(steps)
    if declared is not None and abs(rate / declared - 1) < 0.03:
        return declared
    return Fraction(round(rate * 100), 100) if 0.01 < rate < 1000 else declared
