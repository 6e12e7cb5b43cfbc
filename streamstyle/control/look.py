"""The look of a run that others change while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.flow import Lock
from streamstyle.types import Frame, Look, Picture, Region

_LONGEST_STEP = 0.5
"""Seconds that a fade goes on by from one frame to the next: after a gap it is still seen."""

_NOTHING, _ENOUGH = 2.0, 8.0
"""Standard deviations of a picture, levels of 0..255: below the one there is nothing to paint, from the other
on it is like any other. Of our clips it is 12 at the least, but in fades."""


def content_share(picture: Picture) -> float:
    """How much there is to paint in a picture (H, W, 3), 0..1, by its most varied channel.

    A network that normalises over the frame makes full contrast of any picture, of the noise of black too.
    """
    spread = float(cv2.meanStdDev(np.ascontiguousarray(picture[::8, ::8]))[1].max())
    return min(max((spread - _NOTHING) / (_ENOUGH - _NOTHING), 0.0), 1.0)


@dataclass(frozen=True)
class Target:
    """How frames are to be painted. codes: float32 (2, size). region: None for the first code everywhere.
    hold: `Look.hold` of each frame, None for 0. name: of the style. colour: see `Look`."""

    codes: NDArray[np.float32]
    region: Region | None
    hold: Callable[[Frame], float] | None
    name: str
    colour: float = 0.0


class LiveLook:
    """Says how each frame is painted; what is asked for holds from the next frame on, or is faded to.

    plain: float32 (size,), the code of the picture as it is, which frames with nothing to paint go over to,
    so that a film fades from black and to black. None where all frames are painted alike.

    The frames' own clock drives a fade, so that it takes its time at any pace. A second change during a fade
    goes on from what is shown. Owns the regions. `ask` may be called from any thread.
    """

    def __init__(self, target: Target, plain: NDArray[np.float32] | None = None) -> None:
        self._lock = Lock()
        self._plain = plain
        self._asked = (target, 0.0)
        self._shown = self._asked
        self._from = self._codes = target.codes
        self._colour_from = self._colour = target.colour
        self._share = 1.0
        self._time: float | None = None
        self._still = Look(target.codes, colour=target.colour)

    @property
    def target(self) -> Target:
        """What was asked for last."""
        return self._asked[0]

    @property
    def fading(self) -> bool:
        """Are the codes still on their way?"""
        return self._share < 1 or self._asked is not self._shown

    def ask(self, target: Target, fade: float = 0.0) -> None:
        """Go over to another look, within `fade` seconds of the frames' time. The region before is closed
        once no frame asks for it any more."""
        with self._lock:
            skipped = self._asked
            self._asked = target, fade
            if skipped is not self._shown and skipped[0].region not in (target.region, self._shown[0].region):
                _close(skipped[0].region)

    def __call__(self, frame: Frame) -> Look:
        """The look of the next frame."""
        if self._asked is not self._shown:
            self._begin()
        target, fade = self._shown
        if self._share < 1:
            step = 0.0 if self._time is None else frame.time - self._time
            self._share = min(1.0, self._share + min(max(step, 0.0), _LONGEST_STEP) / fade)
            faded = self._from + np.float32(self._share) * (target.codes - self._from)
            self._codes = target.codes if self._share == 1 else faded.astype(np.float32)
            self._colour = self._colour_from + self._share * (target.colour - self._colour_from)
        self._time = frame.time
        mask = None if target.region is None else target.region.mask(frame)
        hold = 0.0 if target.hold is None else target.hold(frame)
        if self._plain is not None and (share := content_share(frame.pixels)) < 1:
            codes = share * self._codes + (1 - share) * self._plain
            # Nothing is held: statistics of what is hardly painted are none for what will be.
            blended = codes.astype(np.float32)
            return Look(blended, mask, 0.0, target.name, moving=True, faint=True, colour=self._colour)
        still = self._still
        kept = still.codes is self._codes and still.mask is mask
        if not kept or (still.hold, still.name, still.colour) != (hold, target.name, self._colour):
            moving = self._share < 1
            self._still = Look(self._codes, mask, hold, target.name, moving=moving, colour=self._colour)
        return self._still

    def close(self) -> None:
        """Close the regions, after the last frame."""
        with self._lock:
            for region in {self._shown[0].region, self._asked[0].region}:
                _close(region)

    def _begin(self) -> None:
        with self._lock:
            before, self._shown = self._shown, self._asked
        if before[0].region is not self._shown[0].region:
            _close(before[0].region)
        codes, fade = self._shown[0].codes, self._shown[1]
        moves = fade > 0 and self._time is not None and codes.shape == self._codes.shape
        self._from, self._colour_from = self._codes, self._colour
        self._share = 0.0 if moves else 1.0
        if not moves:
            self._codes, self._colour = codes, self._shown[0].colour


def _close(region: Region | None) -> None:
    if region is not None:
        region.close()
