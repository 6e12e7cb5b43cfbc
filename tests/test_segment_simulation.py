"""The simulation of many workers, where the result is known by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from segment_simulation import Machines, Work, simulate

WORK = Work(films=1, frames=12_000, segment=1_000, warm_up=50, bytes_a_frame=0.0)
IDEAL = Machines(
    workers=1, fps=10.0, spread=0.0, start=0.0, mtbf=0.0, hand_out=0.0, storage=1e9, join=1e9, plan=1e9
)


@pytest.mark.parametrize(("workers", "rounds"), [(1, 12), (2, 6), (5, 3), (12, 1), (100, 1)])
def test_ideal_workers_take_rounds_of_segments(workers: int, rounds: int) -> None:
    found = simulate(WORK, replace(IDEAL, workers=workers), seed=1)
    assert found.seconds == pytest.approx(rounds * 105.0, rel=1e-3)
    assert (found.painted, found.lost) == (12 * 1_050, 0)


def test_storage_bounds_all_workers_together() -> None:
    work = replace(WORK, bytes_a_frame=1_000.0)
    found = simulate(work, replace(IDEAL, workers=100, storage=10_000.0), seed=1)
    # Read for the plan, read and written by segments, passed on by the join.
    assert found.seconds == pytest.approx((12_000 + 12 * 1_050 + 12_000) / 10, rel=0.01)


def test_who_hands_out_bounds_all_workers_together() -> None:
    found = simulate(replace(WORK, films=50), replace(IDEAL, workers=1_000, hand_out=10.0), seed=1)
    assert found.seconds == pytest.approx(50 * (1 + 12 + 1) * 10.0, rel=0.25)


def test_failures_cost_the_segments_that_were_painted_and_nothing_else() -> None:
    found = simulate(replace(WORK, films=20), replace(IDEAL, workers=4, mtbf=1.0, start=5.0), seed=3)
    assert found.lost > 0
    assert found.painted == (20 * 12 + found.lost) * 1_050
    assert found == simulate(replace(WORK, films=20), replace(IDEAL, workers=4, mtbf=1.0, start=5.0), seed=3)
