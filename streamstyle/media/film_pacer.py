"""Pacing of films in outputs that are watched while they come."""

from __future__ import annotations

import time

from streamstyle.types import Frame

_MAX_WAIT_SECONDS = 1.0  # a gap in the film must not keep a run from ending


class FilmPacer:
    """Waits until a film's frame is due. The first frame is due at once; after a gap the time starts again.

    Frames of a live source are due when they arrive.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._zero: float | None = None

    def wait_for(self, frame: Frame) -> None:
        """Return when the frame is due."""
        if self._live:
            return
        now = time.monotonic()
        if self._zero is None or self._zero + frame.time - now > _MAX_WAIT_SECONDS:
            self._zero = now - frame.time
        time.sleep(max(self._zero + frame.time - now, 0))
