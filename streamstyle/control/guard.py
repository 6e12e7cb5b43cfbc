"""A guard that is exchanged while it runs."""

from __future__ import annotations

from streamstyle.types import Action, AnomalyMap, Frame, Guard, Picture


class ChangingGuard:
    """Implements `Guard` by another one, or by none, which `use` replaces between two frames; from any
    thread."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard

    def use(self, guard: Guard | None) -> None:
        """Let another one, or none, have the last word from the next frame on."""
        self._guard = guard

    def judge_(
        self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action
    ) -> tuple[AnomalyMap, Action]:
        """See `streamstyle.types.Guard`."""
        guard = self._guard
        return (anomaly, action) if guard is None else guard.judge_(frame, styled, anomaly, action)
