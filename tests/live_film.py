"""A live source for tests of outputs: pictures and sound that show whether they are in step, in real time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
from media_files import card

from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.scene.sound import SOUND_RATE
from streamstyle.types import Frame, Picture, Sink, StreamInfo

SIZE = (160, 96)
RATE = 20
PERIOD = 20
"""Frames from flash to flash: one second."""
WHITE = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
_BEEP = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(SOUND_RATE // RATE) / SOUND_RATE)


def picture(number: int) -> Picture:
    """A test card, but every second a white frame."""
    return WHITE if number % PERIOD == 0 else card(*SIZE)


def live_info(sound: SoundBuffer | None) -> StreamInfo:
    return StreamInfo(
        "camera", *SIZE, Fraction(RATE), Fraction(1, 1000), 0, Fraction(1), "bt601", 0, live=True, sound=sound
    )


def live_frame(number: int, sound: SoundBuffer | None = None, pixels: Picture | None = None) -> Frame:
    """The frame with this number, whose sound is there then; a white one beeps."""
    if sound is not None:
        level = 1.0 if number % PERIOD == 0 else 0.0
        sound.add(np.repeat(level * _BEEP[:, None], 2, axis=1).astype(np.float32), number / RATE)
    shown = picture(number) if pixels is None else pixels
    pts = number * 1000 // RATE
    return Frame(shown, number, pts, Fraction(1, 1000), 1000 // RATE, time.monotonic())


class Pump:
    """Writes live frames into a sink, from a thread, as a camera does: in real time, and after a pause of the
    machine no faster than that. slowest: the longest `write` (s)."""

    def __init__(self, sink: Sink, sound: SoundBuffer | None) -> None:
        self.slowest = 0.0
        self.frames = 0
        self.error: BaseException | None = None
        self._sink = sink
        self._sound = sound
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                frame = live_frame(self.frames, self._sound)
                started = time.monotonic()
                self._sink.write(frame)
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.frames += 1
                self._stop.wait(max(started + 1 / RATE - time.monotonic(), 0))
        except BaseException as error:  # noqa: BLE001 - raised by `pumping`
            self.error = error

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def pumping(sink: Sink, sound: SoundBuffer | None = None) -> Iterator[Pump]:
    """Live frames go into the sink; it is closed at the end."""
    pump = Pump(sink, sound)
    pump.start()
    try:
        yield pump
    finally:
        pump.stop()
        sink.close(complete=True)
    assert pump.error is None, pump.error


def flashes_and_beeps(
    url: str, seconds: float, *, settle: float = 0.0, **options: str
) -> tuple[list[float], list[float], np.ndarray]:
    """Play for some seconds of stream: times of white frames, of beginnings of beeps; the last test card.

    settle: seconds after the first sound before which nothing is told: who comes while a beep sounds hears
    its rest. 0 tells everything.
    """
    flashes, loud = list[float](), list[float]()
    shown = np.zeros((1, 1, 3), np.uint8)
    with av.open(url, timeout=(30, 30), options=options) as container:
        first = heard = None
        for frame in container.decode(container.streams.video[0], *container.streams.audio[:1]):
            assert frame.time is not None
            first = frame.time if first is None else first
            if isinstance(frame, av.VideoFrame):
                pixels = frame.to_ndarray(format="rgb24")
                if pixels.mean() > 235:
                    flashes.append(frame.time)
                else:
                    shown = pixels
            else:
                heard = frame.time if heard is None else heard
                samples = np.abs(frame.to_ndarray()[0])
                loud += [frame.time + i / frame.sample_rate for i in np.flatnonzero(samples > 0.2)[:1]]
            if frame.time - first > seconds:
                break
    beeps = [t for i, t in enumerate(loud) if i == 0 or t - loud[i - 1] > 0.3]
    sure = heard + settle if settle and heard is not None else -math.inf
    return [t for t in flashes if t >= sure], [t for t in beeps if t >= sure], shown
