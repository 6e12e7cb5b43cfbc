"""Stage times, frame ages and the event log of a run."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

import msgspec
import numpy as np

from streamstyle.errors import SinkError
from streamstyle.types import Action, AnomalyMap, Frame, Kind

EVENT_SCHEMA = 2

RECENT = 300
"""Frames that count as recent in ages: about ten seconds."""

PACED = 60
"""Frames over which a recent rate is told."""

_LEAST = 1e-6
_STEP = math.log(1.02)
_BUCKETS = math.ceil(math.log(1e10) / _STEP)

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
        place = int(math.log(max(value, _LEAST) / _LEAST) / _STEP)
        self._counts[min(place, _BUCKETS - 1)] += 1
        self.count += 1
        self.total += value

    def percentile(self, share: float) -> float:
        """The value below which this share (0..1) of all values lies; 0 without values."""
        wanted, seen = share * self.count, 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return _LEAST * math.exp((place + 0.5) * _STEP)
        return 0.0

    def below(self, limit: float) -> int:
        """Number of values up to this limit, to the width of a bucket."""
        places = math.ceil(math.log(max(limit, _LEAST) / _LEAST) / _STEP - 1e-9)
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
        self._recent: deque[float] = deque(maxlen=RECENT)

    def add(self, seconds: float) -> None:
        """Add one frame's age."""
        self.all.add(seconds)
        self._recent.append(seconds)

    def recent(self, share: float) -> float:
        """Percentile (share 0..1) of the last RECENT frames; 0 without frames."""
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
        self._times: deque[float] = deque(maxlen=PACED)

    def add(self, now: float) -> None:
        """Count one frame. now: `time.monotonic()`."""
        self.count += 1
        self._times.append(now)

    def fps(self, now: float) -> float:
        """Frames per second over the last PACED frames, up to now; 0 before the second one."""
        times = self._times.copy()
        return len(times) / (now - times[0]) if len(times) > 1 else 0.0


class AnomalyEvent(msgspec.Struct, frozen=True):
    """One flagged frame, one line of the event log."""

    schema: int
    """Version of the format, EVENT_SCHEMA."""
    index: int
    """Of the frame."""
    time: float
    """Presentation time of the frame in seconds."""
    kinds: list[str]
    """Flagged kinds, worst first."""
    grid: tuple[int, int]
    """(rows, cols) of the tiles."""
    tiles: list[int]
    """Flagged tiles as flat indices, row * cols + col."""
    excess: float
    """Mean over the flagged tiles of how much brighter they became than the input explains, as a share of
    white."""
    scores: dict[str, float]
    """Per kind; see `AnomalyMap`."""
    thresholds: dict[str, float]
    """Per kind; see `AnomalyMap`."""
    action: str
    """Name of the repair."""
    figures: dict[str, float]
    """Numbers of the repair."""
    scores_after: dict[str, float]
    """Per kind, of the frame as it left."""


def describe(frame: Frame, anomaly: AnomalyMap, action: Action, after: Mapping[Kind, float]) -> AnomalyEvent:
    """The line of the event log for one repaired frame."""

    def rounded(values: Mapping[Kind, float] | Mapping[str, float]) -> dict[str, float]:
        return {str(name): round(float(value), 5) for name, value in values.items()}

    rows, cols = anomaly.tiles.shape
    return AnomalyEvent(
        schema=EVENT_SCHEMA,
        index=frame.index,
        time=round(frame.time, 6),
        kinds=[str(kind) for kind in anomaly.kinds],
        grid=(rows, cols),
        tiles=np.flatnonzero(anomaly.tiles).tolist(),
        excess=round(float(anomaly.tile_score[anomaly.tiles].mean()), 5) if anomaly.tiles.any() else 0.0,
        scores=rounded(anomaly.scores),
        thresholds=rounded(anomaly.thresholds),
        action=action.name,
        figures=rounded(action.figures),
        scores_after=rounded(after),
    )


class EventLog:
    """Counts events by kind, and writes them to a JSON Lines file where one is asked for."""

    def __init__(self, path: Path | None) -> None:
        self.flagged_frames = 0
        self.by_kind: dict[str, int] = {}
        self._path = path
        self._file = None
        if path is not None:
            try:
                # Unbuffered: a line that a full disk refused must not come back when the log is closed.
                self._file = path.open("wb", buffering=0)
            except OSError as error:
                raise SinkError(f"cannot write the event log {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, event: AnomalyEvent) -> None:
        """Count one flagged frame; its line is on disk when this returns. Raises SinkError."""
        self.flagged_frames += 1
        for kind in event.kinds:
            self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if self._file is None:
            return
        line = msgspec.json.encode(event) + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise SinkError(f"cannot write the event log {self._path}: {error.strerror}") from error
        if written != len(line):
            raise SinkError(f"cannot write the event log {self._path}: the disk took half a line; free space")
