"""Sound of a live source: written as it arrives, read by each sink up to the picture that it writes.

A sink asks for sound up to the time stamp of a frame that reached it late. So sound has the picture's delay
and stays in sync, for any delay and any number of dropped frames.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from streamstyle.media.scene.sound import SOUND_RATE

KEPT_SECONDS = 20
"""Age after which sound is dropped: no sink is that late."""


class SoundBuffer:
    """Implements `Sound`. One thread adds; any number of threads read."""

    def __init__(self) -> None:
        # Only the deque is shared and changed, and its methods are atomic.
        self._chunks: deque[tuple[int, NDArray[np.float32]]] = deque()

    def add(self, samples: NDArray[np.float32], time: float) -> None:
        """Add samples: (n, 2) in -1..1, 48 kHz, not changed later. time: of the first one, on the frames'
        clock."""
        first = round(time * SOUND_RATE)
        self._chunks.append((first, samples))
        while self._chunks[0][0] < first - KEPT_SECONDS * SOUND_RATE:
            self._chunks.popleft()

    def reader(self) -> SoundBufferReader:
        """See `Sound`."""
        return SoundBufferReader(self._chunks)


class SoundBufferReader:
    """Implements `SoundReader`."""

    def __init__(self, chunks: deque[tuple[int, NDArray[np.float32]]]) -> None:
        self._chunks = chunks
        self._at: int | None = None

    def until(self, time: float) -> NDArray[np.float32]:
        """See `SoundReader`. Of overlapping chunks the later is used; a jump back in time gives nothing."""
        end = round(time * SOUND_RATE)
        start = end if self._at is None else self._at
        if end - start > KEPT_SECONDS * SOUND_RATE:
            start = end  # a gap of the source: the sink's picture jumped as well
        self._at = max(end, start)
        heard = np.zeros((max(end - start, 0), 2), np.float32)
        for first, samples in self._chunks.copy():
            a, b = max(first, start), min(first + len(samples), end)
            if a < b:
                heard[a - start : b - start] = samples[a - first : b - first]
        return heard
