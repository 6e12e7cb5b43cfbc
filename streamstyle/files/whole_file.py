"""Files, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from streamstyle.errors import SinkError


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write beside `path`, under a unique and short name, then rename into place; on failure remove the
    file. mode: permissions, less the process's umask. Raises SinkError."""
    if not path.name:
        raise SinkError(f"cannot write {path}: it is a folder, name a file in it")
    part = path.with_name(f"{secrets.token_hex(8)}.part")  # its own may be as long as names can be
    try:
        part.touch(mode, exist_ok=False)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SinkError(f"cannot write {path}: {error.strerror}") from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents, if they do not exist. Raises SinkError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make the folder {path}: {error.strerror}. Name another one.") from error


def check_writable(path: Path) -> None:
    """Raise SinkError if no file can be made at `path`; called before the work, not after."""
    if path.is_dir() or not path.name:
        raise SinkError(f"cannot write {path}: it is a folder, name a file in it")
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise SinkError(f"cannot write {path}: there is no folder {path.parent}; make it, or write elsewhere")
    if not os.access(path if path.exists() else Path(os.path.realpath(path)).parent, os.W_OK):
        raise SinkError(f"cannot write {path}: the permissions of it or its folder do not allow it")
