"""Network outputs as one Sink: encoded once, and sent by a separate child process each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from streamstyle.errors import SinkError
from streamstyle.media.container import UNWRITABLE, sink_error
from streamstyle.media.encoding import USUAL, Encoding
from streamstyle.media.film_pacer import FilmPacer
from streamstyle.media.net.encoder import LiveEncoder, live_video
from streamstyle.media.net.parcel import PICTURE
from streamstyle.media.net.sender import Sender, wait_for_any
from streamstyle.media.net.targets import target_of
from streamstyle.media.sounds import Silence, sound_of
from streamstyle.types import Frame, MediaReport, StreamInfo

CLOSING_SECONDS = 0.8
"""Time for all peers together to take the end."""

FIRST_ANSWER_SECONDS = 5.0
"""Time that the start of a film waits for all peers."""


class StreamSink:
    """Sends to any number of network addresses.

    Never waits for any of them: packets that a peer does not take in time are dropped up to the next key
    frame, and lost peers are reconnected. A film is sent at its own pace from its beginning, for which peers
    have some seconds to answer. how: only quality and encoder are used; the codec is H.264, see `live_video`.

    Counters: `frames`, `frames_skipped` (time stamps that did not advance),
    `video_packets` and `audio_packets` encoded; of each address those of `Sender`, with its name behind them
    where there are several.
    """

    def __init__(
        self,
        urls: Sequence[str],
        info: StreamInfo,
        how: Encoding = USUAL,
        *,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._senders = [Sender(target, notify) for target in map(target_of, urls)]
        self._info = info
        self._notes: list[str] = []
        self._video = live_video(info, how, self.name, self._notes)
        self._encoder: LiveEncoder | None = None
        self._silent = False
        self._pace = FilmPacer(live=info.live)
        self._closed = False
        self._counts = {"frames": 0, "frames_skipped": 0, "video_packets": 0, "audio_packets": 0}

    @property
    def name(self) -> str:
        """All addresses, without secrets."""
        return " + ".join(sender.name for sender in self._senders)

    def write(self, frame: Frame) -> None:
        """Encode one frame and pass it on. Raises SinkError where the encoder fails; peers may."""
        if self._closed:
            raise SinkError(f"{self.name} is closed: no frame can follow.")
        first = self._encoder is None
        try:
            if self._encoder is None:
                sound = sound_of(self._info)
                self._silent = sound is None
                self._encoder = LiveEncoder(self._video, sound or Silence(), frame)
            key = any(sender.wants_key for sender in self._senders)
            parcels = self._encoder.encode(frame, key=key)
        except UNWRITABLE as error:
            raise sink_error(self.name, error) from error
        pictures = sum(parcel.stream == PICTURE for parcel in parcels)
        self._counts["frames" if pictures else "frames_skipped"] += 1
        self._counts["video_packets"] += pictures
        self._counts["audio_packets"] += len(parcels) - pictures
        if first and not self._info.live:
            self._wait_for_peers(frame.time)
        self._pace.wait_for(frame)
        for sender in self._senders:
            sender.send(parcels, self._encoder.sample, frame.time, silent=self._silent)

    def _wait_for_peers(self, seconds: float) -> None:
        assert self._encoder is not None
        deadline = time.monotonic() + FIRST_ANSWER_SECONDS
        while not all(sender.ready for sender in self._senders) and time.monotonic() < deadline:
            for sender in self._senders:
                sender.send([], self._encoder.sample, seconds, silent=self._silent)
            wait_for_any(self._senders, deadline)

    def close(self, *, complete: bool) -> None:  # noqa: ARG002
        """Send every peer the end, and leave those that do not take it soon. `complete` changes nothing for a
        stream."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + CLOSING_SECONDS
        for sender in self._senders:
            sender.hang_up()
        for sender in self._senders:
            sender.close(deadline)
        if self._encoder is not None:
            self._encoder.close()

    def report(self) -> MediaReport:
        """Counters so far."""
        counts, notes = dict(self._counts), list(self._notes)
        for sender in self._senders:
            report = sender.report()
            suffix = f" {sender.name}" if len(self._senders) > 1 else ""
            counts |= {f"{name}{suffix}": count for name, count in report.counters.items()}
            notes += report.notes
        return MediaReport(counters=counts, notes=tuple(notes))
