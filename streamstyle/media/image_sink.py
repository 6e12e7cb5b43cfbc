"""Pictures out: numbered ones, a folder of them, or a single one."""

from __future__ import annotations

import contextlib
import shutil
from itertools import count
from pathlib import Path

from streamstyle.errors import ConfigError, SinkError
from streamstyle.files import encode, write_whole
from streamstyle.media.encoding import USUAL, Encoding
from streamstyle.media.metadata import besides_of
from streamstyle.media.partial_file import check_beside
from streamstyle.media.paths import NUMBER, exists, is_folder, resolved
from streamstyle.types import Frame, MediaReport, StreamInfo

_IN_FOLDER = "%06d.png"


class ImageSink:
    """Writes every frame as a picture: `img%04d.png`, `folder/` (PNGs of six digits) or, of a single frame,
    `picture.jpg`. Numbers begin at 1.

    The pictures are written into a folder `<name>.partial` beside them and moved at the end: after a failed
    run existing files are unchanged, and its pictures are in that folder. Counter: `frames`.
    """

    def __init__(self, url: str, info: StreamInfo, how: Encoding = USUAL) -> None:
        """Raises ConfigError, SinkError for pictures that cannot be written."""
        if how != Encoding(encoder=how.encoder):
            raise ConfigError(
                f"{url} is written as pictures, which ignore --codec, --quality, --preset and "
                f"--pixel-format: leave them out."
            )
        self._url = url
        if url.endswith("/"):
            self._folder, self._pattern, stem = resolved(url), _IN_FOLDER, "pictures"
        else:
            self._folder, self._pattern = resolved(url).parent, Path(url).name
            stem = NUMBER.sub("", Path(url).stem).rstrip("-_. ") or "pictures"
        self._single = not NUMBER.search(self._pattern)
        self._part = self._folder / f"{stem}.partial"
        for number in count(2):
            if not exists(self._part):
                break
            self._part = self._folder / f"{stem}.partial-{number}"
        new = url.endswith("/") and not is_folder(self._folder)
        there = self._folder.parent if new else self._folder
        check_beside(there / self._part.name, self._url)
        self._info = info
        self._frames = 0
        self._closed = False
        self._notes: list[str] = []
        if info.audio_streams or info.sound is not None:
            self._notes.append(f"The sound was left out: {url} holds pictures.")
        if info.sample_aspect_ratio != 1:
            aspect = f"{info.sample_aspect_ratio.numerator}:{info.sample_aspect_ratio.denominator}"
            self._notes.append(
                f"The pixel aspect {aspect} is lost: {url} holds pictures, which look squeezed."
            )

    def write(self, frame: Frame) -> None:
        """Encode one frame. Raises SinkError."""
        if self._closed:
            raise SinkError(f"{self._url} is closed: no frame can follow.")
        if self._single and self._frames:
            suffix = Path(self._url).suffix
            raise SinkError(
                f"{self._url} is one picture, and the source has more: name numbered ones, as "
                f"{Path(self._url).stem}%04d{suffix}, or take one with --frames 1."
            )
        try:
            self._folder.mkdir(exist_ok=True)
            self._part.mkdir(exist_ok=True)
        except OSError as error:
            raise SinkError(f"The folder {self._part} cannot be made: {error.strerror}.") from error
        if not self._frames and (besides := besides_of(self._info)):
            self._notes.append(f"{self._url} holds pictures alone, so {besides}")
        name = self._name(self._frames + 1)
        write_whole(self._part / name, encode(frame.pixels, Path(name).suffix, quality=95))
        self._frames += 1

    def close(self, *, complete: bool) -> None:
        """Move the pictures to their folder; after a failed run they stay where they are. Raises
        SinkError."""
        if self._closed:
            return
        self._closed = True
        if not self._frames:
            self._notes.append(f"No frame came, so {self._url} was not written.")
            with contextlib.suppress(OSError):
                self._part.rmdir()
            return
        if not complete and self._single:
            shutil.rmtree(self._part, ignore_errors=True)
            return
        if not complete:
            self._notes.append(f"The run did not finish: what was written is kept in {self._part}.")
            return
        try:
            for number in range(1, self._frames + 1):
                (self._part / self._name(number)).replace(self._folder / self._name(number))
            self._part.rmdir()
        except OSError as error:
            raise SinkError(
                f"{self._url} cannot be written: {error.strerror}. The pictures are in {self._part}."
            ) from error
        if not self._single and (self._folder / self._name(self._frames + 1)).exists():
            self._notes.append(
                f"{self._folder} holds pictures of higher numbers than {self._frames}, left by an "
                f"earlier run."
            )

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({"frames": self._frames}, tuple(self._notes))

    def _name(self, number: int) -> str:
        return NUMBER.sub(lambda match: f"{number:{match[1]}{match[2]}d}", self._pattern, count=1)
