"""Cache of compiled engines: private, verified, bounded in size.

KEY.engine   the file that the engine's library exported
KEY.json     everything that it depends on, and the SHA-256 of KEY.engine
KEY.lock     held by the process that compiles it

KEY is the SHA-256 of what the engine depends on. An entry that does not match its key or its hash, or that
the library refuses, is removed and compiled again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from streamstyle.errors import EngineError, SinkError
from streamstyle.files import write_whole

Compiled = TypeVar("Compiled")

MAX_BYTES = 1 << 30  # bytes of all entries
_FORMAT = 1
_LOCK_TIMEOUT = 900.0  # seconds to wait for another process that compiles the same
_STALE_SECONDS = 3600.0  # seconds after which a file without a manifest is abandoned


@dataclass(frozen=True)
class Recipe(Generic[Compiled]):
    """The way to get an engine."""

    what: str
    """Name for people, such as "lite for 640x360"."""
    key: Mapping[str, Any]
    """JSON values: everything that the compiled engine depends on."""
    compile: Callable[[], Compiled]
    """Compiles the engine; takes seconds to minutes."""
    export: Callable[[Compiled], bytes]
    """Turns the engine into bytes."""
    load: Callable[[bytes], Compiled]
    """Turns these bytes into the engine. Raises EngineError."""


class EngineManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest beside an engine."""

    format: int
    """Version of the format."""
    what: str
    """See `Recipe`."""
    key: dict[str, Any]
    """See `Recipe`."""
    sha256: str
    """Digest of the engine, in hexadecimal."""
    size: int
    """Size of the engine in bytes."""


def cache_folder() -> Path:
    """Folder below $STREAMSTYLE_CACHE, or the platform's folder for caches."""
    chosen = os.environ.get("STREAMSTYLE_CACHE")
    root = Path(chosen) if chosen else user_cache_path("streamstyle", appauthor=False)
    return root / "engines"


def weights_hash(weights: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 of named tensors: names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {tensor.dtype} {weights[name].shape};".encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def source_hash(*paths: Path) -> str:
    """The version of a graph: SHA-256 of the source files that define it, or the program's version, if a
    package has no sources."""
    digest = hashlib.sha256()
    try:
        for path in paths:
            digest.update(path.read_bytes())
    except OSError:
        from importlib.metadata import version

        return version("streamstyle")
    return digest.hexdigest()


class EngineCache:
    """A folder of compiled engines that several processes may use at once.

    folder: made with mode 0700 when the first engine is stored. notify: called with a sentence when an engine
    is compiled, and for trouble with the folder; not called on a cache hit. compile_in_child: compiles
    `Recipe.what` into the same folder in another process, and raises the errors of compiling; without it, and
    if the folder cannot be used, this process compiles. largest: bytes; the least recently used engines are
    removed first. lock_timeout: seconds."""

    def __init__(
        self,
        folder: Path,
        notify: Callable[[str], None] = lambda _: None,
        *,
        compile_in_child: Callable[[str], None] | None = None,
        largest: int = MAX_BYTES,
        lock_timeout: float = _LOCK_TIMEOUT,
    ) -> None:
        self.folder = folder
        self._notify = notify
        self._compile_in_child = compile_in_child
        self._largest = largest
        self._lock_timeout = lock_timeout

    def get(self, recipe: Recipe[Compiled]) -> Compiled:
        """The cached engine, or a new one, which is then cached if possible.

        Raises the errors of compiling, never those of the folder.
        """
        name = _digest(recipe.key)
        with ExitStack() as stack:
            try:
                _make_private(self.folder)
                kept = self._read(name, recipe)
                if kept is None and self._compile_in_child is not None:
                    self._lock_path(name).open("ab").close()  # if nothing can be cached, this fails
                    self._compile_in_child(recipe.what)
                    kept = self._read(name, recipe)
                if kept is None:
                    stack.enter_context(self._locked(name, recipe.what))
            except OSError as error:
                self._notify(f"compiled engines cannot be kept in {self.folder}: {error.strerror or error}")
                return self._compile(recipe)
            # Another process may have compiled it while this one waited for the lock.
            kept = self._read(name, recipe, remove=True) if kept is None else kept
            if kept is not None:
                return kept
            compiled = self._compile(recipe)
            self._store(name, recipe, compiled)
            return compiled

    def find(self, recipe: Recipe[Compiled]) -> Compiled | None:
        """The cached engine; None on a cache miss, or if the folder cannot be trusted. Takes milliseconds."""
        with suppress(OSError):
            _check_private(self.folder)
            return self._read(_digest(recipe.key), recipe)
        return None

    def keep(self, recipe: Recipe[Compiled], compiled: Compiled) -> None:
        """Cache an engine, replacing the old one, if possible."""
        try:
            _make_private(self.folder)
        except OSError as error:
            self._notify(f"{recipe.what} cannot be kept in {self.folder}: {error.strerror or error}")
        else:
            self._store(_digest(recipe.key), recipe, compiled)

    def manifests(self) -> list[EngineManifest]:
        """Manifests of all entries, the last used first; unreadable ones are left out."""
        found = []
        for path in sorted(self.folder.glob("*.json"), key=_used, reverse=True):
            with suppress(OSError, ValueError):
                found.append(msgspec.json.decode(path.read_bytes(), type=EngineManifest))
        return found

    def clear(self) -> None:
        """Remove everything that is kept. Raises EngineError."""
        try:
            for path in [p for s in ("engine", "json", "lock", "part") for p in self.folder.glob(f"*.{s}")]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise EngineError(f"cannot clear {self.folder}: {error.strerror}") from error

    def _compile(self, recipe: Recipe[Compiled]) -> Compiled:
        stalling = "" if self._compile_in_child is None else "in this process, so frames may stall, "
        self._notify(f"compiling {recipe.what}, {stalling}once ...")
        started = time.monotonic()
        compiled = recipe.compile()
        self._notify(f"compiled {recipe.what} in {time.monotonic() - started:.1f} s")
        return compiled

    def _read(self, name: str, recipe: Recipe[Compiled], *, remove: bool = False) -> Compiled | None:
        """The cached engine; None if the entry is missing or wrong. remove: remove a wrong entry."""
        manifest_path, engine_path = self._paths(name)
        try:
            manifest = msgspec.json.decode(manifest_path.read_bytes(), type=EngineManifest)
            data = engine_path.read_bytes()
            if manifest.format != _FORMAT or _digest(manifest.key) != name:
                raise EngineError("it was made for something else")
            if hashlib.sha256(data).hexdigest() != manifest.sha256:
                raise EngineError("it is damaged")
            kept = recipe.load(data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EngineError) as error:  # ValueError: msgspec's errors, no UTF-8
            if remove:
                self._notify(f"the kept engine of {recipe.what} is refused and compiled again: {error}")
                self._remove(name)
            return None
        with suppress(OSError):
            os.utime(manifest_path)  # used now
        return kept

    @contextmanager
    def _locked(self, name: str, what: str) -> Iterator[None]:
        """Hold the lock of an entry. The system takes it from a process that dies; one that hangs is not
        waited for longer than `lock_timeout`, and two may then write: each writes whole files."""
        from filelock import FileLock, Timeout  # takes longer to import than to find a kept engine

        lock = FileLock(self._lock_path(name))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._notify(f"another process compiles {what}, waiting for it ...")
            with suppress(Timeout):
                lock.acquire(timeout=self._lock_timeout)
        except NotImplementedError as error:
            raise OSError("its file system has no locks") from error
        try:
            yield
        finally:
            lock.release()

    def _store(self, name: str, recipe: Recipe[Compiled], compiled: Compiled) -> None:
        manifest_path, engine_path = self._paths(name)
        try:
            data = recipe.export(compiled)
            sha256 = hashlib.sha256(data).hexdigest()
            manifest = EngineManifest(_FORMAT, recipe.what, dict(recipe.key), sha256, len(data))
            # An engine is code: other users must not write it, with any umask.
            write_whole(engine_path, data, mode=0o600)
            write_whole(manifest_path, msgspec.json.format(msgspec.json.encode(manifest)), mode=0o600)
            self._trim(name)
        except (OSError, SinkError, RuntimeError) as error:  # RuntimeError: the library cannot export
            self._notify(f"the engine is not kept in {self.folder}: {error}")

    def _trim(self, newest: str) -> None:
        """Remove the least recently used engines until the rest fits, and incomplete files."""
        for path in [*self.folder.glob("*.part"), *self.folder.glob("*.engine")]:
            if not path.with_suffix(".json").exists() and _used(path) < time.time() - _STALE_SECONDS:
                path.unlink(missing_ok=True)
        names = [path.stem for path in sorted(self.folder.glob("*.json"), key=_used) if path.stem != newest]
        total = sum(path.stat().st_size for path in self.folder.iterdir())
        for name in names:
            if total <= self._largest:
                return
            total -= sum(path.stat().st_size for path in self._paths(name) if path.exists())
            self._remove(name)

    def _remove(self, name: str) -> None:
        for path in self._paths(name):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _lock_path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.json", self.folder / f"{name}.engine"


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _used(path: Path) -> float:
    """The time when a file was last used, seconds since 1970; 0 where another process has just removed it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _make_private(folder: Path) -> None:
    """Make the folder, and the one around it; raise OSError where that fails, or others may write into it: an
    engine is code."""
    for made in (folder.parent, folder):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(folder)


def _check_private(folder: Path) -> None:
    """Raise OSError if the folder does not exist, or other users may write to it."""
    if sys.platform != "win32":
        status = folder.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise OSError("other users can write to it: make it private with chmod 700")
