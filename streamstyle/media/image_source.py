"""Pictures in a folder, or numbered ones (`img%04d.png`), as a film."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

from streamstyle.errors import SourceError
from streamstyle.media.alpha import BLACK
from streamstyle.media.av_source import FileSource
from streamstyle.media.letterbox import letterboxed
from streamstyle.media.paths import NUMBER, SUFFIXES, is_folder
from streamstyle.types import Frame, MediaReport, StreamInfo

USUAL_RATE = Fraction(25)
"""Pictures per second, FFmpeg's default."""

_DIGITS = re.compile(r"(\d+)")


class ImageSource:
    """A sequence of pictures as a Source: by their numbers, or by name with numbers in numerical order. Gaps
    in the numbers do not cause gaps in time. Pictures of another size than the first are letterboxed.

    Counters: `frames`, `corrupt_packets` (pictures that could not be read), `frames_letterboxed`.
    """

    def __init__(self, url: str, *, rate: Fraction = USUAL_RATE, background: str = BLACK) -> None:
        """rate: pictures a second. background: see `FileSource`."""
        self._url, self._rate, self._background = url, rate, background
        self._left: Iterator[tuple[int, Path]] = iter(())
        self._info: StreamInfo | None = None
        self._frames = self._unreadable = self._letterboxed = 0
        self._notes: list[str] = []

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        if self._info is None:
            raise SourceError(f"{self._url} is not open: enter its `with` block first.")
        return self._info

    def __enter__(self) -> Self:
        paths = pictures_of(self._url)
        self._left = iter(enumerate(paths))
        with FileSource(str(paths[0]), background=self._background) as first:
            info = first.info
        self._info = StreamInfo(
            url=self._url,
            width=info.width,
            height=info.height,
            rate=self._rate,
            time_base=1 / self._rate,
            frames=len(paths),
            sample_aspect_ratio=Fraction(1),
            matrix=info.matrix,
            audio_streams=0,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._left = iter(())  # every picture was closed when it was read

    def __iter__(self) -> Iterator[Frame]:
        info = self.info
        for place, path in self._left:
            picture = FileSource(str(path), background=self._background)
            try:
                with picture:
                    frame = next(iter(picture))
            except SourceError:
                self._unreadable += 1
                continue
            if not self._frames:
                self._notes += picture.report().notes
            pixels = letterboxed(frame.pixels, info.width, info.height)
            self._letterboxed += pixels is not frame.pixels
            self._frames += 1
            yield Frame(pixels, self._frames - 1, place, info.time_base, 1, frame.captured_at)

    def report(self) -> MediaReport:
        """Counters so far."""
        counters = {"frames": self._frames, "corrupt_packets": self._unreadable, "truncated": 0}
        notes = list(self._notes)
        if self._unreadable:
            notes.append(
                f"{self._unreadable} pictures of {self._url} cannot be read: the picture before each is "
                f"shown longer."
            )
        if self._letterboxed:
            counters["frames_letterboxed"] = self._letterboxed
            notes.append(
                f"{self._letterboxed} pictures of {self._url} are of another size than the first, and have "
                f"black borders."
            )
        return MediaReport(counters, tuple(notes))


def pictures_of(url: str) -> list[Path]:
    """The pictures of a folder, or with numbers, in order. Raises SourceError if there are none."""
    pattern = Path(url)
    folder = pattern if is_folder(url) else pattern.parent
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror}.") from error
    if folder is pattern:
        if not names:
            raise SourceError(
                f"{url} is a directory without pictures ({', '.join(SUFFIXES)}): name one video file in it, "
                f"or a folder of pictures."
            )
        visible = [path for path in names if not path.name.startswith(".")]
        return sorted(visible or names, key=lambda path: _by_number(path.name))
    numbered = _numbered(pattern.name)
    found = sorted((int(match[1]), path) for path in names if (match := numbered.fullmatch(path.name)))
    if not found:
        raise SourceError(f"There is no picture {url}: check the folder, and the number of digits.")
    return [path for _, path in found]


def _numbered(name: str) -> re.Pattern[str]:
    """Pattern for `%04d` in a name: at least so many digits."""
    match = NUMBER.search(name)
    assert match is not None, "a pattern"
    digits = rf"(\d{{{match[2]},}})" if match[1] and match[2] else r"(\d+)"
    return re.compile(re.escape(name[: match.start()]) + digits + re.escape(name[match.end() :]))


def _by_number(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts img9 before img10."""
    return [(0, int(part)) if part.isdigit() else (1, part.lower()) for part in _DIGITS.split(name)]
