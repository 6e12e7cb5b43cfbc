"""A film as a live source: in its own time, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Self

from streamstyle.media.live_clock import wait_until
from streamstyle.types import Frame, Interruptible, MediaReport, Source, StreamInfo

_MAX_LAG_SECONDS = 0.5  # seconds that the film may be late before its clock restarts


class PacedSource:
    """Implements `Source` by a film that is repeated at its own pace; a live source passes unchanged.

    Without sound, because frames leave on the output's clock.
    """

    def __init__(self, open_one: Callable[[], Source]) -> None:
        """open_one: opens the source again for each repetition."""
        self._open_one = open_one
        self._source = open_one()
        self._info: StreamInfo | None = None
        self._ended = False

    @property
    def info(self) -> StreamInfo:
        """See `streamstyle.types.Source`."""
        info = self._source.info
        if info.live:
            return info
        return replace(info, live=True, frames=0, audio_streams=0, sound=None)

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._source.__exit__(*error)

    def __iter__(self) -> Iterator[Frame]:
        if self._source.info.live:
            yield from self._source
            return
        index, pts = 0, 0
        while not self._ended:
            count, end = 0, pts
            for frame in self._in_time(self._source):
                if count == 0:
                    first = frame.pts
                count += 1
                placed = pts + frame.pts - first
                end = placed + max(frame.duration, 1)
                yield replace(frame, index=index, pts=placed, captured_at=time.monotonic())
                index += 1
            if not count or self._ended:
                return
            pts = end
            self._begin_again()

    def interrupt(self) -> None:
        """See `streamstyle.types.Interruptible`."""
        self._ended = True
        if isinstance(self._source, Interruptible):
            self._source.interrupt()

    def report(self) -> MediaReport:
        """Counters of this time through the film."""
        return self._source.report()

    def _in_time(self, source: Source) -> Iterator[Frame]:
        zero: float | None = None
        for frame in source:
            now = time.monotonic()
            if zero is None or now - zero - frame.time > _MAX_LAG_SECONDS:
                zero = now - frame.time
            wait_until(zero + frame.time, lambda: self._ended)
            if self._ended:
                return
            yield frame

    def _begin_again(self) -> None:
        self._source.__exit__(None, None, None)
        self._source = self._open_one()
        self._source.__enter__()
