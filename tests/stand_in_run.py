"""Live sources and engines that a test steers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
import pytest

from streamstyle.errors import SourceError
from streamstyle.media import open as media_open
from streamstyle.types import (
    EngineSpec,
    Frame,
    InferenceFuture,
    MediaReport,
    Picture,
    Sound,
    StreamInfo,
    StyleCondition,
)

LONG = 60.0

INFO = StreamInfo(
    url="stand-in:",
    width=96,
    height=64,
    rate=Fraction(100),
    time_base=Fraction(1, 1000),
    frames=0,
    sample_aspect_ratio=Fraction(1),
    matrix="bt601",
    audio_streams=0,
    live=True,
)


class StandInSource:
    """Grey frames of one level, a hundred a second, until it is closed or interrupted.

    gate: before the first frame. fails: instead of opening. shape: (height, width) of frame n.
    """

    def __init__(
        self,
        level: int = 100,
        *,
        gate: threading.Event | None = None,
        fails: bool = False,
        shape: Callable[[int], tuple[int, int]] = lambda _: (64, 96),
        start: int = 0,
        sound: Sound | None = None,
        count: int = 1 << 30,
    ) -> None:
        self._level, self._gate, self._fails = level, gate, fails
        self._shape, self._start, self._count = shape, start, count
        self.info = replace(INFO, sound=sound)
        self.over = threading.Event()
        self.closed = False

    def __enter__(self) -> Self:
        if self._fails:
            raise SourceError("nobody is there")
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        self.over.set()

    def __iter__(self) -> Iterator[Frame]:
        if self._gate is not None:
            self._gate.wait(LONG)
        for i in range(self._count):
            if self.over.wait(0.01):
                return
            pixels = np.full((*self._shape(i), 3), self._level, np.uint8)
            yield Frame(pixels, i, self._start + 10 * i, Fraction(1, 1000), 10, time.monotonic())

    def interrupt(self) -> None:
        self.over.set()

    def report(self) -> MediaReport:
        return MediaReport({"frames": 1}, (f"level {self._level}",))


def stand_in_sources(monkeypatch: pytest.MonkeyPatch, **sources: StandInSource) -> None:
    """Let `NAME:` name these sources."""
    table: Any = media_open._SOURCES
    for name, source in sources.items():
        monkeypatch.setitem(table, name, lambda _url, source=source: source)


class CodeEngine:
    """Fills the picture with the first number of the code; three frames in flight."""

    spec = EngineSpec("fills", "uint8", "cpu", in_flight=3)
    busy_seconds = 0.0

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        level = np.uint8(round(float(condition.codes[0, 0])))
        mask = condition.mask

        def wait() -> Picture:
            picture = np.full_like(pixels, level)
            if mask is not None:
                picture[mask > 127] = np.uint8(round(float(condition.codes[1, 0])))
            return picture

        return InferenceFuture(wait)

    def close(self) -> None:
        pass
