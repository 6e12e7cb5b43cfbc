"""Storage of results: folders of this machine, and buckets of object stores.

Writes are atomic, by renaming in a folder and by one upload to a bucket, and replace an existing file.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from streamstyle.errors import ConfigError, SinkError
from streamstyle.files import make_folder, write_whole

BUCKETS = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""Schemes of object stores on which an upload that breaks off leaves nothing, and the package that fsspec
needs for each."""


class Storage(Protocol):
    """Files by their addresses: absolute paths, or URLs. All raise SinkError where the storage fails."""

    def read(self, address: str) -> bytes | None:
        """The content of a file; None if it does not exist."""

    def write(self, address: str, data: bytes) -> None:
        """Write a file whole or not at all, and the folders that it needs."""

    def size(self, address: str) -> int | None:
        """Bytes of a file; None if it does not exist."""

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; empty without the folder."""

    def remove(self, address: str) -> None:
        """Remove a file, if it exists."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, as far as possible."""

    def scratch(self, folder: str) -> AbstractContextManager[Path]:
        """A folder of this machine for large files that are then published in `folder`. The caller removes
        its files there."""

    def publish(self, path: Path, address: str) -> None:
        """Give a finished file of a scratch folder its address; the file is gone then."""

    def local(self, address: str) -> AbstractContextManager[Path]:
        """A path of this machine at which a file can be read inside the `with` block."""


def is_url(address: str) -> bool:
    """True for an address that is not a path of this machine."""
    return "://" in address


def parted(address: str) -> tuple[str, str]:
    """The folder of an address, and the name in it."""
    if is_url(address):
        folder, _, name = address.rpartition("/")
        return folder, name
    return str(Path(address).parent), Path(address).name


def storage_of(address: str) -> Storage:
    """The storage of an address. Raises ConfigError for an unknown scheme, and for one whose package is not
    installed."""
    if not is_url(address):
        return DISK
    scheme = urlsplit(address).scheme
    if scheme not in BUCKETS:
        raise ConfigError(
            f"nothing can be written to {scheme}://: name a folder, or a bucket by {', '.join(BUCKETS)}"
        )
    try:
        import fsspec  # noqa: PLC0415 - an extra

        # What others wrote meanwhile must be seen: so without its cache of listings.
        return BucketStorage(fsspec.filesystem(scheme, use_listings_cache=False))
    except ImportError as error:
        raise ConfigError(f"{scheme}:// needs {BUCKETS[scheme]}: pip install {BUCKETS[scheme]}") from error


class LocalStorage:
    """Implements `Storage` in folders of this machine."""

    def read(self, address: str) -> bytes | None:
        """See `Storage`."""
        try:
            return Path(address).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SinkError(f"cannot read {address}: {error.strerror}") from error

    def write(self, address: str, data: bytes) -> None:
        """See `Storage`."""
        make_folder(Path(address).parent)
        write_whole(Path(address), data)

    def size(self, address: str) -> int | None:
        """See `Storage`."""
        try:
            state = Path(address).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SinkError(f"cannot read {address}: {error.strerror}") from error
        return state.st_size if stat.S_ISREG(state.st_mode) else None

    def names(self, folder: str) -> list[str]:
        """See `Storage`."""
        try:
            return sorted(path.name for path in Path(folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise SinkError(f"cannot read {folder}: {error.strerror}") from error

    def remove(self, address: str) -> None:
        """See `Storage`."""
        try:
            Path(address).unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(f"cannot remove {address}: {error.strerror}") from error

    def remove_folder(self, folder: str) -> None:
        """See `Storage`."""
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:
        """See `Storage`. The folder itself, so that publishing is renaming."""
        make_folder(Path(folder))
        yield Path(folder)

    def publish(self, path: Path, address: str) -> None:
        """See `Storage`. A link is followed, and permissions stay."""
        target = Path(os.path.realpath(address))
        try:
            if target.exists():
                with suppress(OSError):
                    shutil.copymode(target, path)
            path.replace(target)
        except OSError as error:
            raise SinkError(f"cannot write {address}: {error.strerror}") from error

    @contextmanager
    def local(self, address: str) -> Iterator[Path]:
        """See `Storage`."""
        yield Path(address)


DISK = LocalStorage()


class BucketStorage:
    """Implements `Storage` by one of fsspec's file systems, on which an upload is whole or not there."""

    def __init__(self, filesystem: Any) -> None:
        """filesystem: of fsspec, without its cache of listings."""
        self._files = filesystem

    def read(self, address: str) -> bytes | None:
        """See `Storage`."""
        with suppress(FileNotFoundError), _storage_errors("read", address):
            return bytes(self._files.cat_file(address))
        return None

    def write(self, address: str, data: bytes) -> None:
        """See `Storage`."""
        with _storage_errors("write", address, missing=True):
            self._files.pipe_file(address, data)

    def size(self, address: str) -> int | None:
        """See `Storage`."""
        with suppress(FileNotFoundError), _storage_errors("read", address):
            return int(self._files.size(address))
        return None

    def names(self, folder: str) -> list[str]:
        """See `Storage`."""
        with suppress(FileNotFoundError), _storage_errors("read", folder):
            found = self._files.find(folder, maxdepth=1)
            return sorted(str(path).rpartition("/")[2] for path in found)
        return []

    def remove(self, address: str) -> None:
        """See `Storage`."""
        with suppress(FileNotFoundError), _storage_errors("remove", address):
            self._files.rm_file(address)  # never by patterns, as `rm` takes them: names hold anything

    def remove_folder(self, folder: str) -> None:
        """See `Storage`."""
        with suppress(SinkError, FileNotFoundError), _storage_errors("remove", folder):
            for path in self._files.find(folder):
                self._files.rm_file(path)

    @contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:  # noqa: ARG002 - as in the protocol
        """See `Storage`. In the system's folder for temporary files."""
        with tempfile.TemporaryDirectory(prefix="streamstyle-") as made:
            yield Path(made)

    def publish(self, path: Path, address: str) -> None:
        """See `Storage`."""
        with _storage_errors("write", address, missing=True):
            self._files.put_file(str(path), address)
        path.unlink()

    @contextmanager
    def local(self, address: str) -> Iterator[Path]:
        """See `Storage`. A copy."""
        with self.scratch("") as folder:
            copy = folder / address.rpartition("/")[2]
            with _storage_errors("read", address, missing=True):
                self._files.get_file(address, str(copy))
            yield copy


@contextmanager
def _storage_errors(what: str, address: str, *, missing: bool = False) -> Iterator[None]:
    """Raise SinkError for all that goes wrong; FileNotFoundError for a missing file, unless `missing`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, FileNotFoundError) and not missing:
            raise
        cause = " ".join(str(error).split()) or type(error).__name__
        raise SinkError(f"cannot {what} {address}: {cause}") from error
