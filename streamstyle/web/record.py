"""Recent findings of a run: scores over time, and events in words with a thumbnail."""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from streamstyle.flow import Lock
from streamstyle.types import AnomalyEvent, AnomalyMap, Frame, Kind, Picture
from streamstyle.web.pictures import jpeg

SECONDS_PER_POINT = 0.5
"""Seconds that one point of a chart stands for: the worst score in them."""

_MAX_POINTS = 240
_MAX_FINDINGS = 60
_THUMBNAIL_WIDTH = 160
_MERGE_WITHIN = 1.0  # seconds between two events of the same kinds that count as two


@dataclass
class RecordedFinding:
    """A finding that lasted one or several frames in a row. number: counts from 1."""

    number: int
    first: float
    last: float
    kinds: tuple[str, ...]
    sentence: str
    action: str
    thumbnail: str
    frames: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "kinds": list(self.kinds)}


class FindingsHistory:
    """Implements `Observer`: keeps the last minutes for the page, in constant memory.

    Written by the thread that paints; others may read at any time. in_words: turns an event into a sentence.
    """

    def __init__(self, in_words: Callable[[AnomalyEvent], str]) -> None:
        self._in_words = in_words
        self._lock = Lock()
        self._worst: dict[Kind, float] = {}
        self._since = 0.0
        self._points: deque[dict[str, float]] = deque(maxlen=_MAX_POINTS)
        self._findings: deque[RecordedFinding] = deque(maxlen=_MAX_FINDINGS)
        self._latest: RecordedFinding | None = None  # of this run
        self.point = 0
        self.finding_count = 0

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:  # noqa: ARG002
        """See `streamstyle.types.Observer`."""
        self._add({kind: anomaly.scores[kind] / anomaly.thresholds[kind] for kind in anomaly.scores})

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: AnomalyEvent) -> None:
        """See `streamstyle.types.Observer`."""
        if Kind.FLASH in anomaly.kinds:
            self._add({Kind.FLASH: anomaly.scores[Kind.FLASH] / anomaly.thresholds[Kind.FLASH]})
        kinds = tuple(event.kinds)
        with self._lock:
            last = self._latest
            if last is not None and last.kinds == kinds and frame.time - last.last < _MERGE_WITHIN:
                last.last, last.frames = frame.time, last.frames + 1
                return
        thumbnail = base64.b64encode(jpeg(_small(styled), None)).decode()
        sentence = self._in_words(event)
        with self._lock:
            self.finding_count += 1
            self._latest = RecordedFinding(
                self.finding_count, frame.time, frame.time, kinds, sentence, event.action, thumbnail
            )
            self._findings.append(self._latest)

    def points_after(self, number: int) -> tuple[int, list[dict[str, float]]]:
        """The newest point's number, and the points after `number` that are still kept."""
        with self._lock:
            count = min(self.point - number, len(self._points))
            return self.point, list(self._points)[len(self._points) - count :] if count > 0 else []

    def findings_after(self, number: int) -> list[dict[str, Any]]:
        """Events after `number`, oldest first, and those before it that have just gone on."""
        with self._lock:
            return [found.to_json() for found in self._findings if found.number >= max(number, 1)]

    def clear(self) -> None:
        """Begin another run: nothing of the previous one goes on."""
        with self._lock:
            self._worst, self._latest = {}, None

    def _add(self, ratios: Mapping[Kind, float]) -> None:
        now = time.monotonic()
        with self._lock:
            for kind, ratio in ratios.items():
                self._worst[kind] = max(ratio, self._worst.get(kind, 0.0))
            if now - self._since >= SECONDS_PER_POINT:
                self._points.append({str(k): round(float(v), 3) for k, v in self._worst.items()})
                self._worst, self._since = {}, now
                self.point += 1


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (_THUMBNAIL_WIDTH, max(1, round(height * _THUMBNAIL_WIDTH / width)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
