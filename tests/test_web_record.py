"""What the page keeps of a run's findings."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from streamstyle.types import Frame, Kind
from streamstyle.web.record import FindingsHistory

PAINTED = np.zeros((36, 64, 3), np.uint8)


def found_at(history: FindingsHistory, second: float, kind: Kind = Kind.FLICKER) -> None:
    anomaly: Any = SimpleNamespace(kinds=(kind,), scores={}, thresholds={})
    event: Any = SimpleNamespace(kinds=[str(kind)], action="gain")
    frame = Frame(PAINTED, 0, round(100 * second), Fraction(1, 100), 4, 0.0)
    history.repaired(frame, PAINTED, anomaly, event)


def spans(history: FindingsHistory) -> list[tuple[float, float, int]]:
    return [(told["first"], told["last"], told["frames"]) for told in history.findings_after(0)]


def test_what_goes_on_is_one_finding() -> None:
    history = FindingsHistory(lambda _: "words")
    for second in (5.0, 5.04, 5.08, 9.0):
        found_at(history, second)
    assert spans(history) == [(5.0, 5.08, 3), (9.0, 9.0, 1)]


def test_another_run_begins_another_finding() -> None:
    """Its times begin anew, and may be those at which the previous run ended."""
    history = FindingsHistory(lambda _: "words")
    for second in (100.0, 5.0, 5.2):
        found_at(history, second)
        history.clear()
    assert spans(history) == [(100.0, 100.0, 1), (5.0, 5.0, 1), (5.2, 5.2, 1)]
