"""Kinds of paths. Unlike pathlib's methods these functions never raise: a name that is too long, or in a
folder that may not be entered, names nothing."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

SCHEME = "pipe:"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Suffixes of pictures."""

NUMBER = re.compile(r"%(0?)(\d*)d")
STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def exists(path: str | Path) -> bool:
    """True if the path names something."""
    return _mode(path) is not None


def is_regular(path: str | Path) -> bool:
    """True if it is a file, possibly through links."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: str | Path) -> bool:
    """True if it is a folder, possibly through links."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_stream(path: str | Path) -> bool:
    """True if it is a pipe or a device, which is read or written from front to back only."""
    mode = _mode(path)
    return mode is not None and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode))


def is_standard_output(url: str) -> bool:
    """True if an output of this name goes to the standard output."""
    return url in STDOUT or url.lower().startswith(SCHEME)


def is_sequence(url: str) -> bool:
    """True if an input of this name consists of pictures: a folder, or numbered ones."""
    path = Path(url)
    numbered = bool(NUMBER.search(path.name)) and path.suffix.lower() in SUFFIXES
    return is_folder(url) or (numbered and not is_regular(url))


def is_pictures(url: str) -> bool:
    """True if an output of this name consists of pictures. A folder's name ends with a slash; a WebP without
    a number is an animation."""
    path = Path(url)
    if url.endswith("/"):
        return True
    numbered = bool(NUMBER.search(path.name))
    return path.suffix.lower() in SUFFIXES and (numbered or path.suffix.lower() != ".webp")


def resolved(path: str | Path) -> Path:
    """The absolute path without links. Links that lead nowhere, or in a circle, stay as they are; so does a
    relative path where the working folder was deleted."""
    try:
        return Path(os.path.realpath(path))
    except OSError:
        return Path(path)


def _mode(path: str | Path) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - Path of a name with a null byte is no Path
    except (OSError, ValueError):
        return None
