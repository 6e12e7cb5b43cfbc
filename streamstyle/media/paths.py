"""What a path names. Unlike pathlib's questions these never raise: a name that is too long, or lies in a
folder that may not be entered, names nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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


def _mode(path: str | Path) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - Path of a name with a null byte is no Path
    except (OSError, ValueError):
        return None
