"""Shared memory for pictures, used by several programs of one user: a file in memory, cut into slots.

One writer fills slot after slot; a message gives place and serial number of a picture. Each slot begins with
the serial number of its content, 0 while it is being written. A reader copies the picture, then reads the
number again: if it changed, the picture was overwritten and is discarded, never shown mixed.

A slot is marked as unwritten one picture before its turn. Between mark and writing a message is sent, which
orders both on processors that do not keep the order of writes.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import SinkError, SourceError
from streamstyle.media.wire import RingSlot

SLOTS = 4
"""Few, so that a slot is still in the processor's cache when its turn comes again. About as many pictures
wait for a reader over a socket."""
_HEAD = 64  # bytes before the picture: one cache line for the serial number
_PAGE = mmap.PAGESIZE


def ring_folder() -> Path:
    """A folder in memory, if the system has one; else the folder of temporary files."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


def ring_family(owner: Path) -> str:
    """The beginning of the file names of a publisher's rings; owner: path of its socket."""
    return f"streamstyle-{hashlib.sha256(os.fsencode(owner.resolve())).hexdigest()[:16]}-"


class RingWriter:
    """Writes pictures of up to `size` bytes into a new ring; `close` removes it.

    owner: path of the publisher's socket, which no other program uses; rings that a killed publisher left
    there are removed. Raises SinkError if there is no memory.
    """

    def __init__(self, owner: Path, size: int) -> None:
        self.size = size
        self._step = -(-(_HEAD + size) // _PAGE) * _PAGE
        self._serial = 0
        family = ring_family(owner)
        for left in ring_folder().glob(f"{family}*.ring"):
            with suppress(OSError):
                left.unlink()
        self._path = ring_folder() / f"{family}{secrets.token_hex(8)}.ring"
        self._map = self._create(self._step * SLOTS)
        self._bytes = np.frombuffer(self._map, np.uint8)

    def _create(self, total: int) -> mmap.mmap:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(
                        file, 0, total
                    )  # full memory raises an error now, instead of a signal later
                else:
                    os.ftruncate(file, total)
                return mmap.mmap(file, total)
            finally:
                os.close(file)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise SinkError(
                f"no {total / 1e6:.0f} MB of shared memory in {ring_folder()}: {error.strerror}; "
                f"free some, or publish over zmq+ipc://."
            ) from error

    def begin(self, size: int) -> tuple[NDArray[np.uint8], RingSlot]:
        """Memory for a picture of so many bytes, to be filled at once, and its place; then call `commit`."""
        self._serial += 1
        offset = self._serial % SLOTS * self._step
        self._mark(offset, 0)
        start = offset + _HEAD
        return self._bytes[start : start + size], RingSlot(self._path.name, offset, size, self._serial)

    def commit(self, slot: RingSlot) -> None:
        """Publish the complete picture. Readers lose the picture in the next slot."""
        self._mark(slot.offset, slot.serial)
        self._mark((slot.serial + 1) % SLOTS * self._step, 0)

    def _mark(self, offset: int, serial: int) -> None:
        self._bytes[offset : offset + 8].view(np.uint64)[0] = serial

    def close(self) -> None:
        """Remove the ring. Readers keep what they have mapped."""
        self._path.unlink(missing_ok=True)
        self._bytes = np.empty(0, np.uint8)
        with suppress(BufferError):  # a picture that is still looked at frees it later
            self._map.close()


class RingReader:
    """Reads pictures from the rings of one publisher."""

    def __init__(self) -> None:
        self._name = ""
        self._bytes = np.empty(0, np.uint8)

    def read(self, slot: RingSlot) -> NDArray[np.uint8] | None:
        """A copy of the picture's bytes; None if a later picture has replaced it.

        Raises SourceError if there is no such ring, or no such slot in it.
        """
        if slot.ring != self._name and not self._open(slot.ring):
            return None
        start = slot.offset + _HEAD
        if slot.offset % 8 or start + slot.bytes > len(self._bytes):
            raise SourceError(f"the shared memory {slot.ring} has no picture at {slot.offset}.")
        if self._serial(slot.offset) != slot.serial:
            return None
        picture = self._bytes[start : start + slot.bytes].copy()
        return picture if self._serial(slot.offset) == slot.serial else None

    def _serial(self, offset: int) -> int:
        return int(self._bytes[offset : offset + 8].view(np.uint64)[0])

    def _open(self, name: str) -> bool:
        """Map the ring; False if its publisher has replaced or removed it since."""
        path = ring_folder() / name
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SourceError(f"cannot read the shared memory {path}: {error.strerror}.") from error
        try:
            self._bytes = np.frombuffer(mmap.mmap(file, 0, access=mmap.ACCESS_READ), np.uint8)
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot map the shared memory {path}: {error}.") from error
        finally:
            os.close(file)
        self._name = name
        return True
