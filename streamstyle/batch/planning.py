"""The plan of a film: where it is split, and from where each segment is painted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamstyle.batch.manifest import Segment
from streamstyle.config import RunConfig
from streamstyle.errors import SourceError
from streamstyle.media.film_index import FilmIndex, film_index
from streamstyle.media.film_part import FilmPart, FilmRange
from streamstyle.media.formats import FORMATS
from streamstyle.regions.spec import MaskFile, parse_region
from streamstyle.temporal.scene_cuts import scene_cuts
from streamstyle.types import StreamInfo

WARM_UP = 48
"""Warm-up frames, painted before a segment and not written. Even at full consistency the segment's first
frames then equal those of the whole film to 50 dB and more: see docs/scale.md and tools/warm_up.py."""


@dataclass(frozen=True)
class Split:
    """The rule by which a film is split."""

    seconds: float = 60.0
    """Length of a segment, about."""
    window: float = 5.0
    """Seconds around the ideal end of a segment, at most a quarter of its length, in which it ends at the
    nearest cut or, without one, at the longest gap between two frames."""
    warm_up: int = WARM_UP
    """See WARM_UP."""


@dataclass(frozen=True)
class FilmPlan:
    """See `FilmManifest`."""

    frames: int
    end: int
    segments: tuple[Segment, ...]
    whole: str = ""


def plan_film(source: str, info: StreamInfo, output: Path, config: RunConfig, split: Split) -> FilmPlan:
    """Split a film. info: of the open source. Raises SourceError."""
    why = _whole_for_settings(output, config)
    index = None if why else film_index(source)
    if index is None or index.irregular:
        return FilmPlan(info.frames, 0, (), why or (index.irregular if index else ""))
    try:
        segments = _segments(source, index, info.time_base, config, split)
    except SourceError:
        return FilmPlan(info.frames, 0, (), "it cannot be read from its middle")
    if len(segments) < 2:
        return FilmPlan(len(index.pts), index.end, (), "it is short")
    return FilmPlan(len(index.pts), index.end, segments)


def _whole_for_settings(output: Path, config: RunConfig) -> str:
    """The setting that keeps a film in one piece, in a few words; empty if there is none."""
    region = None if config.region is None else parse_region(config.region)
    if output.suffix.lower() not in FORMATS:
        return f"{output.suffix} is not a film"
    if config.deinterlace == "field":
        return "fields become pictures"
    if isinstance(region, MaskFile) and not region.is_picture:
        return "the region is a film"
    return "frames are propagated" if config.every > 1 else ""


def _segments(
    source: str, index: FilmIndex, time_base: Fraction, config: RunConfig, split: Split
) -> tuple[Segment, ...]:
    pts, per_second = index.pts, 1 / time_base
    length = float(split.seconds * per_second)
    reach = min(split.window * float(per_second), length / 4)
    places, cuts = [0], [True]
    while index.end - int(pts[places[-1]]) >= 1.5 * length:
        wanted = int(pts[places[-1]]) + length
        low, high = (int(np.searchsorted(pts, wanted + way)) for way in (-reach, reach))
        low = max(low, places[-1] + 1)
        if low >= len(pts):
            break
        place, cut = _place(source, index, (low, max(high, low + 1)), wanted, config)
        places.append(place)
        cuts.append(cut)
    ends = [*(int(pts[place]) for place in places[1:]), index.end]
    made = []
    for number, (place, end, cut) in enumerate(zip(places, ends, cuts, strict=True)):
        warm_up = min(split.warm_up, place)
        begin = int(pts[place - warm_up])
        count = int(np.searchsorted(pts, end)) - place
        key = index.key_before(begin)
        made.append(Segment(number, int(pts[place]), end, place, count, begin, warm_up, key, cut))
    return tuple(made)


def _place(
    source: str, index: FilmIndex, window: tuple[int, int], wanted: float, config: RunConfig
) -> tuple[int, bool]:
    """The frame to split before, one of the window's, and whether it is a cut."""
    pts, (low, high) = index.pts, window
    before = max(low - 1, 0)
    after = int(pts[high]) if high < len(pts) else index.end
    part = FilmRange(int(pts[before]), after, before, index.key_before(int(pts[before])))
    with FilmPart(source, part, deinterlace=config.deinterlace, background=config.background) as frames:
        cuts = list(scene_cuts(frames))
    if cuts:
        return int(np.searchsorted(pts, min(cuts, key=lambda cut: abs(cut - wanted)))), True
    gaps = pts[low:high] - pts[low - 1 : high - 1]
    longest = low + np.flatnonzero(gaps == gaps.max())
    return int(longest[np.abs(pts[longest] - wanted).argmin()]), False
