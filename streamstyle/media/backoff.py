"""Pauses between attempts to reach a peer again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Settings of `Retries`."""

    pauses: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Seconds before each attempt; the last holds for all later ones."""
    jitter: tuple[float, float] = (0.5, 1.0)
    """Limits of the random factor of a pause, so that many clients of one server do not return at once."""
    steady: float = 5.0
    """Seconds after which a connection counts as good, and pauses begin with the first again."""


RESTARTS = Backoff(pauses=(1.0, 2.0, 4.0, 8.0, 15.0, 30.0), jitter=(0.8, 1.2), steady=60.0)
"""Pauses before a run that failed, or a process that died, is started again."""


class Retries:
    """Attempts so far."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self.failures = 0
        """Pauses since the last connection that counts as good."""

    def lasted(self, seconds: float) -> None:
        """A connection is lost that lasted so long."""
        if seconds > self._backoff.steady:
            self.failures = 0

    def pause(self) -> float:
        """Seconds to wait before the next attempt."""
        pauses = self._backoff.pauses
        pause = pauses[min(self.failures, len(pauses) - 1)]
        self.failures += 1
        return pause * random.uniform(*self._backoff.jitter)
