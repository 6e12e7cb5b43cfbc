"""A live source that reconnects after it stalled, ended or could not be reached."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol, Self

from streamstyle.errors import SourceError
from streamstyle.media.backoff import Backoff, Retries
from streamstyle.media.live_clock import wait_until
from streamstyle.types import Frame, MediaReport, Source, StreamInfo


class Connection(Source, Protocol):
    """A source that lasts as long as its connection. The iterator stops at the source's own end, and raises
    SourceError when the connection is lost."""

    def interrupt(self) -> None:
        """See `Interruptible`."""


class ReconnectingSource:
    """Opens one connection after the other with `connect`, whose argument is True for the first.

    Only the first one must succeed at once; later ones are tried until `interrupt`. Between connections the
    iterator blocks, in short steps; the consumer decides what is shown in between. After a reconnection
    frames may have another size than `info` says.

    Counters: those of the connections, added up; `reconnects`; `lost_ms`, time without frames because of
    them.
    """

    def __init__(self, connect: Callable[[bool], Connection]) -> None:
        self._connect = connect
        self._retries = Retries(Backoff())
        self._current: Connection | None = None
        self._info: StreamInfo | None = None
        self._counts: Counter[str] = Counter()
        self._notes: list[str] = []
        self._lost_seconds = 0.0
        self._last_error = ""
        self._stopped = False

    @property
    def info(self) -> StreamInfo:
        """Stream of the first connection. Valid inside the `with` block."""
        if self._info is None:
            raise SourceError("A live source is not open: enter its `with` block first.")
        return self._info

    def __enter__(self) -> Self:
        connection = self._connect(True)
        connection.__enter__()
        self._current = connection
        self._info = connection.info
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._drop()

    def __iter__(self) -> Iterator[Frame]:
        last = time.monotonic()
        while (connection := self._current) is not None and not self._stopped:
            since = time.monotonic()
            try:
                for frame in connection:
                    last = time.monotonic()
                    yield frame
                return
            except SourceError as error:
                self._last_error = str(error)
            self._drop()
            self._retries.lasted(last - since)
            self._again()
            if self._current is not None:
                self._counts["reconnects"] += 1
                self._lost_seconds += time.monotonic() - last

    def interrupt(self) -> None:
        """See `Interruptible`."""
        self._stopped = True
        if (connection := self._current) is not None:
            connection.interrupt()

    def report(self) -> MediaReport:
        """Counters so far."""
        counters, notes = Counter(self._counts), list(self._notes)
        if self._current is not None:
            told = self._current.report()
            counters.update(told.counters)
            notes += [note for note in told.notes if note not in notes]
        if counters["reconnects"]:
            notes.append(
                f"Reconnections to {self.info.url}: {counters['reconnects']}, after "
                f"{self._lost_seconds:.1f} s in all. The last reason: {self._last_error}"
            )
        more = {"reconnects": counters["reconnects"], "lost_ms": round(1e3 * self._lost_seconds)}
        return MediaReport(counters=dict(counters) | more, notes=tuple(notes))

    def _again(self) -> None:
        """Try until there is a connection, or the source is interrupted."""
        while not self._stopped:
            wait_until(time.monotonic() + self._retries.pause(), lambda: self._stopped)
            connection = self._current = self._connect(False)
            if self._stopped:
                break
            try:
                connection.__enter__()
            except SourceError as error:
                self._last_error = str(error)
                self._current = None
                continue
            return
        self._current = None

    def _drop(self) -> None:
        connection, self._current = self._current, None
        if connection is None:
            return
        told = connection.report()
        self._counts.update(told.counters)
        self._notes += [note for note in told.notes if note not in self._notes]
        with suppress(SourceError):
            connection.__exit__(None, None, None)
