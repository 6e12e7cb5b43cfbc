"""A subscriber in a separate process, for measurements: logs the arrival of pictures.

python3 tools/subscriber.py URL FILE    one JSON line for each picture that comes, until killed
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import environment


class Arrival(NamedTuple):
    """A picture at the subscriber.

    at: `time.monotonic()`, which processes of one machine share. captured: the same of its capture; a
    stand-in has that of the picture it repeats. age: seconds since then. frame_index, seq, time: see
    `streamstyle.media.wire.Header`; time in seconds.
    """

    at: float
    captured: float
    age: float
    frame_index: int
    seq: int
    time: float
    style: str


class Subscriber:
    """The child, inside the `with` block. came: all that came so far."""

    def __init__(self, url: str, file: Path) -> None:
        self._command = [sys.executable, str(Path(__file__)), f"{url}?timeout=600", str(file)]
        self._file = file
        self._read = 0
        self.came: list[Arrival] = []

    def __enter__(self) -> Self:
        self._file.touch()
        self._child = subprocess.Popen(self._command)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.wait()
        self.look()

    def look(self) -> list[Arrival]:
        """All entries so far."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if line.endswith(b"\n"):
                    self._read += len(line)
                    self.came.append(Arrival(*json.loads(line)))
        return self.came

    @property
    def over(self) -> bool:
        """True if the child has ended."""
        return self._child.poll() is not None


def longest_gap(came: Sequence[Arrival]) -> float:
    """Seconds between two that came one after the other, at most."""
    return max((b.at - a.at for a, b in pairwise(came)), default=0.0)


def went_back(came: Sequence[Arrival]) -> int:
    """The number of times that a time stamp was not later than the one before."""
    return sum(b.time <= a.time for a, b in pairwise(came))


def missed(came: Sequence[Arrival]) -> int:
    """The number of pictures that were published between those that came."""
    return sum(max(b.seq - a.seq - 1, 0) for a, b in pairwise(came))


def main() -> int:
    """Subscribe."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("file", type=Path, metavar="FILE")
    asked = parser.parse_args()
    from streamstyle.client import Received, subscribe

    with asked.file.open("a", buffering=1) as file:
        for frame in subscribe(asked.url, latest=False):
            if isinstance(frame, Received) and not frame.header.again:
                now, header = time.monotonic(), frame.header
                captured = now - time.time() + header.captured_at
                came = Arrival(
                    *(now, captured, frame.age, header.index, header.seq or 0),
                    *(frame.time or 0.0, header.style),
                )
                file.write(json.dumps(came) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
