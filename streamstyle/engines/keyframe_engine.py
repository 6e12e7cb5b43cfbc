"""Keyframes: paint every Nth frame and propagate the painting along the input's motion to those between.

A propagated frame is the last painted one, warped backwards along the flow between the two inputs themselves,
so that errors do not add up from frame to frame. Where the input has no match (uncovered or new), the input's
own luma gets the colours of the painting around, by the local linear map between the last painted input and
its painting, over wide windows: no strokes there for a moment, but no ghosts of others either. A frame that
the last painted one does not explain, above all after a cut, is painted at once.

No two paintings are the same: shown at once, each new one would be a small pop, every N frames. Therefore the
picture before is warped into the new painting, and fades out over the N frames that it lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.upsampling import DetailSum, Luma, Slopes, reduced, window_mean
from streamstyle.types import (
    Engine,
    EngineSpec,
    InferenceFuture,
    Motion,
    MotionSearch,
    Picture,
    StyleCondition,
)

SHRINK = 4
"""The maps from input to painting are smooth: they are made and moved at this part of the size."""

Maps: TypeAlias = tuple[Picture, Luma, NDArray[np.float32]]
"""Means of a painting (h, w, 3) and of its input's luma (h, w), and the slope (h, w) between their changes,
at 1/SHRINK of the size."""


@dataclass
class GivenFrame:
    """A frame that was given to the engine."""

    seen: Luma
    """See `MotionSearch`."""
    pixels: Picture
    picture: Picture | None = None
    """The picture that was shown, once waited for; not to be changed."""


@dataclass
class Keyframe(GivenFrame):
    """A frame that is painted."""

    painting: Picture | None = None
    """The painting, once waited for."""
    faded: Picture | None = None
    """The picture that was shown before, moved to where this frame has it."""
    maps: Maps | None = None


class KeyframeEngine:
    """Implements `Engine`. every: paint one of so many frames, at least; may be changed between two frames, 1
    paints all of them.

    Propagation happens in the calls of `result`, which must be made in the order of `start`.
    """

    def __init__(self, inner: Engine, every: int, motion: MotionSearch) -> None:
        self._inner = inner
        self.every = every
        self._motion = motion
        self._propagator = KeyframePropagator()
        self._condition: StyleCondition | None = None
        self._painted: Keyframe | None = None
        self._before: GivenFrame | None = None
        self._age = 0
        self._seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """Spec of the inner engine, with as many frames in flight as keep it as busy."""
        inner = self._inner.spec
        in_flight = inner.in_flight if self.every == 1 else 1 + self.every * max(0, inner.in_flight - 1)
        return replace(inner, every=self.every, in_flight=in_flight)

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`; motion estimation and warping are part of it."""
        return self._inner.busy_seconds + self._seconds

    @property
    def painter(self) -> Engine:
        """See `SkippingEngine`."""
        return self._inner

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        if self.every == 1:
            self._painted = self._before = None
            return self._inner.start(pixels, condition)
        began = time.perf_counter()
        seen = self._motion.seen(pixels)
        if not self._same_condition(condition):
            self._painted = self._before = None
        self._condition = condition
        due = self._age + 1 >= self.every
        propagated = None if due else self._explained(seen, self._painted)
        before, last = self._before, self._painted
        if last is not None and propagated is not None:
            self._age += 1
            shown: GivenFrame = GivenFrame(seen, pixels)
            # The share that is left of the picture before the last painted one.
            share = (self.every - 1 - self._age) / self.every
            wait = self._timed(lambda: self._propagator.propagated(last, shown, propagated, share))
        else:
            self._age = 0
            step = self._explained(seen, before)
            painted = Keyframe(seen, pixels)
            shown, share = painted, (self.every - 1) / self.every
            pending = self._inner.start(pixels, condition)
            shows = self._timed(lambda: self._propagator.painted(painted, before, step, share))

            def wait() -> Picture:
                painted.painting = pending.result()
                return shows()

            self._painted = painted
        self._before = shown
        self._seconds += time.perf_counter() - began
        return InferenceFuture(wait)

    def _same_condition(self, condition: StyleCondition) -> bool:
        """True if the last frame was painted in the same styles."""
        last = self._condition
        return last is not None and (
            condition.codes is last.codes or np.array_equal(condition.codes, last.codes)
        )

    def _explained(self, seen: Luma, earlier: GivenFrame | None) -> Motion | None:
        """The motion since a frame; None where that one does not explain this."""
        if earlier is None or seen.shape != earlier.seen.shape:
            return None
        motion = self._motion.back(seen, earlier.seen)
        return motion if motion.same_scene else None

    def _timed(self, work: Callable[[], Picture]) -> Callable[[], Picture]:
        """Counts as engine time; the result belongs to the caller."""

        def timed() -> Picture:
            began = time.perf_counter()
            picture = work().copy()
            self._seconds += time.perf_counter() - began
            return picture

        return timed

    def close(self) -> None:
        """Close the inner engine."""
        self._inner.close()


class KeyframePropagator:
    """Moves paintings. Keeps scratch space: for one thread at a time."""

    def __init__(self) -> None:
        self._grids: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._sums: dict[tuple[int, int], DetailSum] = {}

    def painted(
        self, frame: Keyframe, before: GivenFrame | None, motion: Motion | None, share: float
    ) -> Picture:
        """Blend a new painting with `share` of the picture shown before, where this frame has the same."""
        assert frame.painting is not None
        if before is not None and before.picture is not None and motion is not None:
            moved = np.asarray(self._moved(before.picture, motion.flow), np.uint8)
            frame.faded = mixed(moved, frame.painting, motion.trust)
        frame.picture = _fading(frame, share)
        return frame.picture

    def propagated(self, last: Keyframe, frame: GivenFrame, motion: Motion, share: float) -> Picture:
        """The last painting, propagated to this frame, mixed with `share` of the earlier picture."""
        base = _fading(last, share)
        moved = np.asarray(self._moved(base, motion.flow), np.uint8)
        frame.picture = moved
        if int(motion.trust.min()) < 255:
            frame.picture = mixed(moved, self._filled(last, frame.pixels, motion), motion.trust)
        return frame.picture

    def _filled(self, last: Keyframe, pixels: Picture, motion: Motion) -> Picture:
        """A frame in the colours that the last one was painted in here."""
        if last.maps is None:
            last.maps = _maps(last)
        height, width = pixels.shape[:2]
        total = self._sums.setdefault((height, width), DetailSum(height, width))
        colour, luma, slope = (self._moved(x, motion.flow) for x in last.maps)
        return total(
            np.asarray(colour, np.uint8), np.asarray(luma, np.uint8), np.asarray(slope, np.float32), pixels
        )

    def _moved(self, x: NDArray[np.generic], flow: NDArray[np.float32]) -> NDArray[np.generic]:
        """Sampled where each pixel was; `flow` is of any size."""
        height, width = x.shape[:2]
        if (height, width) not in self._grids:
            rows, columns = np.mgrid[:height, :width]
            self._grids[height, width] = np.stack([columns, rows], axis=-1).astype(np.float32)
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        way = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
        way += self._grids[height, width]
        moved = cv2.remap(  # type: ignore[call-overload]
            x, way, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(moved)


def mixed(found: Picture, lost: Picture, trust: NDArray[np.uint8]) -> Picture:
    """`found` where trust (h, w) of any size is 255, `lost` where it is 0. Trust is shrunk, so that crumbs
    between places that were not found go with them, and faded, so that no edge of it shows."""
    height, width = found.shape[:2]
    sure = cv2.blur(cv2.erode(trust, np.ones((7, 7), np.uint8)), (5, 5))
    weight = cv2.resize(sure, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    weight *= np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(found, lost, weight, 1 - weight), np.uint8)


def _fading(frame: Keyframe, share: float) -> Picture:
    assert frame.painting is not None
    if frame.faded is None or share <= 0:
        return frame.painting
    return np.asarray(cv2.addWeighted(frame.painting, 1 - share, frame.faded, share, 0), np.uint8)


def _maps(frame: Keyframe) -> Maps:
    assert frame.painting is not None
    height, width = (-(-side // SHRINK) for side in frame.painting.shape[:2])
    small, painted = reduced(frame.pixels, height, width), reduced(frame.painting, height, width)
    luma, painted_luma = (np.asarray(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), np.uint8) for x in (small, painted))
    return window_mean(painted), window_mean(luma), Slopes(height, width)(luma, painted_luma)
