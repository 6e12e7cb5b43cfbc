"""The wire type of the event log (docs/events.md)."""

from __future__ import annotations

import msgspec

EVENT_SCHEMA = 2


class AnomalyEvent(msgspec.Struct, frozen=True):
    """One flagged frame, one line of the event log."""

    schema: int
    """Version of the format, EVENT_SCHEMA."""
    index: int
    """Index of the frame."""
    time: float
    """Presentation time of the frame in seconds."""
    kinds: list[str]
    """Flagged kinds, worst first."""
    grid: tuple[int, int]
    """(rows, cols) of the tiles."""
    tiles: list[int]
    """Flagged tiles as flat indices, row * cols + col."""
    excess: float
    """Mean over the flagged tiles of how much brighter they became than the input explains, as a share of
    white."""
    scores: dict[str, float]
    """Per kind; see `AnomalyMap`."""
    thresholds: dict[str, float]
    """Per kind; see `AnomalyMap`."""
    action: str
    """Name of the repair."""
    figures: dict[str, float]
    """Numbers of the repair."""
    scores_after: dict[str, float]
    """Per kind, of the frame as it left."""
