"""A style of a picture that was dropped on the page: decoded and trained in child processes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from streamstyle.children import killed_with_parent, package_environment
from streamstyle.errors import ConfigError
from streamstyle.flow import Future, Lock
from streamstyle.web.decode_child import CPU_SECONDS

NICENESS = 5
"""Niceness of a training. Where a run takes all it can get, Linux gives the training a quarter of that
processor time: each step of niceness is worth a factor of 1.25, so 1 / (1 + 1.25^5). What the run leaves it
has besides."""

STYLE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

_DECODE_TIMEOUT = 3.0 * CPU_SECONDS
_PROGRESS = re.compile(r"^(\d+)/(\d+) ")


def decode_upload(data: bytes) -> bytes:
    """An upload as a PNG file, decoded by a child process with little memory and time. Raises ConfigError."""
    command = killed_with_parent([sys.executable, "-m", "streamstyle.web.decode_child"])
    try:
        child = subprocess.run(
            command, input=data, capture_output=True, timeout=_DECODE_TIMEOUT, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError("the picture takes too long to decode: use another one") from error
    if child.returncode:
        raise ConfigError(
            "the file is not a JPEG, PNG or WebP picture of up to 50 megapixels: use another one"
        )
    return child.stdout


def low_priority() -> list[str]:
    """The command prefix that lowers the priority of a training, so that frames get most of the processor.
    Empty where the system has no `nice`."""
    return ["nice", "-n", str(NICENESS)] if shutil.which("nice") else []


class Training:
    """Trains one style at a time. state: "idle", "running", "done" or "failed"."""

    def __init__(self, *, steps: int | None = None) -> None:
        """steps: of the training, None for its default."""
        self._steps = steps
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None
        self._work: Future[None] | None = None
        self._state: dict[str, Any] = {"state": "idle", "name": "", "step": 0, "steps": 0, "why": None}

    def start(self, upload: bytes, name: str, network: str) -> dict[str, Any]:
        """Decode the picture and begin to train; returns how it stands. Raises ConfigError."""
        if not STYLE_NAME.fullmatch(name):
            raise ConfigError("a style is named with a-z, 0-9 and -, up to 40 of them")
        if self._state["state"] == "running":
            raise ConfigError(f"the style {self._state['name']} is being trained: wait for it")
        picture = decode_upload(upload)
        with self._lock:
            self._state = {"state": "running", "name": name, "step": 0, "steps": 0, "why": None}
            self._work = Future(lambda: self._train(picture, name, network), "training")
        return self.to_json()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self._state)

    def close(self) -> None:
        """End the current training."""
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def _train(self, picture: bytes, name: str, network: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            path.write_bytes(picture)
            options = ["train", "--style", str(path), "--name", name, "--network", network]
            options += [] if self._steps is None else ["--steps", str(self._steps)]
            command = [*low_priority(), sys.executable, "-m", "streamstyle", *options]
            with self._lock:
                self._child = subprocess.Popen(
                    killed_with_parent(command),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=_environment(),
                )
            with self._child as child:
                last_line = self._follow(child)
                code = child.wait()
        why = last_line.removeprefix("streamstyle: ") or f"the training ended with {code}"
        self._state = {**self._state, "state": "failed" if code else "done", "why": why if code else None}

    def _follow(self, child: subprocess.Popen[str]) -> str:
        last_line = ""
        assert child.stderr is not None
        for line in child.stderr:
            progress = _PROGRESS.match(line)
            if progress:
                self._state = {**self._state, "step": int(progress[1]), "steps": int(progress[2])}
            else:
                last_line = line.strip()
        return last_line


def _environment() -> dict[str, str]:
    return package_environment() | {"OPENBLAS_NUM_THREADS": "1"}
