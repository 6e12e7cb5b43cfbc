"""The source `test:?live=1`: the rendered scene as an endless camera with a microphone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

from streamstyle.media.live_clock import wait_until
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.scene.film import SceneRequest, SceneSource
from streamstyle.media.scene.sound import SOUND_RATE, Tune
from streamstyle.types import Frame, MediaReport, StreamInfo


class LiveSceneSource:
    """Repeats the film, each frame when it is due. A frame that could not be drawn in time is left out, as a
    camera would, and shows as a gap of `index` and pts; counted in `skipped_frames`."""

    def __init__(self, request: SceneRequest) -> None:
        self._film = SceneSource.of(request)
        self._rate = request.rate
        self._tune = Tune(request.seconds)
        self._sound = SoundBuffer()
        self._stopped = False
        self._frames = 0
        self._skipped = 0

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        return replace(
            self._film.info, url=f"{self._film.info.url}&live=1", frames=0, live=True, sound=self._sound
        )

    def __enter__(self) -> Self:
        self._film.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stopped = True
        self._film.__exit__(*error)

    def __iter__(self) -> Iterator[Frame]:
        total, started, index = self._film.info.frames, time.monotonic(), 0
        while not self._stopped:
            pixels = self._film.draw(index % total)
            wait_until(started + float(index / self._rate), lambda: self._stopped)
            now = time.monotonic()
            self._play(index, total)
            self._frames += 1
            yield Frame(pixels, index, index, 1 / self._rate, 1, now)
            due = int((time.monotonic() - started) * self._rate)
            self._skipped += max(due - index - 1, 0)
            index = max(due, index + 1)

    def interrupt(self) -> None:
        """See `Interruptible`."""
        self._stopped = True

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport(
            counters={
                "frames": self._frames,
                "corrupt_packets": 0,
                "truncated": 0,
                "skipped_frames": self._skipped,
            }
        )

    def _play(self, index: int, total: int) -> None:
        """Add the sound of one frame's time."""
        first, end = (round((index % total + i) / self._rate * SOUND_RATE) for i in (0, 1))
        self._sound.add(self._tune[first:end], float(index / self._rate))
