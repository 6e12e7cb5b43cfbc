"""Fillers, which leave while no frame comes: the last frame again, then a slate.

Their time stamps never run back. There is no clock and no thread in here: the caller passes the time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from streamstyle.types import Frame, Picture

TIME_BASE = Fraction(1, 90_000)
"""Time base of all frames that leave a live run. It is fine enough that a frame which a filler overtook can
follow at once, and the next one at its own time; in steps of a fifteenth of a second all later frames would
be one step late."""

_MIN_STEP_TICKS = 180
"""Smallest step between two time stamps: 2 ms, since flv and Matroska count in milliseconds."""

_CLOCK_RESET = 0.5
"""Seconds by which time stamps that fall back must be behind the capture times to mean that the source began
a new clock."""

_PACE_FRAMES = 9
"""Frames over which the pace is measured: a lasting change counts after five, a single gap never."""


@dataclass(frozen=True)
class FillerConfig:
    """Settings of `Timeline`."""

    frame_time: float
    """Seconds between frames, as the source announces them."""
    after: float
    """Frame times without a frame after which the last one is repeated."""
    slate_after: float
    """Seconds after which the slate is shown instead."""
    slate: Callable[[Picture], Picture]
    """Makes the slate of the last styled picture."""


class _Pace:
    """Seconds between the frames that leave, recently; never less than `least`."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._steps = deque([least] * _PACE_FRAMES, maxlen=_PACE_FRAMES)
        self._step = math.inf  # seconds from the frame before the last one to the last one
        self.seconds = least

    def add(self, step: float) -> None:
        """One more frame left, `step` seconds after the one before. Halves of two steps count, since an
        engine in two streams lets frames leave in pairs."""
        two, self._step = self._step + step, step
        if math.isfinite(two):
            self._steps.append(two / 2)
            self.seconds = max(self._least, sorted(self._steps)[_PACE_FRAMES // 2])

    def seconds_after(self, frames: float) -> float:
        """Seconds of so many frames after the last one. One that left early does not make the next one late:
        after the second of a pair comes a longer gap."""
        return frames * self.seconds + max(0.0, self.seconds - self._step) / 2


class Timeline:
    """Puts styled frames and fillers on one time line. Called by one thread at a time.

    Silence is judged where frames leave, at the pace they had: a source that stopped and an engine that hangs
    look the same to the viewer; a camera that halves its rate in the dark, or an engine that paints 10 frames
    a second, is not stalled.
    """

    def __init__(self, config: FillerConfig) -> None:
        self._config = config
        self._pace = _Pace(config.frame_time)
        self._came: Frame | None = None  # the last styled one, as it came
        self._last: Frame | None = None  # the same on our time line
        self._left = 0.0
        self._pts = 0  # of whatever left last
        self._due = math.inf
        self._slate: Picture | None = None
        self._shift = Fraction(0)
        self.fillers = 0
        self.slates = 0
        self.shifted = 0

    def styled(self, frame: Frame, now: float) -> Frame:
        """The frame as it leaves at this time, with a later time stamp than everything before it."""
        before, self._came = self._came, frame
        if before is not None and self._fell_back(before, frame):
            self.shifted += 1
        pts = round((frame.pts * frame.time_base + self._shift) / TIME_BASE)
        duration = round(frame.duration * frame.time_base / TIME_BASE)
        if before is not None:
            pts = max(pts, self._pts + _MIN_STEP_TICKS)
            self._pace.add(now - self._left)
        frame = replace(frame, pts=pts, duration=duration, time_base=TIME_BASE)
        self._last, self._left, self._pts, self._slate = frame, now, pts, None
        self._due = now + self._pace.seconds_after(self._config.after)
        return frame

    def filler(self, now: float) -> Frame | None:
        """The filler to send in place of a missing frame; None while none is due."""
        last = self._last
        if last is None or now < self._due:
            return None
        self._due = max(self._due + self._pace.seconds, now)
        self._pts = max(self._pts + _MIN_STEP_TICKS, last.pts + round((now - self._left) / TIME_BASE))
        duration = max(_MIN_STEP_TICKS, round(self._pace.seconds / TIME_BASE))
        picture = last.pixels
        if now - self._left >= self._config.slate_after:
            if self._slate is None:
                self._slate = self._config.slate(last.pixels)
            picture = self._slate
            self.slates += 1
        self.fillers += 1
        return replace(last, pixels=picture, pts=self._pts, duration=duration, quality=None, filler=True)

    @property
    def due(self) -> float:
        """Time at which the next filler leaves if no frame does; infinite before the first frame."""
        return self._due

    @property
    def left(self) -> float:
        """Time at which the last styled frame left."""
        return self._left

    @property
    def slating(self) -> bool:
        """True if a slate left last."""
        return self._slate is not None

    @property
    def stalled(self) -> bool:
        """True if a filler left last."""
        return self._last is not None and self._pts != self._last.pts

    def _fell_back(self, before: Frame, frame: Frame) -> bool:
        """True if the source began a new clock with this frame; the new one then goes on from where the old
        one would be.

        It did so if the frame was captured later yet stamped earlier than the one before. A frame that took
        long to paint, or that a network held up, was merely overtaken by fillers; the clock is the same.
        """
        if frame.time > before.time:
            return False
        behind = before.time + frame.captured_at - before.captured_at - frame.time
        if behind <= _CLOCK_RESET:
            return False
        self._shift += round(behind / TIME_BASE) * TIME_BASE
        return True


class SlateNotices:
    """Says once that a slate is shown, and once that it no longer is."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._slating = False

    def frame(self, line: Timeline, now: float) -> None:
        """A styled frame is about to leave."""
        if self._slating:
            self._notify(f"frames arrive again after {now - line.left:.1f} s")
        self._slating = False

    def filler(self, line: Timeline) -> None:
        """A filler may have left."""
        if line.slating and not self._slating:
            self._notify("no frame arrives: a slate is shown until one does")
        self._slating = line.slating
