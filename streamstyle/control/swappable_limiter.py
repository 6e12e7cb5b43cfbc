"""A flash limiter that can be replaced while a run goes on."""

from __future__ import annotations

from streamstyle.types import Action, AnomalyMap, FlashLimiter, Frame, Picture


class SwappableFlashLimiter:
    """Implements `FlashLimiter` by an exchangeable one, or none. `use` exchanges it between two frames, from
    any thread."""

    def __init__(self, limiter: FlashLimiter | None) -> None:
        self._limiter = limiter

    def use(self, limiter: FlashLimiter | None) -> None:
        """Replace the limiter from the next frame on; None limits nothing."""
        self._limiter = limiter

    def limit_(
        self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action
    ) -> tuple[AnomalyMap, Action]:
        """See `streamstyle.types.FlashLimiter`."""
        limiter = self._limiter
        return (anomaly, action) if limiter is None else limiter.limit_(frame, styled, anomaly, action)
