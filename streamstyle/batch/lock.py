"""One run at a time in a folder, as far as can be said: buckets have no locks."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from streamstyle.batch.storage import is_url
from streamstyle.errors import ConfigError, SinkError


def lock_of(folder: str) -> Path:
    """The lock file of a folder; of a bucket one in this machine's folder for temporary files, which keeps
    other machines from nothing."""
    if not is_url(folder):
        return Path(folder) / "lock"
    name = hashlib.sha256(folder.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"streamstyle-{name}.lock"


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` inside the `with` block; the system frees it where this process dies. Raises
    ConfigError where another one holds it, SinkError where it cannot be made."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"another run is using {path.parent}: wait for it, or stop it") from error
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from error
    except NotImplementedError as error:
        raise SinkError(f"cannot lock {path}: its file system has no locks") from error
    try:
        yield
    finally:
        lock.release()
