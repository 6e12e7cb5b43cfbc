"""A bounded queue between two threads."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Policy = Literal["lossless", "latest"]

OVERFLOW_SECONDS = 1.0
"""Seconds after an overflow for which the reader counts as slower than the writer."""


class Cancelled(Exception):  # noqa: N818 - it reports no failure of its own
    """The other end of a channel has cancelled; the reason is raised elsewhere."""


class Channel(Generic[T]):
    """A bounded queue between two threads, with an end and cancellation.

    The writer calls `put` and, when done, `end`. The reader iterates. Either side calls `cancel` to make both
    sides stop at once with `Cancelled`; `abandon` lets the writer go on without the reader. accepted,
    dropped: items put in, and dropped since. found: counts of items by the number of items that waited before
    them. capacity may change at any time.
    """

    def __init__(self, capacity: int, policy: Policy) -> None:
        self._items: deque[T] = deque()
        self.capacity = capacity
        self._policy = policy
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False
        self._abandoned = False
        self._woken = False
        self._overflowed = -math.inf
        self.accepted = 0
        self.found = Counter[int]()
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item; full: wait (lossless) or drop the oldest (latest). After `end`: Cancelled."""
        with self._changed:
            if self._policy == "lossless":
                self._changed.wait_for(lambda: len(self._items) < self.capacity or self._closed)
            if self._cancelled or (self._ended and not self._abandoned):
                raise Cancelled
            self.accepted += 1
            if self._abandoned:
                self.dropped += 1
                return
            while len(self._items) >= self.capacity:
                self._items.popleft()
                self.dropped += 1
                self._overflowed = time.monotonic()
            self.found[len(self._items)] += 1
            self._items.append(item)
            self._changed.notify_all()

    def end(self) -> None:
        """End the channel: the reader takes the waiting items and stops."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Give up: waiting and later `put` and `next` raise Cancelled, queued items are dropped."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def abandon(self) -> None:
        """Go on without a stuck reader: waiting and later items are dropped and counted. If the reader
        returns, it gets Cancelled."""
        with self._changed:
            self._abandoned = True
            self.dropped += len(self._items)
            self._items.clear()
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """Items that wait."""
        return len(self._items)

    def fill(self) -> dict[str, float]:
        """Fill level over all items so far: how many others were waiting on average, and the share of items
        that took the last place."""
        count = sum(self.found.values())
        waiting = sum(depth * times for depth, times in self.found.items())
        full = sum(times for depth, times in self.found.items() if depth >= self.capacity - 1)
        return {
            "mean": round(waiting / count, 2) if count else 0.0,
            "full": round(full / count, 3) if count else 0.0,
            "capacity": self.capacity,
        }

    def __iter__(self) -> Iterator[T]:
        for item in self.iter_with_timeout(None):
            if item is not None:
                yield item

    def iter_with_timeout(self, seconds: float | None) -> Iterator[T | None]:
        """Iterate, with None after every time-out without an item."""
        while True:
            item = None
            with self._changed:
                if self._changed.wait_for(lambda: self._items or self._closed, seconds):
                    if self._cancelled or self._abandoned:
                        raise Cancelled
                    if not self._items:
                        return
                    item = self._items.popleft()
                    self._changed.notify_all()
            yield item

    def wait_ready(self, seconds: float) -> bool:
        """Wait so long for an item, the end or a call of `wake`. True if `next` would return at once."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._woken, seconds)
            self._woken = False
            return bool(self._items) or self._closed

    def wake(self) -> None:
        """End the reader's `wait_ready`, or its next one. From any thread."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def catch_up(self) -> None:
        """Drop all that waits but the newest, if one found no room lately: the reader is the slower one, and
        older items would only make the later ones old."""
        with self._changed:
            if time.monotonic() - self._overflowed < OVERFLOW_SECONDS:
                while len(self._items) > 1:
                    self._items.popleft()
                    self.dropped += 1

    @property
    def _closed(self) -> bool:
        return self._ended or self._cancelled or self._abandoned
