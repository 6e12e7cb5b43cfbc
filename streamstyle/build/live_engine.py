"""The engine of a live run: what is tried, and what is taken where memory lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamstyle.build.model import Model
from streamstyle.engines.guided_engine import open_guided
from streamstyle.engines.live_engine import LiveEngine, Rung
from streamstyle.engines.size import SMALLEST
from streamstyle.flow import Later
from streamstyle.types import Engine, StreamInfo


def open_live_engine(
    open_engine: Callable[[StreamInfo], Engine], model: Model, info: StreamInfo, tell: Callable[[str], None]
) -> LiveEngine:
    """An engine that is there at once, and paints as soon as the one that `open_engine` gives is open."""

    def begin(open_one: Callable[[], Engine]) -> Later[Engine]:
        return Later(open_one, "engine")

    return LiveEngine(rungs(open_engine, model, info), begin, tell)


def rungs(open_engine: Callable[[StreamInfo], Engine], model: Model, info: StreamInfo) -> list[Rung]:
    """The ways to paint a source, the best first: as asked, then at a half and a quarter of its sides."""
    height, width = info.height, info.width
    ways = [Rung(f"{width}x{height}", partial(open_engine, info))]
    for share in (2, 4):
        small = (height // share, width // share)
        if min(small) >= SMALLEST:
            smaller = partial(open_guided, model.open_engine, height, width, small)
            ways.append(Rung(f"painting at {small[1]}x{small[0]}", smaller))
    return ways
