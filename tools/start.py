"""Milliseconds from the start of the program to the first frame at a subscriber, and to the first painted.

python3 tools/start.py [--runs 5] [--source URL] [--package FOLDER]...

Each run is `streamstyle run SOURCE zmq+ipc://...`, after one more that fills the cache of engines and a
folder for Python's bytecode, as the first start of an installed program does.
Several --package, each a folder that holds a `streamstyle`, take turns: figures of one call can be compared.
Medians of the runs are printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import environment

SOURCE = "test:?live=1&size=640x360&rate=30"
WAIT_TIMEOUT = 600.0
"""Seconds: an engine may be compiled."""


def main() -> int:
    """Measure, taking turns."""
    environment.enter()
    from streamstyle.engines.machine import facts

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source", default=SOURCE, help=f"default {SOURCE}")
    parser.add_argument("--package", type=Path, action="append", help="default: the one beside this tool")
    given = parser.parse_args()
    packages: list[Path] = given.package or [environment.ROOT]
    seen: dict[Path, list[tuple[float, float]]] = {package: [] for package in packages}
    with tempfile.TemporaryDirectory() as bytecode:
        for package in packages:
            started(package, given.source, bytecode)
        for _ in range(given.runs):
            for package in packages:
                seen[package].append(started(package, given.source, bytecode))
    figures = {
        str(package): {
            "passed_ms": round(1e3 * statistics.median(passed for passed, _ in runs)),
            "painted_ms": round(1e3 * statistics.median(painted for _, painted in runs)),
        }
        for package, runs in seen.items()
    }
    print(json.dumps({**facts(), "source": given.source, "runs": given.runs, "start": figures}))
    return 0


def started(package: Path, source: str, bytecode: str) -> tuple[float, float]:
    """Seconds from the start of one run to its first frame here, and to its first painted frame here."""
    import zmq

    with (
        tempfile.TemporaryDirectory() as folder,
        zmq.Context[zmq.Socket[bytes]]() as context,
        context.socket(zmq.SUB) as socket,
    ):
        # A peer that connects before the other listens tries again; by default after 100 ms.
        socket.setsockopt(zmq.RECONNECT_IVL, 1)
        socket.subscribe('{"topic":"frame"')
        socket.connect(f"ipc://{folder}/frames")
        command = [sys.executable, "-m", "streamstyle", "run", source, f"zmq+ipc://{folder}/frames"]
        environ = {**os.environ, "PYTHONPATH": str(package.resolve()), "PYTHONPYCACHEPREFIX": bytecode}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        began, passed = time.monotonic(), None
        run = subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            while time.monotonic() < began + WAIT_TIMEOUT and run.poll() is None:
                if socket.poll(100):
                    header = json.loads(socket.recv_multipart()[0])
                    at = time.monotonic() - began
                    passed = passed or at
                    if header["style"]:
                        return passed, at
        finally:
            run.terminate()
            run.wait()
    sys.exit("no painted frame came")


if __name__ == "__main__":
    sys.exit(main())
