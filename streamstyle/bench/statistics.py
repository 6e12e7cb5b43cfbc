"""AUROC and its confidence interval, bounds from a count of alarms, and the overlap of tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def auroc(positive: Scores, negative: Scores) -> float:
    """Probability that a positive scores above a negative, ties count half: (n,) and (m,), not empty.

    Mann-Whitney U / (n m) (Hanley and McNeil 1982).
    """
    return _wins(positive, np.sort(negative)) / (len(positive) * len(negative))


def _wins(positive: Scores, ordered: Scores) -> float:
    """Number of pairs in which the positive is larger; ties count half."""
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.sum()) / 2


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        """[value, low, high]."""
        return [round(v, 4) for v in (self.value, self.low, self.high)]


def auroc_interval(
    positive: Sequence[Scores], negative: Sequence[Scores], *, rounds: int = 1000, seed: int = 0
) -> Interval:
    """AUROC of pooled scores; the interval resamples whole groups (clips), whose frames are not independent
    draws (Efron and Tibshirani 1993, chapter 13). positive, negative: one array per group, in the same order.
    """
    ordered = [np.sort(scores) for scores in negative]
    wins = np.array([[_wins(p, n) for n in ordered] for p in positive])
    sizes = [np.array([len(scores) for scores in side], np.float64) for side in (positive, negative)]

    def pooled(times: NDArray[np.float64]) -> NDArray[np.float64]:
        # A group drawn twice stands twice on both sides.
        pairs = np.maximum((times @ sizes[0]) * (times @ sizes[1]), 1)
        return np.asarray(((times @ wins) * times).sum(axis=-1) / pairs, np.float64)

    groups = len(positive)
    drawn = (
        np.random.default_rng(seed)
        .multinomial(groups, np.full(groups, 1 / groups), rounds)
        .astype(np.float64)
    )
    low, high = np.quantile(pooled(drawn), [0.025, 0.975])
    return Interval(float(pooled(np.ones(groups))), float(low), float(high))


def rising_edges(above: NDArray[np.bool_]) -> int:
    """The number of runs of True in (n,)."""
    return int((above & ~np.concatenate([[False], above[:-1]])).sum())


def operating_point(scores: Sequence[Scores], limit: float) -> float:
    """The lowest threshold at and above which all films together have at most `limit` alarms.

    scores: one array per film; an alarm is a rising edge of `score > threshold`.
    """
    kept = math.inf
    for threshold in np.unique(np.concatenate(scores))[::-1]:
        if sum(rising_edges(film > threshold) for film in scores) > limit:
            break
        kept = float(threshold)
    return kept


def rate_bound(events: int, minutes: float) -> float:
    """The largest rate a minute that `events` in `minutes` do not refute, at 95 % confidence: no event proves
    3 / minutes. The exact Poisson limit (Garwood 1936), found by bisection."""
    low, high = 0.0, 3.0 * events + 10.0
    for _ in range(60):
        mean = (low + high) / 2
        no_more = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(events + 1))
        low, high = (low, mean) if no_more < 0.05 else (mean, high)
    return high / minutes


def overlap(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[float, float]:
    """F1 and intersection over union of two masks of one shape; 1 where both are empty."""
    both = int((found & true).sum())
    either = int((found | true).sum())
    if not either:
        return 1.0, 1.0
    return 2 * both / (int(found.sum()) + int(true.sum())), both / either
