"""Times and rates of a run in constant memory: stage times, ages of frames, frames a second."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

RECENT_FRAMES = 300
"""Frames that count as recent in ages: about ten seconds."""

RATE_FRAMES = 60
"""Frames over which a recent rate is told."""

_SMALLEST_VALUE = 1e-6
_BUCKET_LOG_WIDTH = math.log(1.02)
_BUCKETS = math.ceil(math.log(1e10) / _BUCKET_LOG_WIDTH)

P = ParamSpec("P")
T = TypeVar("T")


class Histogram:
    """Distribution of values above 0 in constant memory: buckets that grow by 2 %, so that every percentile
    is exact to 1 %. Written by one thread; others may read at any time."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        """Add a value; values outside 1e-6 .. 1e4 count as the nearest of these."""
        place = int(math.log(max(value, _SMALLEST_VALUE) / _SMALLEST_VALUE) / _BUCKET_LOG_WIDTH)
        self._counts[min(place, _BUCKETS - 1)] += 1
        self.count += 1
        self.total += value

    def percentile(self, share: float) -> float:
        """The value below which this share (0..1) of all values lies; 0 without values."""
        wanted, seen = share * self.count, 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return _SMALLEST_VALUE * math.exp((place + 0.5) * _BUCKET_LOG_WIDTH)
        return 0.0

    def below(self, limit: float) -> int:
        """Number of values up to this limit, to the width of a bucket."""
        places = math.ceil(math.log(max(limit, _SMALLEST_VALUE) / _SMALLEST_VALUE) / _BUCKET_LOG_WIDTH - 1e-9)
        return sum(self._counts[:places])


class StageTimer:
    """Busy times of one stage, one value per frame, in constant memory. Written by one thread."""

    def __init__(self) -> None:
        self._seconds = Histogram()

    def add(self, seconds: float) -> None:
        """Add one frame's busy time."""
        self._seconds.add(seconds)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, and time how long each took to arrive."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self.add(time.perf_counter() - started)
            yield item

    def timed(self, call: Callable[P, T]) -> Callable[P, T]:
        """The same call, with its time added."""

        def timed_call(*args: P.args, **kwargs: P.kwargs) -> T:
            started = time.perf_counter()
            result = call(*args, **kwargs)
            self.add(time.perf_counter() - started)
            return result

        return timed_call

    def summary(self) -> dict[str, float]:
        """fps (frames / busy seconds) and median, 95th and 99th percentile in milliseconds."""
        seconds = self._seconds
        if not seconds.count:
            return {}
        return {
            "fps": round(seconds.count / seconds.total, 1) if seconds.total else 0.0,
            "p50_ms": round(seconds.percentile(0.5) * 1e3, 3),
            "p95_ms": round(seconds.percentile(0.95) * 1e3, 3),
            "p99_ms": round(seconds.percentile(0.99) * 1e3, 3),
        }


class Ages:
    """Ages of frames when a sink had taken them, in seconds: all, and recent ones.

    Written by the sink's thread; others may read at any time.
    """

    def __init__(self) -> None:
        self.all = Histogram()
        self._recent: deque[float] = deque(maxlen=RECENT_FRAMES)

    def add(self, seconds: float) -> None:
        """Add one frame's age."""
        self.all.add(seconds)
        self._recent.append(seconds)

    def recent(self, share: float) -> float:
        """Percentile (share 0..1) of the last RECENT_FRAMES frames; 0 without frames."""
        ages = sorted(self._recent.copy())
        return ages[min(int(share * len(ages)), len(ages) - 1)] if ages else 0.0

    def summary(self) -> dict[str, float]:
        """p50, p95 and p99 of all frames in milliseconds; empty without frames."""
        if not self.all.count:
            return {}
        shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
        return {name: round(self.all.percentile(share) * 1e3, 1) for name, share in shares.items()}


class RecentRate:
    """Counts frames, and how many a second came recently. Written by one thread; others may read."""

    def __init__(self) -> None:
        self.count = 0
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)

    def add(self, now: float) -> None:
        """Count one frame. now: `time.monotonic()`."""
        self.count += 1
        self._times.append(now)

    def fps(self, now: float) -> float:
        """Frames per second over the last RATE_FRAMES frames, up to now; 0 before the second one."""
        times = self._times.copy()
        return len(times) / (now - times[0]) if len(times) > 1 else 0.0
