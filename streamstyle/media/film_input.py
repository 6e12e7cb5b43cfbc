"""Opening of films: files, and films on a web server."""

from __future__ import annotations

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from streamstyle.media.container import HOSTILE, open_input
from streamstyle.media.live_error import live_error
from streamstyle.media.live_url import LiveInput, LiveLimits, live_input_of
from streamstyle.media.paths import is_regular
from streamstyle.media.pipe_in import is_kept

LIMITS = LiveLimits()

_WEB = ("http://", "https://")


def is_on_the_web(url: str) -> bool:
    """True if `url` names something on a web server."""
    return url.lower().startswith(_WEB)


def is_film(url: str) -> bool:
    """True if `open_film` can open a source that is not live."""
    return is_on_the_web(url) or is_regular(url) or is_kept(url)


def open_film(url: str, hwaccel: HWAccel | None = None, limits: LiveLimits = LIMITS) -> InputContainer:
    """Open a film by its path or web address. hwaccel: as for `open_input`, of files only. Raises SourceError
    with what is wrong and what to do."""
    if not is_on_the_web(url):
        return open_input(url, hwaccel)
    opening = live_input_of(url)
    options = {name: opening.attempts[0][name] for name in opening.attempts[0] if name not in _FOR_STREAMS}
    try:
        return av.open(
            opening.file,
            "r",
            container_options=options,
            metadata_errors="replace",
            timeout=(limits.open, limits.read),
        )
    except HOSTILE as error:
        raise live_error(opening, error) from error


_FOR_STREAMS = ("probesize", "analyzeduration")


def has_an_end(opening: LiveInput, container: InputContainer) -> bool:
    """True if the opened input is a whole film on a server, and no stream."""
    if not opening.film:
        return False
    if "hls" in container.format.name:  # a finished playlist has a duration
        return bool(container.duration and container.duration > 0)
    return container.size > 0
