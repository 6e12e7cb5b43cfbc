"""Compile engines of live runs in a child process, because compilation holds the GIL for seconds and would
stall every frame. The child fills the cache, from which this process then opens the engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO

import msgspec

from streamstyle.children import package_environment
from streamstyle.engines.memory import engine_error
from streamstyle.engines.request import CompileOrder
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError, ModelError, StreamStyleError
from streamstyle.flow import Cancelled, Lock

NOTICE = "told"
"""A child says JSON objects, one in a line: this and a sentence, or an error's class and its message."""

_ERRORS: dict[str, type[StreamStyleError]] = {
    kind.__name__: kind for kind in (ConfigError, EngineError, EngineMemoryError, ModelError)
}
_COMMAND = (sys.executable, "-P", "-m", "streamstyle.pipeline.compile_child")


class Compiler:
    """Implements `EngineCompiler`: a child process for each order.

    notify: gets the messages of the child.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def compile(self, order: CompileOrder, what: str) -> None:
        """Wait for a child that compiles into the cache.

        what: name for messages. Raises the child's error: ConfigError, EngineError, EngineMemoryError,
        ModelError; and Cancelled.
        """
        failed: StreamStyleError | None = None
        with tempfile.TemporaryFile() as errors, self._compiling(order, errors) as child:
            assert child.stdout is not None
            for line in child.stdout:
                for word, sentence in msgspec.json.decode(line, type=dict[str, str]).items():
                    if word == NOTICE:
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
            why: Exception = RuntimeError(complaints[-1] if complaints else f"it ended with {code}")
            if sys.platform != "win32" and code == -signal.SIGKILL:
                why = MemoryError("it was killed, probably because memory ran out")
            raise engine_error(f"the process that compiles {what} has failed", why)

    def cancel(self) -> None:
        """End the child at once, and begin no other. From any thread."""
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                _kill(self._child)

    @contextmanager
    def _compiling(self, order: CompileOrder, errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        with self._lock:
            if self._cancelled:
                raise Cancelled
            try:
                child = self._child = subprocess.Popen(
                    [*_COMMAND, json.dumps(asdict(order)), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=package_environment(),
                    start_new_session=True,  # its own process group: its compilers are killed too
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


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill it with all that it has started; do nothing where it has ended."""
    if child.poll() is not None:
        return
    if sys.platform == "win32":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGKILL)
