"""Films from a pipe: `-`, a named pipe, `/dev/fd/63`. FFmpeg could read a pipe once; a run reads a film
several times, since sound and subtitles are copied apart from the pictures."""

from __future__ import annotations

import os
import stat
import tempfile
from io import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path

from streamstyle.errors import SourceError
from streamstyle.flow import Lock
from streamstyle.media.paths import is_stream

STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

_CHUNK = 2**18
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
_RAW = b"YUV4MPEG2"


def is_pipe(url: str) -> bool:
    """True if the name is the standard input, a pipe or a device."""
    return url in STDIN or is_stream(url)


class Spool:
    """The data of a pipe so far, in a temporary file without a name, so that any number of readers, on any
    threads, can start at its beginning. The pipe is read only as far as the furthest reader needs, so that
    the writer stays in step.

    kept: False if nothing is kept and a single reader gets it all: for raw pictures (YUV4MPEG), which have no
    other streams and would fill a disk.
    """

    def __init__(self, url: str) -> None:
        """Raises SourceError if there is nothing to read."""
        self.name = "the standard input" if url in STDIN else url
        if url in STDIN and os.isatty(0):
            raise SourceError(
                f"{url} is the standard input, which is a terminal: pipe a film into it, or name a file."
            )
        try:
            self._pipe = os.dup(0) if url in STDIN else os.open(url, os.O_RDONLY)
        except OSError as error:
            raise SourceError(f"{url} cannot be read: {error.strerror}.") from error
        told = os.fstat(self._pipe)
        if stat.S_ISCHR(told.st_mode) and not os.path.samestat(told, Path(os.devnull).stat()):
            os.close(self._pipe)
            raise SourceError(
                f"{self.name} is a device, not a film: name a file or a pipe; a camera is webcam:0."
            )
        self._spooled, name = tempfile.mkstemp(prefix="streamstyle-")
        Path(name).unlink()
        self._reading = Lock()
        self.length = 0
        self.ended = False
        while self.length < len(_RAW) and not self.ended:
            self._more(self.length)
        head = os.pread(self._spooled, len(_RAW), 0)
        self.kept = head != _RAW
        self.index_last = head[4:8] in _BOXES  # so that it is searched for, and the film is seeked in
        if not self.length:
            raise SourceError(f"{self.name} is empty: it holds no media at all.")

    def __del__(self) -> None:
        if hasattr(self, "_spooled"):
            os.close(self._spooled)

    def _more(self, length: int) -> None:
        """Read on beyond `length`, or wait until another reader has done so. Raises OSError."""
        with self._reading:
            if self.length > length or self.ended:
                return
            data = os.read(self._pipe, _CHUNK)
            if data:
                os.pwrite(self._spooled, data, self.length)
                self.length += len(data)
            else:
                self.ended = True
                os.close(self._pipe)

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from there on, as soon as there are some; none at the end. Raises SourceError if
        the disk is full."""
        while (length := self.length) <= at and not self.ended:
            try:
                self._more(length)
            except OSError as error:
                raise SourceError(
                    f"The input from {self.name} cannot be stored in {tempfile.gettempdir()}: "
                    f"{error.strerror}. Free some space, or set TMPDIR to another folder."
                ) from error
        return os.pread(self._spooled, size, at)

    def passed(self, at: int, size: int) -> bytes:
        """Like `read`, for data that is not kept: the beginning from the spool, then the pipe itself."""
        if at < self.length:
            return os.pread(self._spooled, size, at)
        data = b"" if self.ended else os.read(self._pipe, size)
        self.ended = not data
        return data

    def to_the_end(self) -> int:
        """Read everything; returns its length."""
        while not self.ended:
            self.read(self.length, 1)
        return self.length


class PipeReader:
    """One reader of a spool, as a file that PyAV reads from front to back."""

    name = "file:pipe"

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._at = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        read = self._spool.read if self._spool.kept else self._spool.passed
        data = read(self._at, size)
        self._at += len(data)
        return data


class SeekingPipeReader(PipeReader):
    """A reader for films whose index may be at their end."""

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go there; the pipe is read on only once something is."""
        base = {SEEK_SET: lambda: 0, SEEK_CUR: lambda: self._at, SEEK_END: self._spool.to_the_end}[whence]()
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """The position in bytes."""
        return self._at


_spools: dict[str, Spool] = {}


def begin_pipe(url: str) -> None:
    """Called when a source starts to read this pipe: all later readers get the same data. Raises
    SourceError."""
    _spools[url] = Spool(url)


def pipe_reader(url: str) -> PipeReader:
    """One more reader from the beginning. Raises SourceError."""
    if url not in _spools:
        begin_pipe(url)
    spool = _spools[url]
    return SeekingPipeReader(spool) if spool.index_last else PipeReader(spool)


def is_kept(url: str) -> bool:
    """True if the pipe can be read again."""
    return url in _spools and _spools[url].kept


def redirected(url: str) -> str:
    """The file that is the standard input (`< film.mp4`), which can be opened like any other; else `url`."""
    if url not in STDIN:
        return url
    try:
        regular = stat.S_ISREG(os.fstat(0).st_mode)
        return os.path.realpath("/proc/self/fd/0") if regular else url
    except OSError:
        return url
