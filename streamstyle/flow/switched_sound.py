"""The sound of one source after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Sound, SoundReader

_RATE = 48_000  # of `streamstyle.types.SoundReader`
_MAX_ROUNDED_SAMPLES = 4
"""Two parts may meet within one call, and each begins and ends between two samples."""


@dataclass(frozen=True)
class _Part:
    """begins: on the common time line, in seconds. shift: seconds from the sound's own times to that line."""

    begins: float
    sound: Sound | None
    shift: float

    def reader(self) -> SoundReader:
        return _SilentPart() if self.sound is None else self.sound.reader()


class SwitchedSound:
    """Implements `Sound`: that of the source which is read, on the common time line."""

    def __init__(self, first: Sound) -> None:
        self.parts = [_Part(float("-inf"), first, 0.0)]

    def follow(self, time: float, sound: Sound | None, shift: float) -> None:
        """Change to another sound, or none, at this time; its own times are `shift` seconds earlier."""
        self.parts.append(_Part(time, sound, shift))

    def reader(self) -> SoundReader:
        """See `streamstyle.types.Sound`."""
        return _Reader(self)


class _Reader:
    def __init__(self, sound: SwitchedSound) -> None:
        self._sound = sound
        self._at: int | None = None
        self._part = len(sound.parts) - 1
        self._reader = sound.parts[self._part].reader()

    def until(self, time: float) -> NDArray[np.float32]:
        heard = []
        parts = self._sound.parts
        while self._part + 1 < len(parts) and parts[self._part + 1].begins <= time:
            following = parts[self._part + 1]
            heard.append(self._reader.until(following.begins - parts[self._part].shift))
            self._part += 1
            self._reader = following.reader()
            self._reader.until(following.begins - following.shift)  # sound begins with the first call
        heard.append(self._reader.until(time - parts[self._part].shift))
        return self._whole(np.concatenate(heard), round(time * _RATE))

    def _whole(self, samples: NDArray[np.float32], end: int) -> NDArray[np.float32]:
        """Cut or fill to the number of samples that the common time line has up to `end`, because each part
        rounds on its own and encoders accept no sample twice. A gap without samples stays a gap."""
        begin, self._at = self._at, max(end, self._at or end)
        missing = 0 if begin is None else self._at - begin - len(samples)
        if missing < 0:
            return samples[:missing]
        if 0 < missing <= _MAX_ROUNDED_SAMPLES:
            return np.concatenate([samples, np.zeros((missing, 2), np.float32)])
        return samples


class _SilentPart:
    def __init__(self) -> None:
        self._at: int | None = None

    def until(self, time: float) -> NDArray[np.float32]:
        end = round(time * _RATE)
        start = end if self._at is None else self._at
        self._at = max(start, end)
        return np.zeros((max(end - start, 0), 2), np.float32)
