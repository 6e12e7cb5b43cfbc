"""The time line of live sources."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
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


RATE = 25


def lags(clock: LiveClock, stamps: Iterable[float | None], at: Iterable[float]) -> list[float]:
    """Seconds by which each stamp is behind the time since 100.0, when the clock's first frame came."""
    return [now - 100 - clock.place(stamp, now) / SECOND for stamp, now in zip(stamps, at, strict=True)]


def playing(first: float, seconds: float, delay: float = 0.0) -> Iterator[float]:
    """Stamps of so many seconds, or the times at which they come in time."""
    return (first + delay + i / RATE for i in range(round(seconds * RATE)))


@pytest.fixture
def clock() -> LiveClock:
    """One that has seen two seconds of a stream whose stamps begin at 50."""
    clock = LiveClock()
    assert lags(clock, playing(50, 2), playing(100, 2)) == pytest.approx([0] * 2 * RATE, abs=1e-3)
    return clock


def test_a_backlog_is_passed_over_and_leaves_the_clock_as_it_was(clock: LiveClock) -> None:
    """Five seconds come at once, among them a picture whose stamp was lost."""
    backlog: list[float | None] = list(playing(52, 5))
    backlog[1] = None
    stale = []
    for i, stamp in enumerate(backlog):
        clock.place(stamp, 107 + 1e-3 * i)
        stale.append(clock.stale)
    assert sum(stale) == pytest.approx(4.75 * RATE, abs=5)
    assert not any(stale[-3:])
    assert lags(clock, playing(57.2, 2), playing(107.2, 2)) == pytest.approx([0] * 2 * RATE, abs=1e-3)
    assert clock.jumps == 0


def test_a_backlog_of_a_new_connection_does_not_run_ahead(clock: LiveClock) -> None:
    clock.connect()
    behind = lags(clock, playing(0, 4), (103 + 1e-3 * i for i in range(4 * RATE)))
    behind += lags(clock, playing(4, 2), playing(103.1, 2))
    assert min(behind) > -0.11
    assert max(behind) < 0.11


@pytest.mark.parametrize("gone", [0.5, 3.0])
def test_time_that_a_source_lost_is_made_up(clock: LiveClock, gone: float) -> None:
    """Its clock stood while it was frozen, and nothing of a backlog comes."""
    behind = lags(clock, playing(52, 3), playing(102 + gone, 3))
    assert behind[0] == pytest.approx(gone, abs=1e-3)
    assert behind[RATE:] == pytest.approx([0] * 2 * RATE, abs=0.05)
    assert clock.jumps == 0


def test_what_comes_late_before_each_reconnection_does_not_add_up(clock: LiveClock) -> None:
    """A picture that the network or FFmpeg kept until the connection was given up."""
    at = 102.0
    for _ in range(10):
        clock.place(52.0, at + 5)
        clock.connect()
        assert lags(clock, [51.96, 52.0], [at + 6, at + 6.04]) == pytest.approx([0, 0], abs=1e-3)
        at += 6.08
