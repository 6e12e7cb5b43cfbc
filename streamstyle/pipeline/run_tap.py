"""A tap on a run for the control room: its frames, and the opening of sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from streamstyle.config import RunConfig
from streamstyle.media.open import open_source
from streamstyle.types import AnomalyEvent, AnomalyMap, Frame, Observer, Picture, Sink, Source

FrameProcess: TypeAlias = Callable[[Iterable[Frame | None]], Iterator[Frame]]

TAP_NAME = "browser"
"""Name of the tap's sink in figures."""


@dataclass(frozen=True)
class RunTap:
    """Callables of a program that watches its own run. They change no frame."""

    observer: Observer[AnomalyEvent]
    """Gets every frame that the detector has examined."""
    around: Callable[[FrameProcess], FrameProcess]
    """Wraps the painting, and sees its frames."""
    sink: Sink
    """Gets every frame that leaves."""
    open_source: Callable[[str, RunConfig], Source]
    """Opens the sources that the run names."""


def tapped(process: FrameProcess, tap: RunTap | None) -> FrameProcess:
    """The painting of a run inside the tap, if there is one."""
    return process if tap is None else tap.around(process)


def source_opener(tap: RunTap | None) -> Callable[[str, RunConfig], Source]:
    """The function that opens the first source of a run, and later ones."""
    return open_configured if tap is None else tap.open_source


def open_configured(url: str, config: RunConfig) -> Source:
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
