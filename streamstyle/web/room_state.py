"""The requested state of a control room, with which another process can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamstyle.config import RunConfig


@dataclass(frozen=True)
class RoomState:
    """Settings, source and outputs as they were set last."""

    config: RunConfig
    """Settings of the run that goes on, or of the next one; its own source and sinks do not count."""
    source: str | None = None
    """The source that was named last."""
    outputs: Mapping[str, bool] = field(default_factory=dict)
    """Address of each output, and whether it is to be written while a run goes on."""
    running: bool = False
    """True if a run of the source is to go on."""


def first_state(config: RunConfig) -> RoomState:
    """The state for settings with their source and sinks."""
    outputs = dict.fromkeys(config.sinks, True)
    return RoomState(config, config.source, outputs, running=config.source is not None)
