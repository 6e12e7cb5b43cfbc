"""An engine that wraps another one: the painting's luma with the film's colours, so that skin keeps its
colour.

Luminance-only transfer, Gatys et al. 2016 (Preserving color in neural artistic style transfer), section 4: Y
of the painting, Cb and Cr of the film. It comes before detection, so that the final colours are compared and
repaired.
"""

from __future__ import annotations

import time

import cv2

from streamstyle.types import (
    Engine,
    EngineSpec,
    InferenceFuture,
    Picture,
    Repaint,
    Repainter,
    StyleCondition,
)


def mix_in_colour_(painted: Picture, film: Picture, share: float) -> None:
    """Mix `share` (0..1) of the chroma of `film` into that of `painted`, in place; RGB uint8 (H, W, 3)."""
    ours, theirs = (cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb) for picture in (painted, film))
    mixed = cv2.addWeighted(ours, 1 - share, theirs, share, 0)
    mixed[..., 0] = ours[..., 0]
    cv2.cvtColor(mixed, cv2.COLOR_YCrCb2RGB, dst=painted)


class FilmColourEngine:
    """Implements `Engine`: as the inner one, with `StyleCondition.colour` of the film's colours."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self._seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """Spec of the inner engine."""
        return self._inner.spec

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`; mixing is part of it."""
        return self._inner.busy_seconds + self._seconds

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        pending = self._inner.start(pixels, condition)
        if condition.colour == 0 or not self._inner.spec.paints:
            return pending

        def wait() -> Picture:
            painted = pending.result()
            began = time.perf_counter()
            mix_in_colour_(painted, pixels, condition.colour)
            self._seconds += time.perf_counter() - began
            return painted

        return InferenceFuture(wait, pending.is_ready, pending.on_ready)

    def close(self) -> None:
        """Close the inner engine."""
        self._inner.close()


class FilmColourRepainter:
    """Implements `Repainter`: a frame that is painted again gets its colours like the first painting."""

    def __init__(self, inner: Repainter) -> None:
        self._inner = inner

    def remember(self) -> Repaint | None:
        """See `streamstyle.types.Repainter`."""
        again = self._inner.remember()
        if again is None:
            return None

        def with_colour(pixels: Picture, condition: StyleCondition) -> Picture:
            painted = again(pixels, condition)
            if condition.colour:
                mix_in_colour_(painted, pixels, condition.colour)
            return painted

        return with_colour
