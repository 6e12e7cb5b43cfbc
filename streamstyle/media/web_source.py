"""Sources behind http: films, which are read like files, and streams, which are live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import av
from av.container import InputContainer

from streamstyle.errors import SourceError
from streamstyle.media.av_source import FileSource
from streamstyle.media.container import HOSTILE
from streamstyle.media.film_input import has_an_end
from streamstyle.media.live_error import live_error
from streamstyle.media.live_url import LiveInput, LiveLimits
from streamstyle.media.reconnecting import ReconnectingSource
from streamstyle.types import Frame, MediaReport, StreamInfo


class WebSource:
    """Implements `Source` for `http:` and `https:`. Opening shows which it is: a film has a length, or is a
    playlist with an end.

    film: makes the source of a film. live: makes that of a stream, which continues with the opened container.
    Counters: those of `FileSource` or `ReconnectingSource`.
    """

    def __init__(
        self,
        opening: LiveInput,
        limits: LiveLimits,
        *,
        film: Callable[[], FileSource],
        live: Callable[[InputContainer], ReconnectingSource],
    ) -> None:
        self._opening, self._limits, self._film, self._live = opening, limits, film, live
        self._source: FileSource | ReconnectingSource | None = None

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        if self._source is None:
            raise SourceError(f"{self._opening.name} is not open: enter its `with` block first.")
        return self._source.info

    def __enter__(self) -> Self:
        try:
            container = av.open(
                self._opening.file,
                "r",
                container_options=dict(self._opening.attempts[0]),
                buffer_size=2**18,
                metadata_errors="replace",
                timeout=(self._limits.open, self._limits.read),
            )
        except HOSTILE as error:
            raise live_error(self._opening, error) from error
        if has_an_end(self._opening, container):
            container.close()
            self._source = self._film()
        else:
            self._source = self._live(container)
        self._source.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._source is not None:
            self._source.__exit__(*error)

    def __iter__(self) -> Iterator[Frame]:
        return iter(()) if self._source is None else iter(self._source)

    def interrupt(self) -> None:
        """See `Interruptible`: a film's read returns within its time-out."""
        if isinstance(self._source, ReconnectingSource):
            self._source.interrupt()

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport() if self._source is None else self._source.report()
