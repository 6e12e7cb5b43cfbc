"""List the resources of a process, to find leaks (Linux)."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import NamedTuple


class HeldResources(NamedTuple):
    """threads: of Python. native_threads: all. descriptors: open files. children: of the process."""

    threads: int
    native_threads: int
    descriptors: int
    children: int

    def since(self, before: HeldResources) -> dict[str, int]:
        """The increase of each since before."""
        return {name: now - then for name, now, then in zip(self._fields, self, before, strict=True)}


def held() -> HeldResources:
    """Threads, descriptors and children of this process now, except those that nothing refers to any more."""
    gc.collect()
    tasks = list(Path("/proc/self/task").iterdir())
    children = sum(len((task / "children").read_text().split()) for task in tasks)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return HeldResources(threading.active_count(), len(tasks), descriptors, children)
