"""Undoes what a library does to the priority of threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def real_time_threads() -> set[int]:
    """Threads of this process that run before all others of the machine (Linux, by their ids)."""
    if sys.platform != "linux":
        return set()
    found = set[int]()
    for entry in Path("/proc/self/task").iterdir():
        thread = int(entry.name)
        with suppress(ProcessLookupError):
            if os.sched_getscheduler(thread) in {os.SCHED_FIFO, os.SCHED_RR}:
                found.add(thread)
    return found


@contextmanager
def priority_kept() -> Iterator[None]:
    """Give the calling thread, and those that begin meanwhile, the priority that it has now.

    SVT-AV1, opened by root as in most containers, gives its threads and the calling one real-time priority,
    and whatever that starts later inherits it: nothing else on the machine would get a processor.
    """
    if sys.platform != "linux":
        yield
        return
    before, policy, parameters = real_time_threads(), os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in real_time_threads() - before:
            with suppress(ProcessLookupError):
                os.sched_setscheduler(thread, policy, parameters)
