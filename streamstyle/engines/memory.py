"""Check for the memory of an engine of a frame size, before it is opened, where the system states it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from streamstyle.errors import EngineError, EngineMemoryError

BYTES_PER_PIXEL = 250
"""Memory of an engine with two frames in flight; measured 140 (lite) and 180 (full) with OpenVINO."""

BYTES_TO_COMPILE = 400 << 20
"""Memory of the libraries that compile, for any frame size."""

_SIGNS = ("out of memory", "bad_alloc", "bad alloc", "cannot allocate", "not enough memory")

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int | None:
    """Memory that this process may still take; None where the system does not state it."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        line = next((line for line in lines if line.startswith("MemAvailable:")), "")
        found.append(int(line.split()[1]) << 10)
    with suppress(OSError, ValueError):  # "max" if the group has no limit
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((_CGROUP / "memory.current").read_text(encoding="ascii")))
    return min(found, default=None)


def check_memory(height: int, width: int) -> None:
    """Raise EngineMemoryError where frames of this size cannot fit into the machine's memory."""
    needed = height * width * BYTES_PER_PIXEL + BYTES_TO_COMPILE
    available = available_bytes()
    if available is not None and needed > available:
        raise EngineMemoryError(
            f"painting {width}x{height} takes about {needed >> 20} MB of memory and "
            f"{max(available, 0) >> 20} MB are free: choose a smaller --size, or close other programs"
        )


def engine_error(what: str, error: Exception) -> EngineError:
    """A library's error as an EngineError; as an EngineMemoryError where it says that memory ran out."""
    text = str(error)
    lacks = isinstance(error, MemoryError) or any(sign in text.lower() for sign in _SIGNS)
    return (EngineMemoryError if lacks else EngineError)(f"{what}: {text or 'out of memory'}")
