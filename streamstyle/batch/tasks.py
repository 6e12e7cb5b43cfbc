"""Tasks of workers: plan a film, paint a segment or a whole film, join the segments. The process that hands
these out touches no media itself, so that no damaged film can take it down, and imports no media library."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from streamstyle.batch.manifest import FilmRecord, SegmentRecord


class FilmRequest(msgspec.Struct, frozen=True):
    """A film to paint."""

    source: str
    """Absolute path."""
    output: str
    """Absolute path, or URL."""
    folder: str
    """The folder of its segments, a path or a URL as well."""
    record: str | None
    """The record to write when it is done; None to paint it again the next time."""
    settings: dict[str, Any]
    """Fields of `RunConfig` by name."""
    seconds: float
    """See `Split`."""
    resume: bool
    """Go on with existing segments, instead of removing them."""


class PlanTask(msgspec.Struct, frozen=True, tag="plan"):
    """Plan a film, or find its finished segments; results in `PlanResult`."""

    film: FilmRequest


class PaintTask(msgspec.Struct, frozen=True, tag="paint"):
    """Paint a segment: gives its `SegmentRecord`."""

    film: FilmRequest
    number: int


class WholeTask(msgspec.Struct, frozen=True, tag="whole"):
    """Paint a film in one piece: gives its `FilmRecord`."""

    film: FilmRequest


class JoinTask(msgspec.Struct, frozen=True, tag="join"):
    """Join the segments of a film: gives its `FilmRecord`, or `DamagedSegments`."""

    film: FilmRequest


Task: TypeAlias = PlanTask | PaintTask | WholeTask | JoinTask


class PlanResult(msgspec.Struct, frozen=True, tag="planned"):
    """A plan, as far as others must know it."""

    frames: int
    """Number of frames of the film; 0 if unknown."""
    missing: dict[int, int]
    """Number of each segment that is to be painted, and its frames; empty for a film in one piece."""
    kept: int
    """Segments that were painted before."""
    whole: str
    """See `FilmManifest`."""
    done: FilmRecord | None = None
    """The record of an already finished film, otherwise None."""


class DamagedSegments(msgspec.Struct, frozen=True, tag="damaged"):
    """Segments that are to be painted again before the film can be joined."""

    missing: dict[int, int]
    """The number of each, and its frames."""


Result: TypeAlias = PlanResult | SegmentRecord | FilmRecord | DamagedSegments
