"""One source after another, without a gap."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, Self, TypeAlias

from streamstyle.errors import SourceError
from streamstyle.flow.channel import Cancelled, Channel
from streamstyle.flow.switched_sound import SwitchedSound
from streamstyle.flow.worker import RunThread, interruption
from streamstyle.types import Frame, MediaReport, Source, StreamInfo

_Item: TypeAlias = "tuple[_Feed, Frame | BaseException | None]"


_SHUTDOWN_SECONDS = 0.3
"""Seconds that a thread may take to leave its source."""


class SwitchedSource:
    """Implements `Source` by another one, which `switch` exchanges.

    The next source is opened beside the current one, and replaces it at its first frame. If the next one
    cannot be opened, the current one stays. Each is read on its own thread, so that one that hangs does not
    delay its successor. Time stamps, and sound, continue in the first source's units by the time that passed
    between the two frames. A film in place of a live source is read at its own pace, without sound.
    """

    def __init__(self, first: Source) -> None:
        self._items = Channel[_Item](1, "lossless")
        self.lock = threading.Lock()
        self._feed = _Feed(first, self)
        self._feeds = [self._feed]
        self._info: StreamInfo | None = None
        self._sound: SwitchedSound | None = None
        self._past = MediaReport()
        self.paced = False

    @property
    def info(self) -> StreamInfo:
        """Stream of the first source, for which the outputs were opened."""
        if self._info is None:
            raise SourceError("the source is not open: enter its `with` block first")
        return self._info

    def __enter__(self) -> Self:
        source = self._feed.source
        source.__enter__()
        self._feed.opened = True
        info = source.info
        self.paced = info.live
        if info.sound is not None:
            self._sound = SwitchedSound(info.sound)
        self._info = info if self._sound is None else replace(info, sound=self._sound)
        return self

    def __exit__(self, *error: Any) -> None:
        self.interrupt()
        for feed in self._feeds:
            if feed.thread is not None:
                feed.thread.join(_SHUTDOWN_SECONDS)
            elif feed.opened:
                feed.source.__exit__(*error)

    def __iter__(self) -> Iterator[Frame]:
        self._feed.start()
        line = _Line()
        try:
            for feed, item in self._items:
                if feed is not self._feed:
                    continue  # read by the one before, while its successor took over
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    return
                yield line.placed(item, feed, self._sound)
        except Cancelled:
            return

    def interrupt(self) -> None:
        """See `streamstyle.types.Interruptible`."""
        self._items.cancel()
        for feed in self._feeds:
            feed.retire()

    def switch(self, source: Source, timeout: float) -> None:
        """Read `source` from its first frame on; returns when that has arrived.

        From any thread. Raises SourceError if it cannot be opened or sends nothing for `timeout` seconds.
        """
        feed = _Feed(source, self)
        with self.lock:
            for over in [f for f in self._feeds if f.over]:
                self._past = _together(self._past, over.source.report())
                self._feeds.remove(over)
            self._feeds.append(feed)
        feed.start()
        if not feed.decided.wait(timeout) and feed.give_up():
            raise SourceError(f"the new source delivered no frame within {timeout:g} s, so the old one stays")
        if feed.error is not None:
            raise feed.error

    def report(self) -> MediaReport:
        """Counters of all sources so far, added up."""
        together = self._past
        for feed in self._feeds:
            together = _together(together, feed.source.report())
        return together

    def take_over(self, feed: _Feed) -> bool:
        """Accept the first frame of a feed; False if nothing waits for it any more."""
        with self.lock:
            if feed.retired:
                return False
            before, self._feed = self._feed, feed
            feed.decided.set()
        if before is not feed:
            before.retire()
        return True

    def put(self, feed: _Feed, item: Frame | BaseException | None) -> None:
        """Put a frame that a feed has read; None at its end."""
        self._items.put((feed, item))


def _together(a: MediaReport, b: MediaReport) -> MediaReport:
    counters = Counter(a.counters)
    counters.update(b.counters)
    return MediaReport(dict(counters), (*a.notes, *b.notes))


class _Feed:
    """A source and the thread that reads it. opened: True if it is entered elsewhere. error: why it was not
    used. decided: set once it is the current source, or never will be. retired: True if its frames are no
    longer used."""

    def __init__(self, source: Source, owner: SwitchedSource) -> None:
        self.source = source
        self.opened = self.retired = self.over = False
        self.decided = threading.Event()
        self.error: BaseException | None = None
        self.thread: RunThread | None = None
        self._owner = owner
        self._wake = threading.Event()

    def start(self) -> None:
        self.thread = RunThread(target=self._run, name="source", daemon=True)
        self.thread.start()

    def retire(self) -> None:
        self.retired = True
        self._wake.set()
        interrupt = interruption(self.source)
        if interrupt is not None:
            interrupt()

    def give_up(self) -> bool:
        """Retire it unless it has just taken over. Returns True if it is retired."""
        with self._owner.lock:
            if self.decided.is_set():
                return False
            self.retired = True
        self.retire()
        return True

    def _run(self) -> None:
        current = False
        try:
            if not self.opened:
                self.source.__enter__()
            try:
                current = self._read()
            finally:
                self.source.__exit__(None, None, None)
            if current and not self.retired:
                self._owner.put(self, None)
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by `switch`, or where frames are read
            self.error = error
            if current or self.decided.is_set():
                self._put_error(error)
        finally:
            if not self.decided.is_set() and self.error is None:
                self.error = SourceError("the new source ended before its first frame, so the old one stays")
            self.over = True
            self.decided.set()

    def _read(self) -> bool:
        started: tuple[float, float] | None = None
        current = False
        for frame in self.source:
            current = current or self._owner.take_over(self)
            if self.retired or not current:
                return current
            if self._owner.paced and not self.source.info.live:
                started = started or (time.monotonic(), frame.time)
                self._wake.wait(max(0.0, started[0] + frame.time - started[1] - time.monotonic()))
                self._owner.put(self, replace(frame, captured_at=time.monotonic()))
            else:
                self._owner.put(self, frame)
        return current

    def _put_error(self, error: BaseException) -> None:
        if not self.retired:
            try:
                self._owner.put(self, error)
            except Cancelled:
                return


class _Line:
    """The common time line of the frames of all sources."""

    def __init__(self) -> None:
        self._feed: _Feed | None = None
        self._last: Frame | None = None
        self._base = Fraction(1, 90_000)
        self._shift = Fraction(0)
        self._index = 0

    def placed(self, frame: Frame, feed: _Feed, sound: SwitchedSound | None) -> Frame:
        """The frame with its place after those before it."""
        last = self._last
        if feed is not self._feed:
            if last is None:
                self._base = frame.time_base
            else:
                self._follow(frame, last)
                if sound is not None:
                    sound.follow(last.time, feed.source.info.sound, float(self._shift))
            self._feed = feed
        pts = round((frame.pts * frame.time_base + self._shift) / self._base)
        if last is not None:
            pts = max(pts, last.pts + 1)
        duration = round(frame.duration * frame.time_base / self._base)
        index = frame.index + self._index
        placed = replace(frame, pts=pts, time_base=self._base, duration=duration, index=index)
        self._last = placed
        return placed

    def _follow(self, frame: Frame, last: Frame) -> None:
        passed = Fraction(max(frame.captured_at - last.captured_at, 0)).limit_denominator(1_000_000)
        step = max(passed, last.duration * last.time_base)
        self._shift = last.pts * last.time_base + step - frame.pts * frame.time_base
        self._index = last.index + 1 - frame.index
