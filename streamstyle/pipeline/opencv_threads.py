"""OpenCV's own threads, off while frames are processed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from streamstyle.flow import Lock

_lock = Lock()
_runs = 0
_before = 0


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV on the calling thread inside the `with` block, in the whole process.

    Its own threads wait for the cores that the engine keeps busy: 40 ms stalls in a 4 ms call. Blocks may
    overlap in several threads; the last one to end restores the number of threads.
    """
    global _runs, _before  # noqa: PLW0603 - OpenCV's setting is one for the process, and so is this count
    with _lock:
        if not _runs:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _runs += 1
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if not _runs:
                cv2.setNumThreads(_before)
