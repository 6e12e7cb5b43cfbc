"""A control room in a separate process, and a browser that shows it; for other tools."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

CHROMIUM = "/usr/bin/chromium"
"""tools/live_peers.py installs it."""

WAIT_TIMEOUT = 600.0
"""Seconds: an engine may be compiled, and a browser may start slowly."""


@dataclass(frozen=True)
class ServedRoom:
    """A control room that answers."""

    pid: int
    """The process of `serve`."""
    address: str
    """The address of its page, with the token."""


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[ServedRoom]:
    """`streamstyle serve ARGUMENTS`, which writes into this folder alone, and is killed at the end."""
    command = [sys.executable, "-m", "streamstyle", "serve", "--address", "127.0.0.1:0", *arguments]
    home = {name: str(folder / name) for name in ("STREAMSTYLE_HOME", "STREAMSTYLE_CACHE")}
    environ = os.environ | home | {"PYTHONPATH": str(environment.ROOT), "PYTHONUNBUFFERED": "1"}
    environ |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, cwd=folder) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().rpartition(" ")[2].strip()
            if not address:
                raise SystemExit("the control room did not start")
            yield ServedRoom(server.pid, address)
        finally:
            server.kill()


@contextmanager
def browser(**view: Any) -> Iterator[BrowserContext]:
    """Chromium without a window. view: options of its pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = chromium.new_context(**view)
        context.set_default_timeout(1000 * WAIT_TIMEOUT)
        yield context
        chromium.close()


def processor_time(pid: int) -> float:
    """Seconds of all threads of a process and of its children, ended or not (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    spent = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        spent += sum(processor_time(int(child)) for child in task.read_text().split())
    return spent
