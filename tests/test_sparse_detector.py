"""Searching every second frame while nothing is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from streamstyle.temporal.detector import neutral
from streamstyle.temporal.sparse_detector import SparseDetector
from streamstyle.types import AnalysisPair, AnomalyMap, Kind, Picture

PICTURE = np.zeros((4, 4, 3), np.uint8)


class RecordingDetector:
    """A detector that finds what it is told, and keeps which frames it saw."""

    def __init__(self, flagged: set[int], smoothing: float = 0.0) -> None:
        self.seen: list[int] = []
        self.committed = 0
        self._flagged, self._steady = flagged, smoothing

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        self.seen.append(int(styled[0, 0, 0]))
        kinds = (Kind.POP,) if self.seen[-1] in self._flagged else ()
        return replace(neutral(), kinds=kinds, smoothing=self._steady)

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        self.committed += 1
        assert self.seen[-1] == int(styled[0, 0, 0])
        return dict.fromkeys(Kind, 1.0)

    def reset(self) -> None:
        pass


def run(inner: RecordingDetector, enabled: range) -> list[bool]:
    sparse, flagged = SparseDetector(inner), []
    for i in range(20):
        sparse.enabled = i in enabled
        styled = np.full_like(PICTURE, i)
        flagged.append(sparse.detect(PICTURE, styled).flagged)
        sparse.commit(styled, touched=False)
    return flagged


def test_every_frame_is_searched_until_it_is_enabled_and_again_afterwards() -> None:
    inner = RecordingDetector(set())
    run(inner, range(6, 12))
    assert inner.seen == [0, 1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19]
    assert inner.committed == len(inner.seen)


def test_no_frame_is_let_pass_after_a_flagged_one() -> None:
    inner = RecordingDetector({4, 5, 6})
    assert [i for i, flagged in enumerate(run(inner, range(20))) if flagged] == [4, 5, 6]
    assert inner.seen[:6] == [0, 2, 4, 5, 6, 7]


def test_what_is_steadied_is_steadied_in_every_frame() -> None:
    inner = RecordingDetector(set(), smoothing=0.5)
    run(inner, range(20))
    assert inner.seen == list(range(20))
