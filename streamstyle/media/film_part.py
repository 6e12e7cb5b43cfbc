"""A part of a film as a source: decoded from a key picture on, the same frames as of the whole film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from av.container import InputContainer

from streamstyle.errors import SourceError
from streamstyle.media.alpha import BLACK
from streamstyle.media.av_source import FileSource
from streamstyle.media.container import HOSTILE
from streamstyle.media.deinterlace import Deinterlacing
from streamstyle.media.programs import picture_stream
from streamstyle.types import Frame


@dataclass(frozen=True)
class FilmRange:
    """A range of a film's frames."""

    first: int
    """Time stamp of the first one."""
    end: int
    """Time stamp after the last one, exclusive."""
    index: int
    """Number of the first one in the film, from 0."""
    key: int | None
    """The file's own time stamp of the key picture to seek to (see `FilmIndex.key_before`); None for the
    film's beginning."""


class FilmPart(FileSource):
    """The frames of a `FilmRange` as a Source. Raises SourceError where the first frame is another one than
    the range says, as in a file that cannot seek, or was changed."""

    def __init__(
        self,
        path: str,
        part: FilmRange,
        *,
        decoder: str = "cpu",
        deinterlace: Deinterlacing = "auto",
        background: str = BLACK,
    ) -> None:
        """See `FileSource`."""
        super().__init__(path, decoder=decoder, deinterlace=deinterlace, background=background)
        self._part = part
        self._name = path

    def __iter__(self) -> Iterator[Frame]:
        part, number = self._part, 0
        for frame in super().__iter__():
            if frame.pts >= part.end:
                break
            if frame.pts < part.first:
                continue
            if number == 0 and frame.pts != part.first:
                break
            yield replace(frame, index=part.index + number)
            number += 1
        if number == 0:
            raise SourceError(f"{self._name} cannot be read from its middle: a picture is missing there.")

    def _enter(self, container: InputContainer, *, device: bool) -> None:
        stream = picture_stream(container)
        if self._part.key is not None and stream is not None:
            try:
                container.seek(self._part.key, stream=stream)
            except HOSTILE as error:
                container.close()
                raise SourceError(f"{self._name} cannot be read from its middle.") from error
        super()._enter(container, device=device)
