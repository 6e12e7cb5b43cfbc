"""Events in words: the rule that fired, the repair, and its effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from streamstyle.errors import ConfigError
from streamstyle.types import EVENT_SCHEMA, AnomalyEvent, Kind

_NAMED_TILES = 6


def read_events(path: Path) -> list[AnomalyEvent]:
    """The events of a log, in order. Raises ConfigError if the file is not an event log, or has another
    version."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the event log {path}: {error.strerror}") from error
    events = []
    for number, line in enumerate(lines, 1):
        try:
            event = msgspec.json.decode(line, type=AnomalyEvent)
        except msgspec.DecodeError as error:
            raise ConfigError(f"line {number} of {path} is not an event of streamstyle: {error}") from error
        if event.schema != EVENT_SCHEMA:
            raise ConfigError(
                f"{path} has events of schema {event.schema}, and this version reads schema {EVENT_SCHEMA}: "
                "run the film again"
            )
        events.append(event)
    return events


def words(event: AnomalyEvent) -> str:
    """One sentence per kind, worst first, then the repair and the worst score before and after."""
    found = [_FOUND[Kind(kind)](event) for kind in event.kinds]
    worst = event.kinds[0]
    scores = f"{worst} {event.scores[worst]:.3g} -> {event.scores_after.get(worst, 0.0):.3g}"
    return f"{'; '.join(found)}. {_done(event)} ({scores}, flagged above {event.thresholds[worst]:.3g})."


def _where(event: AnomalyEvent) -> str:
    rows, columns = event.grid
    if len(event.tiles) == rows * columns:
        return "the whole frame"
    if len(event.tiles) == 1:
        return f"tile {event.tiles[0]}"
    named = ", ".join(map(str, event.tiles[:_NAMED_TILES]))
    return f"{len(event.tiles)} tiles ({named}{', ...' if len(event.tiles) > _NAMED_TILES else ''})"


def _step(event: AnomalyEvent) -> str:
    way = "brightened" if event.excess > 0 else "darkened"
    if abs(event.excess) < 0.002:
        way = "changed colour"
        return f"{_where(event)} {way} while the input did not"
    return f"{_where(event)} {way} by {abs(event.excess):.1%} of white more than the input explains"


_FOUND: Mapping[Kind, Callable[[AnomalyEvent], str]] = {
    Kind.FLICKER: lambda event: f"{_step(event)}, and had stepped shortly before",
    Kind.POP: _step,
    Kind.DRIFT: lambda event: (
        f"the colours are {event.scores['drift']:.1f} dE away from those that this shot began with"
    ),
    Kind.TEXTURE: lambda event: (
        f"strokes moved {event.scores['texture']:.1f} times as much as allowed where the input stood still"
    ),
    Kind.DISTORTION: lambda event: f"{_where(event)} lost edges of the input that the frames before had",
    Kind.STYLE: lambda event: f"{_where(event)} got other colours than this style gives to such an input",
    Kind.DUPLICATE: lambda _event: "the frame before was shown again though the input moved",
    Kind.FLASH: lambda event: (
        f"one flash too many within a second over {event.scores['flash']:.0%} of a field of view"
    ),
}

_DONE: Mapping[str, Callable[[Mapping[str, float]], str]] = {
    "none": lambda _f: "Nothing was done",
    "tile gain": lambda f: f"tile gain {f['gain']:.3f} on {f['tiles']:.0%} of the tiles",
    "colour re-match": lambda f: f"colours shifted back by up to {f['offset']:.1f} levels",
    "flow blend": lambda f: f"mixed with {f['past']:.0%} of the frame before along the motion",
    "fallback": lambda f: f"replaced by the frame before on {f['past']:.0%} of the picture",
    "input in the painting's colours": lambda _f: (
        "replaced by the input in the colours of the last good frame"
    ),
    "painted again": lambda _f: "painted again with the statistics of the frame before",
    "flash hold": lambda _f: "held at the brightness before",
}


def _done(event: AnomalyEvent) -> str:
    parts = [_DONE[name](event.figures) for name in event.action.split(" + ")]
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def totals(events: Sequence[AnomalyEvent]) -> dict[str, int]:
    """Number of frames with each kind, most frequent first."""
    counts: dict[str, int] = {}
    for event in events:
        for kind in event.kinds:
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def severity(event: AnomalyEvent) -> float:
    """The worst score over its threshold."""
    return max(event.scores[kind] / event.thresholds[kind] for kind in event.kinds)
