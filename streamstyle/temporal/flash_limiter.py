"""The general-flash test of WCAG 2.2, criterion 2.3.1, and a limiter whose output passes it.

A flash is a pair of opposing changes of relative luminance by 10 % or more, the darker state below 0.80. More
than three within a second, over a quarter of any 10 degree field, fail. The field is the standard's own, a
third of the width and of the height of the picture (341 x 256 of 1024 x 768).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.corrector import joined
from streamstyle.temporal.lab import LINEAR
from streamstyle.temporal.motion import halved
from streamstyle.types import Action, AnomalyMap, Frame, Kind, Picture

FLASH_CHANGE = 0.10
FLASH_DARKER = 0.80
MAX_CHANGES = 6
"""Changes within a second, three pairs; one more fails."""

FLASH_AREA = 0.25
_ROWS, _COLUMNS = 36, 64
_FIELD = (_COLUMNS // 3, _ROWS // 3)
_MARGIN = 0.9
"""Share of FLASH_CHANGE that a guarded pixel may still move: the picture is rounded to 8 bits afterwards."""

_WEIGHTS = np.array([[0.2126, 0.7152, 0.0722]], np.float32)


def relative_luminance(picture: Picture) -> NDArray[np.float32]:
    """RGB uint8 (H, W, 3) to the relative luminance of WCAG 2.2, float32 (36, 64), 0..1."""
    # Halved first: half the cost of means over many pixels at once.
    picture = halved(picture, (_ROWS, _COLUMNS))
    analysis = cv2.resize(picture, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.transform(cv2.LUT(analysis, LINEAR), _WEIGHTS), np.float32)


@dataclass(frozen=True)
class _Seen:
    """State per point: lowest and highest luminance since the last change, its sign, and the times of the
    last MAX_CHANGES + 1 changes in seconds, oldest first, (36, 64, MAX_CHANGES + 1)."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    sign: NDArray[np.int8]
    times: NDArray[np.float64]


class FlashMeter:
    """Follows one video. `check` has no effect; `take` adds the frame to the history."""

    def __init__(self) -> None:
        self._seen: _Seen | None = None
        self._checked: tuple[NDArray[np.float32], float, _Seen] | None = None

    def check(self, luminance: NDArray[np.float32], time: float) -> NDArray[np.bool_]:
        """Points where this frame would make one change too many, bool (36, 64).

        luminance: from `relative_luminance`. time: seconds, growing from frame to frame.
        """
        after = self._after(luminance, time)
        self._checked = luminance, time, after
        return _within(after.times[..., 0], time)

    def take(self, luminance: NDArray[np.float32], time: float) -> None:
        """Add a frame that was shown."""
        checked, self._checked = self._checked, None
        if checked is not None and checked[0] is luminance and checked[1] == time:
            self._seen = checked[2]
        else:
            self._seen = self._after(luminance, time)

    def since(self) -> NDArray[np.float64]:
        """Time in seconds at which each point began its last MAX_CHANGES + 1 changes, (36, 64), including the
        checked frame."""
        seen = self._seen if self._checked is None else self._checked[2]
        return np.full((_ROWS, _COLUMNS), -math.inf) if seen is None else seen.times[..., 0]

    def room(self, luminance: NDArray[np.float32]) -> NDArray[np.float32]:
        """The nearest luminance that makes no change yet, float32 (36, 64)."""
        if self._seen is None:
            return luminance
        least = self._seen.high - np.float32(_MARGIN * FLASH_CHANGE)
        most = self._seen.low + np.float32(_MARGIN * FLASH_CHANGE)
        # After a rise only a fall is a change, and the other way round.
        least = np.where(self._seen.sign < 0, -np.inf, least)
        most = np.where(self._seen.sign > 0, np.inf, most)
        return np.clip(luminance, least, np.maximum(least, most)).astype(np.float32)

    def _after(self, now: NDArray[np.float32], time: float) -> _Seen:
        seen = self._seen
        if seen is None:
            times = np.full((*now.shape, MAX_CHANGES + 1), -math.inf)
            return _Seen(now, now, np.zeros(now.shape, np.int8), times)
        low, high = np.minimum(seen.low, now), np.maximum(seen.high, now)
        rises = (now - low >= FLASH_CHANGE) & (low < FLASH_DARKER) & (seen.sign <= 0)
        falls = (high - now >= FLASH_CHANGE) & (now < FLASH_DARKER) & (seen.sign >= 0)
        changed = rises | falls
        if not changed.any():
            return _Seen(low, high, seen.sign, seen.times)
        for bound in (low, high):
            np.copyto(bound, now, where=changed)
        sign, times = seen.sign.copy(), seen.times.copy()
        sign[falls], sign[rises] = -1, 1
        times[changed, :-1] = seen.times[changed, 1:]
        times[changed, -1] = time
        return _Seen(low, high, sign, times)


def _within(since: NDArray[np.float64], time: float) -> NDArray[np.bool_]:
    """Points with more than MAX_CHANGES changes within the second that ends now."""
    return np.asarray(since > time - 0.999, np.bool_)


def failing_share(points: NDArray[np.bool_]) -> float:
    """The largest share of a field, 0..1, that `FlashMeter.check` marked: FLASH_AREA or more fails."""
    return float(cv2.blur(points.astype(np.float32), _FIELD, borderType=cv2.BORDER_CONSTANT).max())


class WcagFlashLimiter:
    """Keeps a styled video below the limit wherever its input passes.

    Points where one change too many would follow are mixed with the frame shown before, just enough to make
    no change; if that does not suffice, the previous frame is shown again. While the input itself fails, its
    painting may change at each point as often as the input does, so it passes as soon as the input does.
    limit_input: also limit flashes of the input.
    """

    def __init__(self, *, limit_input: bool = False) -> None:
        self._limit_input = limit_input
        self._source, self._styled = FlashMeter(), FlashMeter()
        self._before: Picture | None = None

    def limit_pictures_(
        self,
        source: Picture,
        styled: Picture,
        time: float,
        analysis: tuple[Picture | None, Picture | None] = (None, None),
    ) -> float:
        """Limit `styled` in place; returns the share of a field that would have failed, 0 if nothing was
        done.

        Pictures RGB uint8 (H, W, 3); time in seconds. `styled` is copied as history. analysis: both pictures,
        halved, if available.
        """
        if self._before is not None and self._before.shape != styled.shape:
            self._source, self._styled, self._before = FlashMeter(), FlashMeter(), None
        arriving, leaving = (
            relative_luminance(whole if less is None else less)
            for whole, less in zip((source, styled), analysis, strict=True)
        )
        own = self._beyond_input() & _within(self._styled.since(), time)
        fails = failing_share(self._source.check(arriving, time)) >= FLASH_AREA
        self._source.take(arriving, time)
        # An input that passes exempts no point: with the painting's flashes it may fail.
        excused = fails and not self._limit_input and not own.any()
        share, marked = self._check(leaving, time, excused=excused)
        if share < FLASH_AREA or not marked.any() or self._before is None:
            share = 0.0
        else:
            self._hold_(styled, leaving, self._before, marked)
            leaving = relative_luminance(styled)
            rest, marked = self._check(leaving, time, excused=excused)
            if rest >= FLASH_AREA and marked.any():
                # Rounding, and the mix at neighbouring points, can add one change too many.
                np.copyto(styled, self._before)
                leaving = relative_luminance(styled)
        self._styled.take(leaving, time)
        if self._before is None:
            self._before = styled.copy()
        else:
            np.copyto(self._before, styled)
        return share

    def limit_(
        self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action
    ) -> tuple[AnomalyMap, Action]:
        """`limit_pictures_` at the end of a frame's repair; adds the flash to findings and action."""
        source, painted = anomaly.analysis or (None, None)
        left = None if action.touched else painted
        share = self.limit_pictures_(frame.pixels, styled, frame.time, (source, left))
        if not share:
            return anomaly, action
        scores, thresholds = (
            {**anomaly.scores, Kind.FLASH: share},
            {**anomaly.thresholds, Kind.FLASH: FLASH_AREA},
        )
        found = replace(anomaly, scores=scores, thresholds=thresholds, kinds=(Kind.FLASH, *anomaly.kinds))
        return found, joined(action, Action("flash hold", {"flash_share": share}))

    def _check(
        self, leaving: NDArray[np.float32], time: float, *, excused: bool
    ) -> tuple[float, NDArray[np.bool_]]:
        """The share of a field that fails, and the responsible points, bool (36, 64)."""
        marked = self._styled.check(leaving, time)
        return failing_share(marked), marked & self._beyond_input() if excused else marked

    def _beyond_input(self) -> NDArray[np.bool_]:
        """Points that made their last MAX_CHANGES + 1 changes in less time than the input, bool (36, 64).
        All others pass as soon as the input does."""
        return np.asarray(self._styled.since() > self._source.since(), np.bool_)

    def _hold_(
        self, styled: Picture, now: NDArray[np.float32], before: Picture, marked: NDArray[np.bool_]
    ) -> None:
        past = relative_luminance(before)
        wanted = self._styled.room(now)
        way = past - now
        share = np.where(np.abs(way) > 1e-3, (wanted - now) / np.where(way == 0, 1, way), 0)
        share = np.where(marked, np.clip(share, 0, 1), 0).astype(np.float32)
        # Light adds up linearly and 8-bit values do not: a mix of values is darker than one of light.
        share = np.where(share > 0, np.minimum(1, share + 0.15), 0).astype(np.float32)
        share = cv2.dilate(share, np.ones((3, 3), np.uint8))
        height, width = styled.shape[:2]
        mask = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
        mixed = cv2.blendLinear(before, styled, mask, 1 - mask)
        np.copyto(styled, np.asarray(mixed, np.uint8))
