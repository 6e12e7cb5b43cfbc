"""One run at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamstyle.engines.cache import try_lock
from streamstyle.errors import ConfigError, SinkError


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file `path` inside the `with` block; the system frees it where this process dies. Raises
    ConfigError where another one holds it, SinkError where it cannot be made."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from error
    with file:
        if not try_lock(file):
            raise ConfigError(f"another run is at work in {path.parent}: wait for it, or stop it")
        yield
