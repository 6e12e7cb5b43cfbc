"""The time stamps of a film's pictures, read from its packets without decoding any."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import SourceError
from streamstyle.media.container import HOSTILE, packets_of
from streamstyle.media.film_clock import FilmClock
from streamstyle.media.film_input import open_film
from streamstyle.media.paths import is_regular
from streamstyle.media.programs import picture_stream

_UNTIMED = -(1 << 63)


@dataclass(frozen=True)
class FilmIndex:
    """The times of a film's pictures."""

    pts: NDArray[np.int64]
    """Time stamps in presentation order, on the film's `FilmClock`, in units of its video's time base."""
    end: int
    """End of the last picture, in the same units; 0 for a film without any."""
    keys: NDArray[np.int64]
    """Those of `pts` at which decoding can begin: the key frames."""
    clock: int
    """Difference that is added to such a time stamp to get that of the file itself."""
    irregular: str
    """The reason why the film cannot be read from its middle on, in a few words; empty if it can."""

    def key_before(self, pts: int) -> int | None:
        """The file's own time stamp of the key picture before the last one that is not after `pts`: between
        both the decoder gets its references. None for the film's beginning."""
        place = int(np.searchsorted(self.keys, pts, side="right")) - 2
        return None if place < 1 else int(self.keys[place]) + self.clock


def film_index(path: str) -> FilmIndex:
    """Read all packets of a film. Raises SourceError where it cannot be opened or has no video."""
    if not is_regular(path):
        return _irregular("it is no file")
    with open_film(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise SourceError(f"{path} contains no video: name a file with moving pictures.")
        clock, failures = FilmClock(container), 0

        def failed() -> None:
            nonlocal failures
            failures += 1

        rows: list[tuple[int, int, bool]] = []
        try:
            for packet in clock.placed(packets_of(container, failed)):
                if packet.stream_index == stream.index and not packet.is_discard:
                    failures += packet.is_corrupt
                    pts = _UNTIMED if packet.pts is None else packet.pts
                    rows.append((pts, packet.duration or 0, packet.is_keyframe))
        except HOSTILE:
            failures += 1
        base = stream.time_base or Fraction(1)
        return _index(rows, round(clock.start / base), bool(clock.breaks), bool(failures))


def _index(rows: list[tuple[int, int, bool]], clock: int, breaks: bool, damaged: bool) -> FilmIndex:
    if not rows:
        return _irregular("it has no pictures")
    table = np.array(rows, np.int64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    pts, keys = table[:, 0], table[table[:, 2] != 0, 0]
    steps = np.diff(pts)
    why = ""
    if breaks:
        why = "its clock jumps"
    elif damaged:
        why = "it is damaged"
    elif pts[0] == _UNTIMED or not (steps > 0).all():
        why = "its pictures have no time stamps"
    elif pts[0] < 0:
        why = "it begins before zero"
    if why:
        return _irregular(why)
    usual = int(np.median(steps)) if len(steps) else 1
    return FilmIndex(pts, int(pts[-1] + (table[-1, 1] or usual)), keys, clock, "")


def _irregular(why: str) -> FilmIndex:
    none = np.zeros(0, np.int64)
    return FilmIndex(none, 0, none, 0, why)
