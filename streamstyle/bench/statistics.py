"""AUROC, its confidence interval, and the overlap of tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def auroc(positive: Scores, negative: Scores) -> float:
    """Probability that a positive scores above a negative, ties count half: (n,) and (m,), not empty.

    Mann-Whitney U / (n m) by ranks (Hanley and McNeil 1982).
    """
    both = np.concatenate([positive, negative])
    order = both.argsort(kind="stable")
    ranks = np.empty(len(both))
    ranks[order] = np.arange(1, len(both) + 1)
    _, group, sizes = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.bincount(group, ranks) / sizes)[group]
    u = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(u / (len(positive) * len(negative)))


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
    positive: Sequence[Scores], negative: Sequence[Scores], *, rounds: int = 200, seed: int = 0
) -> Interval:
    """AUROC of pooled scores; the interval resamples whole groups (clips), whose frames are no independent
    draws (Efron and Tibshirani 1993, chapter 13). positive, negative: one array per group, in the same order.
    """
    rng = np.random.default_rng(seed)
    count = len(positive)

    def pooled(chosen: Sequence[int]) -> float:
        return auroc(
            np.concatenate([positive[i] for i in chosen]), np.concatenate([negative[i] for i in chosen])
        )

    drawn = [pooled(rng.integers(0, count, count).tolist()) for _ in range(rounds)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(pooled(range(count)), float(low), float(high))


def overlap(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[float, float]:
    """F1 and intersection over union of two masks of one shape; 1 where both are empty."""
    both = int((found & true).sum())
    either = int((found | true).sum())
    if not either:
        return 1.0, 1.0
    return 2 * both / (int(found.sum()) + int(true.sum())), both / either
