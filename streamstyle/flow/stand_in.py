"""What leaves while nothing comes: the last frame again, then a slate, on a time line that never jumps back.

No clock and no thread in here: the caller says what time it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from streamstyle.types import Frame, Picture

_CLOCK_RESET = 0.5
"""Seconds by which stamps must fall back behind capture times before they are of another clock."""

_SMOOTHING = 0.1


@dataclass(frozen=True)
class StandInConfig:
    """frame_time: seconds between frames as the source announces them. after: frame times without a frame
    before the last one is repeated. slate_after: seconds before the slate is shown instead. slate: makes it
    of the last styled picture."""

    frame_time: float
    after: float
    slate_after: float
    slate: Callable[[Picture], Picture]


class Timeline:
    """Puts styled frames and stand-ins on one time line. Called by one thread at a time.

    Silence is judged where frames leave, at the pace they had: a source that stopped and an engine that hangs
    look the same to the viewer, and a camera that halves its rate in the dark is not silent.
    """

    def __init__(self, config: StandInConfig) -> None:
        self._config = config
        self._pace = config.frame_time
        self._came: Frame | None = None  # the last styled one, as it came
        self._last: Frame | None = None  # the same on our time line
        self._left = 0.0
        self._pts = 0  # of whatever left last
        self._due = math.inf
        self._slate: Picture | None = None
        self._shift = Fraction(0)
        self.stand_ins = 0
        self.slates = 0
        self.shifted = 0

    def styled(self, frame: Frame, now: float) -> Frame:
        """The frame as it leaves at this time, with a later time stamp than everything before it."""
        if self._last is None:
            self._came = frame
        else:
            frame = self._in_order(frame)
            # A gap counts as twice the pace at most: it says little of the frames that will follow.
            step = min(now - self._left, 2 * self._pace)
            self._pace = max(self._config.frame_time, (1 - _SMOOTHING) * self._pace + _SMOOTHING * step)
        self._last, self._left, self._pts, self._slate = frame, now, frame.pts, None
        self._due = now + self._config.after * self._pace
        return frame

    def stand_in(self, now: float) -> Frame | None:
        """What leaves instead of a frame that did not come; None while none is due."""
        last = self._last
        if last is None or now < self._due:
            return None
        self._due = max(self._due + self._pace, now)
        ticks = (now - self._left) / float(last.time_base)
        self._pts = max(self._pts + 1, last.pts + round(ticks))
        duration = max(1, round(self._pace / float(last.time_base)))
        picture = last.pixels
        if now - self._left >= self._config.slate_after:
            if self._slate is None:
                self._slate = self._config.slate(last.pixels)
            picture = self._slate
            self.slates += 1
        self.stand_ins += 1
        return replace(last, pixels=picture, pts=self._pts, duration=duration, verdict=None, stand_in=True)

    @property
    def due(self) -> float:
        """When the next stand-in leaves if nothing else does; infinite before the first frame."""
        return self._due

    @property
    def left(self) -> float:
        """When the last styled frame left."""
        return self._left

    @property
    def slating(self) -> bool:
        """Was it a slate that left last?"""
        return self._slate is not None

    @property
    def silent(self) -> bool:
        """Was it a stand-in that left last?"""
        return self._last is not None and self._pts != self._last.pts

    def _in_order(self, frame: Frame) -> Frame:
        assert self._last is not None
        assert self._came is not None
        base, before = frame.time_base, self._came
        # Captured later yet stamped earlier: the source began a new clock. A frame that took long to paint
        # was merely overtaken by stand-ins: its stamp keeps step with its capture time.
        since = frame.captured_at - before.captured_at
        fallen_back = before.time + since - frame.time
        if fallen_back > _CLOCK_RESET:
            self._shift += Fraction(round(fallen_back / float(base))) * base
            self.shifted += 1
        self._came = frame
        pts = max(round((frame.pts * base + self._shift) / self._last.time_base), self._pts + 1)
        same = pts == frame.pts and base == self._last.time_base
        return frame if same else replace(frame, pts=pts, time_base=self._last.time_base)
