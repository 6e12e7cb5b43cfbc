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


class LiveClock:
    """Numbers frames and gives them time stamps that begin at 0, never run back, and go on in silence.

    Within a connection the steps are the source's own. Where a connection begins, or its time stamps jump,
    the next frame follows the last one by the time that passed on the wall clock between the two. Its offset
    also holds for the sound. jumps: how often time stamps jumped within a connection.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._ticks: int | None = None
        self._at = 0.0
        self.frames = 0
        self.jumps = 0

    def connect(self) -> None:
        """The next frame is of a new connection, with time stamps of its own."""
        self._offset = None

    def place(self, stamp: float | None, now: float) -> int:
        """Ticks of `TIME_BASE` for the frame with this time stamp of its source in seconds, if it has one.

        now: `time.monotonic()`.
        """
        last = None if self._ticks is None else float(self._ticks * TIME_BASE)
        on_time = 0.0 if last is None else last + now - self._at
        placed = on_time
        if stamp is not None:
            if self._offset is not None and last is not None:
                step = stamp + self._offset - last
                if not -JUMP_SECONDS < step < now - self._at + JUMP_SECONDS:
                    self._offset = None
                    self.jumps += 1
            if self._offset is None:
                self._offset = on_time - stamp
            placed = stamp + self._offset
        ticks = round(placed / float(TIME_BASE))
        self._ticks = ticks if self._ticks is None else max(ticks, self._ticks + 1)
        self._at = now
        self.frames += 1
        return self._ticks

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
