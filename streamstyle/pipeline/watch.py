"""Observers of a run inside the same program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from streamstyle.config import RunConfig
from streamstyle.media.open import open_source
from streamstyle.telemetry import AnomalyEvent
from streamstyle.types import AnomalyMap, Frame, Observer, Picture, Sink, Source

Painted: TypeAlias = Callable[[Iterable[Frame | None]], Iterator[Frame]]

WATCHED = "browser"
"""Name of the watching sink in figures."""


@dataclass(frozen=True)
class Watch:
    """observer: gets every frame that the detector has seen. around: wraps the painting and sees its frames;
    changes nothing. sink: gets every frame that leaves. open_source: opens the sources that the run names."""

    observer: Observer[AnomalyEvent]
    around: Callable[[Painted], Painted]
    sink: Sink
    open_source: Callable[[str, RunConfig], Source]


def watched(process: Painted, watch: Watch | None) -> Painted:
    """The painting of a run, with the observer around it."""
    return process if watch is None else watch.around(process)


def source_opener(watch: Watch | None) -> Callable[[str, RunConfig], Source]:
    """The function that opens the source of a run, and those that take its place."""
    return opened if watch is None else watch.open_source


def opened(url: str, config: RunConfig) -> Source:
    """The source of this address, as the settings say. Raises ConfigError."""
    return open_source(
        url,
        timeout=config.source_timeout,
        decoder=config.decoder,
        live=config.live,
        deinterlace=config.deinterlace,
        background=config.background,
        rate=config.rate,
    )


class Observers:
    """Implements `Observer` by several."""

    def __init__(self, *observers: Observer[AnomalyEvent]) -> None:
        self._observers = observers

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:
        """See `streamstyle.types.Observer`."""
        for observer in self._observers:
            observer.found(frame, styled, anomaly)

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: AnomalyEvent) -> None:
        """See `streamstyle.types.Observer`."""
        for observer in self._observers:
            observer.repaired(frame, styled, anomaly, event)
