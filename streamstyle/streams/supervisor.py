"""Several streams that are kept alive."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit

from streamstyle.flow import Channel, Future
from streamstyle.media.backoff import RESTARTS, Retries
from streamstyle.streams.stream_file import StreamEntry
from streamstyle.streams.stream_process import StreamProcess, placings
from streamstyle.urls import masked
from streamstyle.web.streams_app import StreamEvent, StreamFacts

STOP_TIMEOUT = 30.0
"""Seconds that streams may take to finish their outputs at the end."""

_KEPT_EVENTS = 50

_QUICK_ENDS = 3
"""Number of quick ends in a row after which a process begins with the settings of the file, because later
changes may be the cause."""

Notify = Callable[[str], None]


class KeptStream:
    """A stream whose process is started again whenever it ends, after longer and longer pauses."""

    def __init__(self, stream: StreamEntry, process: StreamProcess, notify: Notify) -> None:
        """notify: hears what happens to the stream and what its process prints, from any thread."""
        self._stream, self._process, self._notify = stream, process, notify
        self._ended: Channel[None] = Channel(1, "latest")
        self._address = ""
        self._restarts = 0
        self._why: str | None = None
        self._due = 0.0
        self._over = False
        self._work: Future[None] | None = None

    @property
    def facts(self) -> StreamFacts:
        """Its state."""
        address = urlsplit(self._address)
        source = self._stream.config.source
        return StreamFacts(
            name=self._stream.name,
            source="" if source is None else masked(source),
            style=self._process.state.config.style,
            address=f"{address.hostname}:{address.port}" if self._address else None,
            token=parse_qs(address.query).get("token", [""])[-1],
            restarts=self._restarts,
            why=self._why,
            again_in=max(self._due - time.monotonic(), 0.0),
        )

    def start(self) -> None:
        """Begin to keep it alive."""
        self._work = Future(self._keep, self._stream.name)

    def end(self) -> None:
        """Let it finish its outputs and end; returns at once."""
        self._over = True
        self._ended.cancel()
        self._process.end()

    def wait(self, seconds: float) -> None:
        """Wait for its end after `end`, for so long at most."""
        if self._work is not None:
            with suppress(TimeoutError):
                self._work.result(max(seconds, 0.0))

    def kill(self) -> None:
        """End its process at once, if it has not ended."""
        self._process.kill()

    def _keep(self) -> None:
        retries = Retries(RESTARTS)
        while not self._over:
            began = time.monotonic()
            try:
                why = self._process.run(self._serves, self._notify)
            except OSError as error:
                why = f"cannot be started ({error.strerror})"
            self._address = ""
            if self._over:
                return
            retries.lasted(time.monotonic() - began)
            pause = retries.pause()
            self._why, self._due = f"its process {why}", time.monotonic() + pause
            self._notify(f"its process {why}: restarting it in {pause:.0f} s")
            if retries.failures == _QUICK_ENDS and self._process.forget():
                self._notify("it ended soon after its start, repeatedly: it begins with the file's settings")
            if self._ended.wait_ready(pause):
                return
            self._restarts += 1

    def _serves(self, address: str) -> None:
        self._address, self._why = address, None
        self._notify("it was restarted" if self._restarts else "it has started")


class Supervisor:
    """Keeps streams alive inside its `with` block, each on its share of the machine."""

    def __init__(
        self, streams: Sequence[StreamEntry], options: Callable[[StreamEntry], list[str]], notify: Notify
    ) -> None:
        """options: of `serve` for a stream. notify: gets its events."""
        self._notify = notify
        self._events: deque[StreamEvent] = deque(maxlen=_KEPT_EVENTS)
        self._kept = [
            KeptStream(stream, StreamProcess(stream, options(stream), placing), self._notify_of(stream.name))
            for stream, placing in zip(streams, placings(len(streams)), strict=True)
        ]

    @property
    def streams(self) -> list[StreamFacts]:
        """The state of each."""
        return [kept.facts for kept in self._kept]

    @property
    def events(self) -> list[StreamEvent]:
        """The latest events, the last one at the end."""
        return list(self._events)

    def __enter__(self) -> Self:
        for kept in self._kept:
            kept.start()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT
        try:
            for kept in self._kept:
                kept.end()
            for kept in self._kept:
                kept.wait(deadline - time.monotonic())
        finally:
            for kept in self._kept:
                kept.kill()

    def _notify_of(self, name: str) -> Notify:
        def notify(sentence: str) -> None:
            self._events.append(StreamEvent(time.time(), name, sentence))
            self._notify(f"{name}: {sentence}")

        return notify
