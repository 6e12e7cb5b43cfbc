"""Frames that leave while none come, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.config import RunConfig
from streamstyle.flow.filler import FillerConfig, Timeline
from streamstyle.media.slate import slate
from streamstyle.types import Frame, Picture

PACE = 1 / 30
PICTURE = np.full((4, 4, 3), 200, np.uint8)
BASE = Fraction(1, 90_000)


def frame(seconds: float, captured_at: float, index: int = 0) -> Frame:
    return Frame(PICTURE, index, round(seconds / BASE), BASE, 3000, captured_at)


def black(picture: Picture) -> Picture:
    return np.zeros_like(picture)


def timeline(after: float = RunConfig().stand_in_after) -> Timeline:
    return Timeline(FillerConfig(PACE, after, slate_after=3.0, slate=black))


def fillers(line: Timeline, start: float, end: float, step: float = 0.005) -> list[tuple[float, Frame]]:
    given = [(now, line.filler(now)) for now in np.arange(start, end, step).tolist()]
    return [(now, one) for now, one in given if one is not None]


def test_nothing_stands_in_before_the_first_frame_nor_while_frames_come() -> None:
    line = timeline()
    assert line.filler(100.0) is None
    for i in range(60):
        assert line.styled(frame(i * PACE, i * PACE), i * PACE).pts == round(i * PACE / BASE)
        assert not fillers(line, i * PACE, (i + 2.1) * PACE)
    assert line.fillers == 0


def leave(line: Timeline, times: Iterable[float]) -> int:
    """Let frames leave at these times; how many fillers did in between."""
    before, now = line.fillers, 0.0
    for i, time in enumerate(times):
        fillers(line, now, time)
        line.styled(frame(time, time, i), time)
        now = time
    return line.fillers - before


def test_frames_that_leave_in_pairs_are_not_stood_in_for() -> None:
    assert leave(timeline(), [(i + 0.85 * (i % 2 == 0)) * PACE for i in range(200)]) == 0


@pytest.mark.parametrize("fps", [28, 20, 10, 3])
@pytest.mark.parametrize("pairs", [False, True])
def test_an_engine_that_paints_fewer_frames_than_come_is_not_stood_in_for_for_long(
    fps: int, pairs: bool
) -> None:
    line, rng = timeline(), np.random.default_rng(0)
    times = [(i + 0.95 * (pairs and i % 2 == 0) + 0.1 * rng.random()) / fps for i in range(100)]
    leave(line, times[:10])
    before = line.fillers
    for i, (last, now) in enumerate(pairwise(times[9:]), 10):
        assert not fillers(line, last, now), now
        line.styled(frame(now, now, i), now)
    assert line.fillers == before


def test_after_one_outage_or_after_slow_frames_the_next_silence_is_stood_in_for_as_soon() -> None:
    line = timeline()
    leave(line, [i * PACE for i in range(20)])
    for start in (10.0, 20.0):
        for i in range(3):
            line.styled(frame(start + i * PACE, start + i * PACE), start + i * PACE)
        end = start + 2 * PACE
        times = [now for now, _ in fillers(line, end, end + 1.0)]
        assert times[0] - end < 3 * PACE
        assert max(np.diff(times)) < 1.5 * PACE
    leave(line, [30 + i / 5 for i in range(20)])
    leave(line, [40 + i * PACE for i in range(10)])
    assert fillers(line, 40 + 9 * PACE, 41)[0][0] < 40 + (9 + 3) * PACE


def test_silence_repeats_the_last_frame_then_shows_a_slate_on_the_frame_clock() -> None:
    line = timeline()
    line.styled(frame(5.0, 0.0, index=7), 0.0)
    given = fillers(line, 0.0, 6.0)
    times = [now for now, _ in given]
    assert times[0] <= 2.8 * PACE
    assert max(np.diff(times)) < 1.5 * PACE
    for now, one in given:
        assert one.filler
        assert one.index == 7
        assert one.time == pytest.approx(5.0 + now, abs=1e-3)
        assert (one.pixels is PICTURE) == (now < 3.0)
        assert bool(one.pixels.any()) == (now < 3.0)
    assert line.stalled
    assert line.fillers == len(given)
    assert line.slates == sum(now >= 3.0 for now in times)


def test_a_camera_that_halves_its_rate_is_not_silent_for_long() -> None:
    line = timeline()
    for i in range(60):
        line.styled(frame(2 * i * PACE, 2 * i * PACE), 2 * i * PACE)
        fillers(line, 2 * i * PACE, 2 * (i + 1) * PACE)
    before = line.fillers
    for i in range(60, 90):
        line.styled(frame(2 * i * PACE, 2 * i * PACE), 2 * i * PACE)
        fillers(line, 2 * i * PACE, 2 * (i + 1) * PACE)
    assert line.fillers == before


def test_a_source_that_returns_on_its_old_clock_keeps_its_time_stamps() -> None:
    line = timeline()
    line.styled(frame(1.0, 0.0), 0.05)
    last = fillers(line, 0.05, 5.0)[-1][1]
    back = line.styled(frame(6.0, 5.0), 5.05)
    assert back.pts > last.pts
    assert back.time == pytest.approx(6.0)
    assert line.shifted == 0
    assert not line.stalled


def test_a_source_that_returns_on_a_new_clock_goes_on_where_it_would_have_been() -> None:
    line = timeline()
    line.styled(frame(100.0, 0.0), 0.05)
    last = fillers(line, 0.05, 5.0)[-1][1]
    back = [line.styled(frame(i * PACE, 5 + i * PACE), 5.05 + i * PACE) for i in range(3)]
    assert back[0].pts > last.pts
    assert [one.time for one in back] == pytest.approx([105 + i * PACE for i in range(3)], abs=1e-3)
    assert line.shifted == 1


def test_a_frame_that_took_long_to_paint_is_late_and_no_new_clock() -> None:
    line = timeline()
    line.styled(frame(10.0, 0.0), 0.05)
    last = fillers(line, 0.05, 2.0)[-1][1]
    late = line.styled(frame(10.033, 0.033), 2.0)
    assert late.pts == last.pts + 180
    assert line.styled(frame(12.1, 2.1), 2.15).time == pytest.approx(12.1)
    assert line.shifted == 0


def test_frames_that_a_network_held_up_come_at_once_and_leave_the_clock_as_it_was() -> None:
    line = timeline()
    line.styled(frame(10.0, 0.0), 0.05)
    last = fillers(line, 0.05, 3.0)[-1][1].pts
    for i in range(1, 90):
        late = line.styled(frame(10 + i * PACE, 3.0), 3.0)
        assert late.pts > last
        last = late.pts
    assert line.styled(frame(13.2, 3.2), 3.25).time == pytest.approx(13.2)
    assert line.shifted == 0


def test_a_coarse_clock_leads_back_to_the_time_of_the_source() -> None:
    line, coarse, now = timeline(after=1.5), Fraction(1, 15), 0.0
    for i in range(60):
        captured = i / 15
        leaves = captured + (0.05 if i % 3 == 1 else 0.0)  # overtaken by a filler
        fillers(line, now, leaves)
        now = leaves
        left = line.styled(Frame(PICTURE, i, i, coarse, 1, captured), now)
        assert 0 <= left.time - captured < 0.1
        assert left.duration == 6000
    assert line.fillers > 10
    assert line.styled(Frame(PICTURE, 70, 70, coarse, 1, 70 / 15), 70 / 15).time == pytest.approx(70 / 15)


steps = st.tuples(
    st.floats(0.001, 3.0),  # seconds until the frame leaves
    st.floats(-20.0, 20.0),  # jump of the source's clock
    st.floats(0.0, 0.5),  # age
)


@given(st.lists(steps, max_size=12), st.sampled_from([BASE, Fraction(1, 30), Fraction(1, 1000)]))
def test_time_stamps_never_fall_back_whatever_comes(
    story: list[tuple[float, float, float]], base: Fraction
) -> None:
    line, now, clock, left = timeline(), 0.0, 50.0, [-1]
    for wait, jump, age in story:
        left += [one.pts for _, one in fillers(line, now, now + wait, step=0.02)]
        now += wait
        clock += wait + jump
        pts = round((clock - age) / base)
        left.append(line.styled(Frame(PICTURE, 0, pts, base, 1, now - age), now).pts)
    if story:
        first = round((50 + story[0][0] + story[0][1] - story[0][2]) / base) * base / BASE
        assert left[1] == round(first)
    assert all(b - a >= 180 for a, b in pairwise(left[1:]))


@pytest.mark.parametrize("size", [(360, 640), (64, 64), (720, 406)])
def test_the_slate_is_the_dimmed_picture_with_words_in_the_middle(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.full((height, width, 3), (200, 120, 40), np.uint8)
    drawn = slate(picture)
    assert drawn.shape == picture.shape
    assert tuple(drawn[0, 0]) == (60, 36, 12)
    words = np.argwhere((drawn > 150).all(axis=2))
    assert len(words) > 0.002 * height * width
    assert abs(words.mean(axis=0) - (height / 2, width / 2)).max() < 0.06 * max(size)
