"""Sound of any source as samples up to a time, for outputs that encode it themselves."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from streamstyle.media.container import HOSTILE, packets_of
from streamstyle.media.continuous_sound import ContinuousSound
from streamstyle.media.film_clock import FilmClock
from streamstyle.media.film_input import is_film, open_film
from streamstyle.media.layouts import channels_of_
from streamstyle.media.programs import taken_of
from streamstyle.media.scene.film import is_scene, parse_scene
from streamstyle.media.scene.sound import SOUND_RATE, Tune
from streamstyle.types import Sound, SoundReader, StreamInfo


def sound_of(info: StreamInfo) -> Sound | None:
    """Sound of a source; None if it has none. Of a film, the first sound stream."""
    if info.sound is not None:
        return info.sound
    if is_scene(info.url):
        return SceneSound(Tune(parse_scene(info.url).seconds))
    return FilmSound(info.url) if info.audio_streams and not info.live and is_film(info.url) else None


class Silence:
    """Implements `Sound` for a source without sound."""

    def reader(self) -> SoundReader:
        """See `Sound`."""
        return _SilenceReader()


class _SilenceReader:
    def __init__(self) -> None:
        self._at: int | None = None

    def until(self, time: float) -> NDArray[np.float32]:
        end = round(time * SOUND_RATE)
        start = end if self._at is None else self._at
        if end - start > SOUND_RATE:
            start = end  # the picture jumped as well
        self._at = max(start, end)
        return np.zeros((max(end - start, 0), 2), np.float32)


class SceneSound:
    """Implements `Sound`: the rendered scene's tune."""

    def __init__(self, tune: Tune) -> None:
        self._tune = tune

    def reader(self) -> SoundReader:
        """See `Sound`."""
        return _SceneReader(self._tune)


class _SceneReader:
    def __init__(self, tune: Tune) -> None:
        self._tune = tune
        self._at: int | None = None

    def until(self, time: float) -> NDArray[np.float32]:
        end = max(round(time * SOUND_RATE), 0)
        start = end if self._at is None else min(self._at, end)
        self._at = max(end, self._at or 0)
        heard = np.zeros((end - start, 2), np.float32)
        tune = self._tune[start:end]
        heard[: len(tune)] = tune
        return heard


class FilmSound:
    """Implements `Sound`: a film's first sound stream, decoded on demand."""

    def __init__(self, path: str) -> None:
        self._path = path

    def reader(self) -> SoundReader:
        """See `Sound`."""
        return _FilmReader(self._path)


class _FilmReader:
    def __init__(self, path: str) -> None:
        self._chunks = _decoded(path)
        self._waiting: deque[tuple[int, NDArray[np.float32]]] = deque()
        self._at: int | None = None
        self._over = False

    def until(self, time: float) -> NDArray[np.float32]:
        end = round(time * SOUND_RATE)
        start = end if self._at is None else min(self._at, end)
        self._at = max(end, start)
        self._read(end)
        heard = np.zeros((end - start, 2), np.float32)
        for first, samples in self._waiting:
            a, b = max(first, start), min(first + len(samples), end)
            if a < b:
                heard[a - start : b - start] = samples[a - first : b - first]
        while self._waiting and self._waiting[0][0] + len(self._waiting[0][1]) <= end:
            self._waiting.popleft()
        return heard

    def _read(self, end: int) -> None:
        while not self._over and (
            not self._waiting or self._waiting[-1][0] + len(self._waiting[-1][1]) < end
        ):
            chunk = next(self._chunks, None)
            if chunk is None:
                self._over = True
                return
            self._waiting.append(chunk)


def _decoded(path: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Place of the first sample, and samples (n, 2). Damaged parts are silent; the source reports them."""
    with open_film(path) as container:
        stream = taken_of(container, container.streams.audio)[0]
        channels = channels_of_(stream)
        if not channels.decodable:
            return
        steady = ContinuousSound(SOUND_RATE, channels=channels)
        packets = FilmClock(container).placed(packets_of(container))
        while True:
            try:
                packet = next(packets, None)
            except HOSTILE:
                packet = None
            if packet is not None and packet.stream_index != stream.index:
                continue
            with contextlib.suppress(*HOSTILE):
                for frame in stream.decode(packet):
                    yield from steady.placed(frame)
            if packet is None:
                yield from steady.placed(None)
                return
