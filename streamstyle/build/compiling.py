"""Engines of live runs are compiled by a child process: what compiles holds the GIL for seconds, and with it
every frame. The child fills the cache, from which the engine is then opened here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import msgspec

from streamstyle.config import RunConfig
from streamstyle.engines.memory import engine_error
from streamstyle.engines.open import PRECISIONS
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError, ModelError, StreamStyleError
from streamstyle.flow import Cancelled, Lock

TOLD = "told"
"""A child says JSON objects, one in a line: this and a sentence, or an error's class and its message."""

_ERRORS: dict[str, type[StreamStyleError]] = {
    kind.__name__: kind for kind in (ConfigError, EngineError, EngineMemoryError, ModelError)
}
_COMMAND = (sys.executable, "-P", "-m", "streamstyle.build.compile_child")
_PACKAGES = Path(__file__).parents[2]
_SETTINGS = ("network", "style", "strength")


@dataclass(frozen=True)
class Order:
    """What a child compiles. settings: of `RunConfig`. parent: the process that it must not outlive."""

    settings: dict[str, str | float]
    height: int
    width: int
    parent: int


class Compiler:
    """Compiles what one call that opens an engine needs, a child process for each.

    notify: told what the child tells.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The body, on this thread, has its engines compiled here: `aside` gives the way."""
        token = _SERVING.set(self)
        try:
            yield
        finally:
            _SERVING.reset(token)

    def compile(self, order: Order, what: str) -> None:
        """Wait for a child that compiles into the cache. what: for people.

        Raises what it raised: ConfigError, EngineError, EngineMemoryError, ModelError; and Cancelled.
        """
        failed: StreamStyleError | None = None
        with tempfile.TemporaryFile() as errors, self._compiling(order, errors) as child:
            assert child.stdout is not None
            for line in child.stdout:
                for word, sentence in msgspec.json.decode(line, type=dict[str, str]).items():
                    if word == TOLD:
                        self._notify(sentence)
                    else:
                        failed = _ERRORS[word](sentence)
            code = child.wait()
            errors.seek(0)
            complaints = errors.read().decode(errors="replace").splitlines()
        if self._cancelled:
            raise Cancelled
        if failed is not None:
            raise failed
        if code:
            why = complaints[-1] if complaints else f"it ended with {code}"
            if sys.platform != "win32" and code == -signal.SIGKILL:
                why = "it was killed, as systems do that are out of memory"
            raise engine_error(f"the process that compiles {what} failed", RuntimeError(why))

    def cancel(self) -> None:
        """End the child at once, and begin no other. From any thread."""
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                _kill(self._child)

    @contextmanager
    def _compiling(self, order: Order, errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        paths = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH", ""))))
        with self._lock:
            if self._cancelled:
                raise Cancelled
            try:
                child = self._child = subprocess.Popen(
                    [*_COMMAND, json.dumps(asdict(order))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=os.environ | {"PYTHONPATH": paths},
                    start_new_session=True,  # a group of its own: compilers it starts are killed with it
                )
            except OSError as error:
                raise engine_error("no process can be started to compile the engine", error) from error
        try:
            with child:
                try:
                    yield child
                finally:
                    _kill(child)
        finally:
            with self._lock:
                self._child = None


_SERVING: ContextVar[Compiler | None] = ContextVar("compiler", default=None)
"""Of the thread that opens an engine for a live run; else None."""


def aside(config: RunConfig, height: int, width: int, *, stateful: bool) -> Callable[[str, str], None] | None:
    """What compiles the engine of a name into the cache, see `open_engine`; None where a thread may take all
    the time it needs."""
    compiler = _SERVING.get()
    if compiler is None:
        return None

    def compile_(engine: str, what: str) -> None:
        settings = {name: getattr(config, name) for name in _SETTINGS}
        settings |= {} if config.region is None else {"region": config.region}
        settings |= {"engine": engine, "consistency": float(stateful)}
        settings |= {"precision": config.precision if engine in PRECISIONS else "auto"}
        compiler.compile(Order(settings, height, width, os.getpid()), what)

    return compile_


def _kill(child: subprocess.Popen[bytes]) -> None:
    """With all that it has started; does nothing where it has ended."""
    if child.poll() is not None:
        return
    if sys.platform == "win32":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGKILL)
