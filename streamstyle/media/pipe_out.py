"""Films that are written into a pipe or a device: `-`, `pipe:nut`, a named pipe."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from streamstyle.errors import ConfigError, SinkError, nearest
from streamstyle.media.formats import STREAMED, OutputFormat
from streamstyle.media.paths import SCHEME, STDOUT, is_standard_output


def piped_format(url: str) -> OutputFormat:
    """Format of a pipe: the one in `pipe:nut`, or the suffix of a named pipe, otherwise Matroska. Raises
    ConfigError."""
    if url.lower().startswith(SCHEME):
        asked = url[len(SCHEME) :].lower()
    else:
        asked = "" if url in STDOUT else Path(url).suffix.lower().lstrip(".")
    if asked and asked not in STREAMED:
        raise ConfigError(
            f"A pipe has no format '{asked}'{nearest(asked, STREAMED)}: it is one of {', '.join(STREAMED)}."
        )
    return STREAMED[asked or "matroska"]


class PipeEnd:
    """The writing end of a pipe, as a file that PyAV writes to.

    It waits without holding the interpreter where the reader is slow: FFmpeg's own protocol would stop every
    thread with it.
    """

    def __init__(self, url: str) -> None:
        """Raises SinkError for a terminal."""
        self.path = Path(url)
        self._url = url
        self._file: int | None = None
        self.part: Path | None = None
        """Do nothing: bytes that were written have gone."""
        if is_standard_output(url) and os.isatty(1):
            raise SinkError(
                f"{url} is the standard output, which is a terminal: pipe it into a program, as with "
                f"`| mpv -`, or name a file."
            )

    def begin(self) -> PipeEnd:
        """The file object to write to. Raises OSError."""
        if self._file is None:
            self._file = os.dup(1) if is_standard_output(self._url) else os.open(self._url, os.O_WRONLY)
        return self

    def write(self, data: bytes) -> int:
        """Write all of it, however long the reader takes. Raises OSError."""
        assert self._file is not None, "begun"
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        return len(data)

    def finish(self) -> None:
        """Close the pipe, so that the reader sees the end. Raises OSError."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def discard(self) -> None:
        """Do nothing: written data cannot be taken back."""
        with contextlib.suppress(OSError):
            self.finish()
