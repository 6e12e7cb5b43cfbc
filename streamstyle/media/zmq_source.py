"""Pictures of another program as a Source: a streamstyle that publishes, imagezmq, NetGear."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Self

from streamstyle.errors import SourceError
from streamstyle.media.wire import Header, time_base
from streamstyle.media.wire_pixels import rgb
from streamstyle.media.zmq_subscription import Message, Subscription
from streamstyle.types import Frame, MediaReport, StreamInfo

_MICROSECONDS = Fraction(1, 1_000_000)


class ZmqSource:
    """A live Source on a `Subscription`. Counters: `skipped`, `corrupt_packets`, and `stalls`, times without
    data for the url's `timeout` seconds (default 5).

    Opening waits that long for the first picture, then raises SourceError. Later it waits for the publisher
    to return; ZeroMQ reconnects. pts come from the header, or from this machine's clock; they continue when a
    publisher restarts. The stream ends when the publisher announces it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._subscription: Subscription | None = None
        self._info: StreamInfo | None = None
        self._first: Message | None = None
        self._stalls = 0

    @property
    def info(self) -> StreamInfo:
        """Stream, as the first picture shows it."""
        if self._info is None:
            raise SourceError(f"{self._url} is not open: enter its `with` block first.")
        return self._info

    def __enter__(self) -> Self:
        self._subscription = Subscription(self._url)
        try:
            self._first = self._picture()
        except BaseException:
            self._subscription.close()
            raise
        if self._first is None:
            self._subscription.close()
            raise SourceError(f"{self._url} has ended: nothing is left to read.")
        header, pixels = self._first.header, self._first.pixels
        assert pixels is not None
        height, width = pixels.shape[:2]
        self._times = _Times(header)
        lasts = header.duration * time_base(header)
        self._info = StreamInfo(
            url=self._url,
            width=width,
            height=height,
            rate=None if lasts == 0 else 1 / lasts,
            time_base=self._times.base,
            frames=0,
            sample_aspect_ratio=Fraction(1),
            matrix="bt709" if height >= 720 else "bt601",
            audio_streams=0,
            live=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._subscription is not None:
            self._subscription.close()

    def __iter__(self) -> Iterator[Frame]:
        message, index = self._first, 0
        while message is not None:
            header, pixels = message.header, message.pixels
            assert pixels is not None
            assert header.format is not None
            yield Frame(
                pixels=rgb(pixels, header.format),
                index=index,
                pts=self._times.of(header),
                time_base=self._times.base,
                duration=self._times.duration(header),
                captured_at=time.monotonic(),
            )
            before = self._skipped()
            message = self._next()
            index += 1 + self._skipped() - before

    def interrupt(self) -> None:
        """See `Interruptible`."""
        if self._subscription is not None:
            self._subscription.interrupt()

    def _next(self) -> Message | None:
        """The next picture, however long it takes; None at the end."""
        assert self._subscription is not None
        while not self._subscription.interrupted:
            try:
                return self._picture()
            except SourceError:
                self._stalls += not self._subscription.interrupted
        return None

    def _picture(self) -> Message | None:
        """The next picture; None at the end."""
        assert self._subscription is not None
        while True:
            message = self._subscription.receive()
            if message.header.kind == "end":
                return None
            if message.pixels is not None:
                return message

    def _skipped(self) -> int:
        return 0 if self._subscription is None else self._subscription.counters.skipped

    def report(self) -> MediaReport:
        """Counters so far."""
        if self._subscription is None:
            return MediaReport()
        counters = self._subscription.counters
        notes = (f"Messages were refused: {counters.fault}",) if counters.corrupt else ()
        counted = {"skipped": counters.skipped, "corrupt_packets": counters.corrupt, "stalls": self._stalls}
        return MediaReport(counted, notes)


class _Times:
    """Presentation times that only grow, in one time base, for any publisher."""

    def __init__(self, first: Header) -> None:
        self.base = _MICROSECONDS if first.pts is None else time_base(first)
        self._started = time.monotonic()
        self._stream = first.stream
        self._shift = 0
        self._last: int | None = None
        self._last_at = self._started

    def of(self, header: Header) -> int:
        """pts of this frame, in units of `base`."""
        now = time.monotonic()
        if header.pts is None:
            pts = self._ticks(Fraction(now - self._started))
        else:
            pts = self._ticks(header.pts * time_base(header))
        if self._last is not None:
            passed = max(1, self._ticks(Fraction(now - self._last_at)))
            if header.stream != self._stream:
                self._shift = self._last + passed - pts
            pts = max(pts + self._shift, self._last + 1)
        self._stream, self._last, self._last_at = header.stream, pts, now
        return pts

    def duration(self, header: Header) -> int:
        """Duration of this frame in units of `base`; 0 where unknown."""
        return self._ticks(header.duration * time_base(header))

    def _ticks(self, seconds: Fraction) -> int:
        return round(seconds / self.base)
