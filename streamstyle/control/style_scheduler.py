"""The style of each frame, for runs whose style changes while they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.flow import Lock
from streamstyle.types import Frame, Picture, Region, StyleCondition

_MAX_STEP_SECONDS = 0.5
"""Seconds by which a fade advances per frame at most, so that it is still seen after a gap."""

_BLANK_CONTRAST, _FULL_CONTRAST = 2.0, 8.0
"""Standard deviations of a picture in levels of 0..255. Below the first there is nothing to paint; from the
second on the picture counts as any other. Outside of fades the project's clips stay above 12."""


def content_share(picture: Picture) -> float:
    """Share of content in a picture (H, W, 3), 0..1, from the standard deviation of its most varied channel.

    A network that normalises over the frame gives any picture full contrast, even the noise of black.
    """
    spread = float(cv2.meanStdDev(np.ascontiguousarray(picture[::8, ::8]))[1].max())
    return min(max((spread - _BLANK_CONTRAST) / (_FULL_CONTRAST - _BLANK_CONTRAST), 0.0), 1.0)


@dataclass(frozen=True)
class StyleTarget:
    """Desired painting of frames."""

    codes: NDArray[np.float32]
    """(2, size): the codes outside and inside the region."""
    region: Region | None
    """Region of the second code; None paints with the first code everywhere."""
    ema_decay: Callable[[Frame], float] | None
    """`StyleCondition.ema_decay` of each frame; None is 0."""
    name: str
    """Name of the style, as the user wrote it."""
    colour: float = 0.0
    """See `StyleCondition.colour`."""


class StyleScheduler:
    """The style condition of each frame. A new target applies from the next frame on, at once or with a fade.

    plain: float32 (size,), the code that does not change pictures; frames of very low contrast fade to it, so
    that a film fades from black and to black. None paints all frames alike.

    The frames' time stamps drive a fade, so that it lasts as long at any frame rate. A second change during a
    fade starts from the current mix. Owns the regions. `ask` may be called from any thread.
    """

    def __init__(self, target: StyleTarget, plain: NDArray[np.float32] | None = None) -> None:
        self._lock = Lock()
        self._plain = plain
        self._asked = (target, 0.0)
        self._shown = self._asked
        self._from = self._codes = target.codes
        self._colour_from = self._colour = target.colour
        self._share = 1.0
        self._time: float | None = None
        self._still = StyleCondition(target.codes, colour=target.colour)

    @property
    def target(self) -> StyleTarget:
        """The latest target."""
        return self._asked[0]

    @property
    def fading(self) -> bool:
        """True while a fade is under way."""
        return self._share < 1 or self._asked is not self._shown

    def ask(self, target: StyleTarget, fade: float = 0.0) -> None:
        """Change to another target within `fade` seconds of the frames' time. The previous region is closed
        when no frame uses it any more."""
        with self._lock:
            skipped = self._asked
            self._asked = target, fade
            if skipped is not self._shown and skipped[0].region not in (target.region, self._shown[0].region):
                _close(skipped[0].region)

    def __call__(self, frame: Frame) -> StyleCondition:
        """The condition of the next frame."""
        if self._asked is not self._shown:
            self._begin()
        target, fade = self._shown
        if self._share < 1:
            step = 0.0 if self._time is None else frame.time - self._time
            self._share = min(1.0, self._share + min(max(step, 0.0), _MAX_STEP_SECONDS) / fade)
            faded = self._from + np.float32(self._share) * (target.codes - self._from)
            self._codes = target.codes if self._share == 1 else faded.astype(np.float32)
            self._colour = self._colour_from + self._share * (target.colour - self._colour_from)
        self._time = frame.time
        mask = None if target.region is None else target.region.mask(frame)
        ema_decay = 0.0 if target.ema_decay is None else target.ema_decay(frame)
        if self._plain is not None and (share := content_share(frame.pixels)) < 1:
            codes = share * self._codes + (1 - share) * self._plain
            # Hold nothing: the statistics of a frame that is hardly painted do not suit later frames.
            blended = codes.astype(np.float32)
            return StyleCondition(
                blended, mask, 0.0, target.name, fading=True, low_contrast=True, colour=self._colour
            )
        still = self._still
        kept = still.codes is self._codes and still.mask is mask
        if not kept or (still.ema_decay, still.name, still.colour) != (ema_decay, target.name, self._colour):
            fading = self._share < 1
            self._still = StyleCondition(
                self._codes, mask, ema_decay, target.name, fading=fading, colour=self._colour
            )
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
