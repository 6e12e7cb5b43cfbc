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
from streamstyle.telemetry import AnomalyEvent
from streamstyle.types import AnomalyMap, Frame, Kind, Picture
from streamstyle.web.pictures import jpeg

STEP = 0.5
"""Seconds that one point of a chart stands for: the worst score in them."""

_KEPT = 240
_EVENTS = 60
_THUMBNAIL = 160
_APART = 1.0  # seconds between two events of the same kinds that are told apart


@dataclass
class Told:
    """One thing that happened, over one or several frames in a row. number: counts from 1."""

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


class FindingsRecord:
    """Implements `Observer`: keeps what the page shows of the last minutes, in constant memory.

    Written by the thread that paints; others may read at any time. in_words: an event as a sentence.
    """

    def __init__(self, in_words: Callable[[AnomalyEvent], str]) -> None:
        self._in_words = in_words
        self._lock = Lock()
        self._worst: dict[Kind, float] = {}
        self._since = 0.0
        self._points: deque[dict[str, float]] = deque(maxlen=_KEPT)
        self._told: deque[Told] = deque(maxlen=_EVENTS)
        self.point = 0
        self.told = 0

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:  # noqa: ARG002
        """See `streamstyle.types.Observer`."""
        self._add({kind: anomaly.scores[kind] / anomaly.thresholds[kind] for kind in anomaly.scores})

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: AnomalyEvent) -> None:
        """See `streamstyle.types.Observer`."""
        if Kind.FLASH in anomaly.kinds:
            self._add({Kind.FLASH: anomaly.scores[Kind.FLASH] / anomaly.thresholds[Kind.FLASH]})
        kinds = tuple(event.kinds)
        with self._lock:
            last = self._told[-1] if self._told else None
            if last is not None and last.kinds == kinds and frame.time - last.last < _APART:
                last.last, last.frames = frame.time, last.frames + 1
                return
        thumbnail = base64.b64encode(jpeg(_small(styled), None)).decode()
        sentence = self._in_words(event)
        with self._lock:
            self.told += 1
            self._told.append(
                Told(self.told, frame.time, frame.time, kinds, sentence, event.action, thumbnail)
            )

    def points_after(self, number: int) -> tuple[int, list[dict[str, float]]]:
        """The newest point's number, and the points after `number` that are still kept."""
        with self._lock:
            count = min(self.point - number, len(self._points))
            return self.point, list(self._points)[len(self._points) - count :] if count > 0 else []

    def told_after(self, number: int) -> list[dict[str, Any]]:
        """Events after `number`, oldest first, and those before it that have just gone on."""
        with self._lock:
            return [told.to_json() for told in self._told if told.number >= max(number, 1)]

    def clear(self) -> None:
        """Another run begins."""
        with self._lock:
            self._worst = {}

    def _add(self, ratios: Mapping[Kind, float]) -> None:
        now = time.monotonic()
        with self._lock:
            for kind, ratio in ratios.items():
                self._worst[kind] = max(ratio, self._worst.get(kind, 0.0))
            if now - self._since >= STEP:
                self._points.append({str(k): round(float(v), 3) for k, v in self._worst.items()})
                self._worst, self._since = {}, now
                self.point += 1


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (_THUMBNAIL, max(1, round(height * _THUMBNAIL / width)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
