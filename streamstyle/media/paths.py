"""What a path names. Unlike pathlib's questions these never raise: a name that is too long, or lies in a
folder that may not be entered, names nothing."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

SCHEME = "pipe:"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Of pictures."""

NUMBER = re.compile(r"%(0?)(\d*)d")
STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def exists(path: str | Path) -> bool:
    """Is there anything?"""
    return _mode(path) is not None


def is_regular(path: str | Path) -> bool:
    """Is it a file, maybe through links?"""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: str | Path) -> bool:
    """Is it a folder, maybe through links?"""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_stream(path: str | Path) -> bool:
    """Is it a pipe or a device, which is read or written from front to back only?"""
    mode = _mode(path)
    return mode is not None and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode))


def is_standard_output(url: str) -> bool:
    """Does an output of this name go to the standard output?"""
    return url in STDOUT or url.lower().startswith(SCHEME)


def is_sequence(url: str) -> bool:
    """Does an input of this name consist of pictures, a folder or numbered ones?"""
    path = Path(url)
    numbered = bool(NUMBER.search(path.name)) and path.suffix.lower() in SUFFIXES
    return is_folder(url) or (numbered and not is_regular(url))


def is_pictures(url: str) -> bool:
    """Does an output of this name consist of pictures? A folder's name ends with a slash; a WebP without a
    number is an animation."""
    path = Path(url)
    if url.endswith("/"):
        return True
    numbered = bool(NUMBER.search(path.name))
    return path.suffix.lower() in SUFFIXES and (numbered or path.suffix.lower() != ".webp")


def _mode(path: str | Path) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - Path of a name with a null byte is no Path
    except (OSError, ValueError):
        return None
