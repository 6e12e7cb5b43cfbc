"""Screens of this machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from streamstyle.errors import SourceError
from streamstyle.media.live_clock import LiveClock
from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.live_source import LiveSource
from streamstyle.media.live_url import LiveLimits, live_input_of


@dataclass(frozen=True)
class Screen:
    """A screen."""

    url: str
    """Its address as `run` takes it."""
    name: str
    """Name for people."""
    width: int
    """Width in pixels; 0 if unknown."""
    height: int
    """Height in pixels; 0 if unknown."""
    problem: str = ""
    """The reason if it cannot be used, otherwise empty."""


def screens() -> tuple[Screen, ...]:
    """The screens that `screen:` would read: on X the whole display, which may span several monitors. Tries
    to read it."""
    if sys.platform != "linux":
        return (Screen("screen:", "the whole screen", 0, 0),)
    display = os.environ.get("DISPLAY", "")
    if not display:
        return ()
    name = f"X display {display}"
    try:
        with LiveSource(
            live_input_of("screen:"), LiveClock(), SoundBuffer(), LiveLimits(), measure=False
        ) as seen:
            return (Screen("screen:", name, seen.info.width, seen.info.height),)
    except SourceError as error:
        return (Screen("screen:", name, 0, 0, str(error)),)
