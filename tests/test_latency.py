"""The ladder of `--latency`: ages in, rungs out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamstyle.errors import ConfigError
from streamstyle.pipeline.ladder import (
    DegradationStep,
    Ladder,
    LadderConfig,
    LadderState,
    next_state,
    parse_latency,
)

CONFIG = LadderConfig(deadline=0.1, steps=4)


def states_of(
    ages: list[float], config: LadderConfig = CONFIG, start: LadderState | None = None
) -> list[LadderState]:
    states = [start or LadderState()]
    for age in ages:
        states.append(next_state(states[-1], age, config))
    return states


@pytest.mark.parametrize(("text", "seconds"), [("100ms", 0.1), ("0.25s", 0.25), ("1 s", 1.0)])
def test_a_latency_is_read(text: str, seconds: float) -> None:
    assert parse_latency(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "100", "fast", "-5ms", "1ms", "1h", "11s"])
def test_a_latency_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_latency(text)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=250))
def test_one_rung_at_a_time_and_never_two_changes_at_once(ages: list[float]) -> None:
    steps = [state.step for state in states_of(ages)]
    changes = [i for i, (a, b) in enumerate(pairwise(steps)) if a != b]
    assert all(abs(a - b) <= 1 for a, b in pairwise(steps))
    assert all(0 <= step <= CONFIG.steps for step in steps)
    assert all(b - a > CONFIG.settle_frames for a, b in pairwise(changes))


@settings(max_examples=40)
@given(st.lists(st.floats(0, 0.1), max_size=250))
def test_nothing_gives_way_while_every_frame_is_in_time(ages: list[float]) -> None:
    assert states_of(ages)[-1].step == 0


@settings(max_examples=40)
@given(st.lists(st.floats(0.0601, 0.1), max_size=250), st.integers(0, 4))
def test_between_room_to_spare_and_the_deadline_all_stays_as_it_is(ages: list[float], step: int) -> None:
    assert {state.step for state in states_of(ages, start=LadderState(step))} == {step}


@settings(max_examples=40)
@given(st.floats(0.1001, 10), st.integers(0, 4))
def test_ages_that_stay_too_high_let_everything_give_way(age: float, step: int) -> None:
    frames = CONFIG.steps * (CONFIG.late + CONFIG.settle_frames + 1)
    assert states_of([age] * frames, start=LadderState(step))[-1].step == CONFIG.steps


@settings(max_examples=40)
@given(st.floats(0, 0.0599), st.integers(0, 4))
def test_room_to_spare_brings_everything_back(age: float, step: int) -> None:
    frames = CONFIG.steps * (CONFIG.recovery_frames + CONFIG.settle_frames + 1)
    assert states_of([age] * frames, start=LadderState(step))[-1].step == 0


@settings(max_examples=40)
@given(st.lists(st.floats(0, 0.1), min_size=6, max_size=100), st.integers(1, 5))
def test_single_late_frames_change_nothing(ages: list[float], every: int) -> None:
    ages = [5.0 if i % (every + 2) == 0 else age for i, age in enumerate(ages)]
    assert states_of(ages)[-1].step == 0


def test_a_rung_that_cannot_come_back_is_tried_ever_more_rarely() -> None:
    # With the step frames are young, without it too old.
    state, changes = LadderState(), []
    for i in range(20_000):
        now = next_state(state, 0.03 if state.step else 0.2, CONFIG)
        if now.step != state.step:
            changes.append(i)
        state = now
    waits = [b - a for a, b in pairwise(changes) if b - a > CONFIG.recovery_frames]
    assert all(b >= a for a, b in pairwise(waits))
    assert waits[-1] >= CONFIG.max_recovery_frames
    assert len(changes) < 20


def test_steps_begin_in_order_end_in_reverse_and_are_told() -> None:
    done: list[str] = []
    told: list[str] = []
    steps = [
        DegradationStep(name, lambda n=name: done.append(f"+{n}"), lambda n=name: done.append(f"-{n}"))  # type: ignore[misc]
        for name in ("a", "b")
    ]
    ladder = Ladder(0.1, steps, told.append)
    for i in range(60):
        ladder.left(i, 0.5)
    assert ladder.active == ("a", "b")
    for i in range(60, 500):
        ladder.left(i, 0.01)
    assert done == ["+a", "+b", "-b", "-a"]
    assert ladder.active == ()
    assert told[0] == "frames are 500 ms old, 100 are allowed; now: a"
    assert told[-1] == "frames are 10 ms old, 100 are allowed; no longer: a"
    assert ladder.changed == len(told) == len(ladder.changes) == 4
