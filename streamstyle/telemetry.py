"""What a run says of itself: stage times and the event log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import numpy as np

from streamstyle.errors import SinkError
from streamstyle.types import Action, AnomalyMap, Frame, Kind

EVENT_SCHEMA = 2

T = TypeVar("T")


class StageTimer:
    """Busy times of one stage, one value per frame. Written by one thread, read after the run."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def add(self, seconds: float) -> None:
        """One frame's busy time."""
        self._seconds.append(seconds)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, timing how long each took to arrive."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._seconds.append(time.perf_counter() - started)
            yield item

    def summary(self) -> dict[str, float]:
        """fps (frames / busy seconds) and median and 99th percentile in milliseconds."""
        if not self._seconds:
            return {}
        total = sum(self._seconds)
        p50, p99 = np.percentile(self._seconds, [50, 99]) * 1e3
        return {
            "fps": round(len(self._seconds) / total, 1) if total else 0.0,
            "p50_ms": round(float(p50), 3),
            "p99_ms": round(float(p99), 3),
        }


class Event(msgspec.Struct, frozen=True):
    """One flagged frame, one line of the event log.

    index, time (seconds): of the frame. kinds: worst first. tiles: flat indices (row * cols + col) on
    a grid of (rows, cols). excess: mean over them of how much brighter they got than the input explains, in
    shares of white. scores, thresholds, scores_after: per kind; see `AnomalyMap`.
    """

    schema: int
    index: int
    time: float
    kinds: list[str]
    grid: tuple[int, int]
    tiles: list[int]
    excess: float
    scores: dict[str, float]
    thresholds: dict[str, float]
    action: str
    figures: dict[str, float]
    scores_after: dict[str, float]


def describe(frame: Frame, anomaly: AnomalyMap, action: Action, after: Mapping[Kind, float]) -> Event:
    """The log's line for one repaired frame."""

    def rounded(values: Mapping[Kind, float] | Mapping[str, float]) -> dict[str, float]:
        return {str(name): round(float(value), 5) for name, value in values.items()}

    rows, cols = anomaly.tiles.shape
    return Event(
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, event: Event) -> None:
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
