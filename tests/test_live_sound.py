"""Sound of live sources: in step with the picture that a sink writes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.media.live_sound import KEPT_SECONDS, SoundBuffer
from streamstyle.media.scene.sound import SOUND_RATE


def ramp(first: int, n: int) -> np.ndarray:
    values = (first + np.arange(n, dtype=np.float32)) / 1e6
    return np.stack([values, -values], axis=1)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20), st.lists(st.integers(1, 3000), max_size=30))
def test_what_readers_hear_is_what_was_added_however_both_are_cut(added: list[int], read: list[int]) -> None:
    buffer, at = SoundBuffer(), 0
    for n in added:
        buffer.add(ramp(at, n), at / SOUND_RATE)
        at += n
    reader = buffer.reader()
    assert len(reader.until(0.0)) == 0
    ends = [end for end in np.cumsum(read).tolist() if end <= at]
    heard = [reader.until(end / SOUND_RATE) for end in ends]
    if heard:
        whole = np.concatenate(heard)
        np.testing.assert_array_equal(whole, ramp(0, len(whole)))


def test_a_gap_of_the_source_is_silence_of_the_same_length() -> None:
    buffer = SoundBuffer()
    buffer.add(ramp(1, 480), 0.0)
    buffer.add(ramp(1, 480), 0.02)
    reader = buffer.reader()
    reader.until(0.0)
    heard = reader.until(0.03)
    assert len(heard) == 0.03 * SOUND_RATE
    assert not heard[480:960].any()
    assert heard[:480].any(axis=1).all()
    assert heard[960:].any(axis=1).all()


def test_readers_do_not_disturb_each_other() -> None:
    buffer = SoundBuffer()
    buffer.add(ramp(0, 4800), 0.0)
    one, other = buffer.reader(), buffer.reader()
    one.until(0.0), other.until(0.0)
    first = one.until(0.1)
    np.testing.assert_array_equal(other.until(0.1), first)


def test_time_that_jumps_is_neither_memory_nor_old_sound() -> None:
    buffer = SoundBuffer()
    buffer.add(ramp(0, 480), 0.0)
    reader = buffer.reader()
    reader.until(0.0)
    assert len(reader.until(10.0 + KEPT_SECONDS)) == 0
    assert len(reader.until(5.0)) == 0
    assert len(reader.until(10.5 + KEPT_SECONDS)) == SOUND_RATE // 2
