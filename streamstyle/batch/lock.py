"""One run at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from streamstyle.errors import ConfigError, SinkError


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file `path` inside the `with` block; the system frees it where this process dies. Raises
    ConfigError where another one holds it, SinkError where it cannot be made."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"another run is at work in {path.parent}: wait for it, or stop it") from error
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from error
    except NotImplementedError as error:
        raise SinkError(f"cannot lock {path}: its file system has no locks") from error
    try:
        yield
    finally:
        lock.release()
