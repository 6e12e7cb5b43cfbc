"""The time line of live sources."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction

import pytest

from streamstyle.media.live_clock import TIME_BASE, LiveClock, Pace, measured_rate

SECOND = TIME_BASE.denominator


def test_steps_within_a_connection_are_the_sources_own() -> None:
    clock = LiveClock()
    ticks = [clock.place(stamp, 7 + late) for stamp, late in ((50.0, 0), (50.04, 0.09), (50.08, 0.1))]
    assert ticks == [0, 0.04 * SECOND, 0.08 * SECOND]
    assert clock.frames == 3


def test_a_new_connection_goes_on_by_the_wall_clock() -> None:
    clock = LiveClock()
    clock.place(50.0, 10.0)
    clock.connect()
    assert clock.waiting
    assert clock.seconds(0.0) is None
    assert clock.place(0.0, 13.5) == 3.5 * SECOND
    assert clock.seconds(0.25) == pytest.approx(3.75)
    assert clock.jumps == 0


@pytest.mark.parametrize("jump", [-30.0, 1000.0])
def test_stamps_that_jump_begin_a_new_time_line(jump: float) -> None:
    clock = LiveClock()
    clock.place(50.0, 10.0)
    assert clock.place(50.1 + jump, 10.1) == pytest.approx(0.1 * SECOND, abs=1)
    assert clock.jumps == 1
    assert clock.place(50.2 + jump, 10.2) == pytest.approx(0.2 * SECOND, abs=1)


def test_time_never_runs_back_or_stands_still() -> None:
    clock = LiveClock()
    stamps = [1.0, 1.0, 0.98, None, 1.04, None, None, 1.05]
    ticks = [clock.place(stamp, 5 + 0.01 * i) for i, stamp in enumerate(stamps)]
    assert all(a < b for a, b in itertools.pairwise(ticks))


def test_a_silence_of_the_source_alone_is_a_gap() -> None:
    clock = LiveClock()
    clock.place(50.0, 10.0)
    assert clock.place(59.0, 19.0) == 9 * SECOND
    assert clock.jumps == 0


def test_sound_far_from_the_picture_is_not_believed() -> None:
    clock = LiveClock()
    clock.place(50.0, 10.0)
    assert clock.seconds(50.5) == 0.5
    assert clock.seconds(5000.0) is None


def test_the_measured_rate_corrects_the_declared_one() -> None:
    stamps = [i / 15 for i in range(10)]
    assert measured_rate(stamps, Fraction(30)) == 15
    assert measured_rate(stamps, Fraction(15000, 1001)) == Fraction(15000, 1001)
    assert measured_rate(stamps, None) == 15
    assert measured_rate(stamps[:2], Fraction(30)) == 30
    assert measured_rate([], None) is None


def test_what_comes_too_soon_is_held_back_until_stopped() -> None:
    pace = Pace()
    started = time.monotonic()
    for seconds in (5.0, 5.1, 5.2):
        pace.hold(seconds, lambda: False)
    assert time.monotonic() - started >= 0.2
    pace.hold(5000.0, lambda: True)
