"""The scene's tune: plucked notes over four chords, the same every 9.6 seconds."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

SOUND_RATE = 48_000

_BEAT = 14_400  # samples: 0.3 seconds
_PERIOD = 32 * _BEAT
# One bar of eight notes per chord, in semitones above A3; the melody above it in the same unit.
_CHORDS = ((3, 7, 10), (-2, 2, 5), (0, 3, 7), (-4, 0, 3))
_MELODY = (
    (19, None, 22, 19, 15, None, 17, 19),
    (14, None, 17, None, 22, 19, 17, 14),
    (15, None, 19, 15, 12, None, 15, 17),
    (12, 15, 17, None, 20, 19, 15, None),
)
_FADE = 0.4 * SOUND_RATE


class Tune:
    """The tune for a film of some seconds, faded in and out; stereo, 48 kHz; any length, little memory."""

    def __init__(self, seconds: float) -> None:
        self.samples = round(seconds * SOUND_RATE)
        # Notes ring for less than a period, so the second period sounds like all that follow.
        self._mixed = np.zeros((min(self.samples, 2 * _PERIOD), 2), np.float32)
        self._beats = 0  # that are mixed at once, so that the beginning need not wait for the rest

    def __getitem__(self, part: slice) -> NDArray[np.float32]:
        """`tune[first:last]`: float32 (n, 2) in -1..1."""
        at = np.arange(*part.indices(self.samples))
        self._mix_(int(at.max(initial=-1)) + 1)
        fade = np.clip(np.minimum(at, self.samples - 1 - at) / _FADE, 0, 1).astype(np.float32)
        source = np.where(at < 2 * _PERIOD, at, _PERIOD + at % _PERIOD)
        return np.asarray(np.clip(self._mixed[source] * fade[:, None], -1, 1), np.float32)

    def _mix_(self, until: int) -> None:
        """Add all notes that begin before this sample."""
        sound = self._mixed
        while self._beats * _BEAT < min(until, len(sound)):
            bar, step = divmod(self._beats, 8)
            at = self._beats * _BEAT
            chord = _CHORDS[bar % len(_CHORDS)]
            if step == 0:
                _play_(sound, at, chord[0] - 12, 0.30, 2.4, 0.5)
            _play_(sound, at, chord[(0, 1, 2, 1)[step % 4]], 0.13, 0.7, 0.3 + 0.1 * (step % 4))
            note = _MELODY[bar % len(_MELODY)][step]
            if note is not None:
                _play_(sound, at, note, 0.22, 1.1, 0.62 - 0.04 * (step % 4))
            self._beats += 1


def _play_(
    sound: NDArray[np.float32], first: int, semitones: int, loud: float, ring: float, right: float
) -> None:
    """Add one plucked note. right: from 0, all in the left channel, to 1."""
    note = _note(semitones, ring)[: max(len(sound) - first, 0)]
    sides = np.array([math.cos(right * math.pi / 2), math.sin(right * math.pi / 2)], np.float32)
    sound[first : first + len(note)] += loud * note[:, None] * sides


@functools.lru_cache(maxsize=64)
def _note(semitones: int, ring: float) -> NDArray[np.float32]:
    """One note at full loudness: overtones that die sooner the higher they are."""
    length = round(2.2 * ring * SOUND_RATE)
    moment = np.arange(length) / SOUND_RATE
    pitch = 220.0 * 2 ** (semitones / 12)
    tone = np.exp(moment * complex(-1 / ring, 2 * math.pi * pitch))
    overtones = tone * (1.0 + tone * (0.42 + tone * (0.2 + tone * 0.1)))
    attack = np.minimum(moment / 0.006, 1)  # not quite at once, or every note would click
    end = np.minimum(np.arange(length)[::-1] / 400, 1)
    note: NDArray[np.float32] = (0.5 * overtones.imag * np.exp(-0.6 * moment / ring) * attack * end).astype(
        np.float32
    )
    return note
