"""A file that is written under another name and takes its own once it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from itertools import count
from pathlib import Path

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.container import sink_error
from streamstyle.media.paths import exists, is_folder, resolved

_MIN_FREE_BYTES = 2**20
"""Free bytes without which no film is started."""


class PartialFile:
    """The file `path`, written beside it as `<stem>.partial<suffix>` until `finish`, so that a failed run
    changes nothing that was there. A number is added to a taken name, so that the file of an earlier run is
    kept.

    If `path` is a link, its target is replaced.
    """

    def __init__(self, path: Path, source: str) -> None:
        """Check early for everything that would otherwise fail after painting. source: the input, which must
        be another file. Raises ConfigError, SinkError."""
        with contextlib.suppress(OSError):
            if path.samefile(source):
                raise ConfigError(f"{path} is also the input and would be overwritten: name another output.")
        self.path = path
        try:
            self._target = Path(os.path.realpath(path))
        except OSError as error:
            raise sink_error(str(path), error) from error
        self._part: Path | None = None
        self._check()

    def begin(self) -> str:
        """FFmpeg's name of the file to write; created if necessary. Raises OSError."""
        if self._part is None:
            self._part = self._made()
        return f"file:{self._part}"

    def finish(self) -> None:
        """Give the whole file its name. Raises OSError."""
        if self._part is None:
            return
        if self._target.exists():
            with contextlib.suppress(OSError):
                shutil.copymode(self._target, self._part)
        self._part.replace(self._target)
        self._part = None

    def discard(self) -> None:
        """Remove the file: nothing worth keeping was written."""
        if self._part is not None:
            self._part.unlink(missing_ok=True)
            self._part = None

    @property
    def part(self) -> Path | None:
        """Path of the data written so far; None before `begin` and after `finish`."""
        return self._part

    def _made(self) -> Path:
        return _made(self._target.with_name(f"{self._target.stem}.partial{self._target.suffix}"))

    def _check(self) -> None:
        """Try a file beside the target, as large as the smallest film."""
        if exists(self._target) and not os.access(self._target, os.W_OK):
            raise sink_error(str(self.path), PermissionError(errno.EACCES, "Permission denied"))
        check_beside(self._target.with_name(f"{self._target.stem}.partial{self._target.suffix}"), self.path)


def check_beside(part: Path, path: str | Path) -> None:
    """Raise SinkError if no file `part` can be made, or there is no room for it. path: the output, for
    messages."""
    try:
        made = _made(part)
        try:
            _reserve(made)
        finally:
            made.unlink()
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise SinkError(
                f"{path} cannot be written: no file can be made in {part.parent}. Name an output in another "
                f"folder, or change the folder's permissions."
            ) from error
        folder = resolved(part.parent)
        # A working folder that was deleted has no absolute path.
        if error.errno == errno.ENOENT and folder.is_absolute() and is_folder(folder):
            raise SinkError(
                f"{path} cannot be written: the system keeps no files in {folder}. Name an output in "
                f"another folder."
            ) from error
        if error.errno == errno.ENOTDIR:
            raise SinkError(
                f"{path} cannot be written: {folder} is a file, or inside one. Name an output in a folder."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise SinkError(
                f"{path} cannot be written: its name is too long, since '.partial' is added while it is "
                f"written. Choose a shorter one."
            ) from error
        raise sink_error(str(path), error) from error


def _made(part: Path) -> Path:
    """An empty file of this name, with a number if it is taken."""
    for number in count(1):
        path = part if number == 1 else part.with_name(f"{part.stem}-{number}{part.suffix}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path
    raise AssertionError("there are always more numbers")


def _reserve(path: Path) -> None:
    """Raise OSError if there is no room for `_MIN_FREE_BYTES` bytes."""
    if not hasattr(os, "posix_fallocate"):
        return
    file = os.open(path, os.O_WRONLY)
    try:
        os.posix_fallocate(file, 0, _MIN_FREE_BYTES)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
    finally:
        os.close(file)
