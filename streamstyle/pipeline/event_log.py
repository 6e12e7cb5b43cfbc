"""The event log: a line for each flagged frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from streamstyle.errors import SinkError
from streamstyle.types import EVENT_SCHEMA, Action, AnomalyEvent, AnomalyMap, Frame, Kind


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
                # Unbuffered: a line that failed on a full disk must not be written when the log is closed.
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
            raise SinkError(f"cannot write the event log {self._path}: the disk is full; free some space")
