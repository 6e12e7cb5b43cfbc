"""Measuring processes that take turns, so that a disturbance of the machine affects all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import msgspec

from streamstyle.bench.speed import Failure, Ready, Round, Task
from streamstyle.errors import StreamStyleError

_ANSWERS: dict[str, type[Ready | Failure | Round]] = {kind.__name__: kind for kind in (Ready, Failure, Round)}


class BenchError(StreamStyleError):
    """A measurement did not come to its end."""


class Child:
    """A running `streamstyle.bench.speed_child`; a context manager."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._errors = TemporaryFile()  # noqa: SIM115 - closed in __exit__
        command = [sys.executable, "-m", "streamstyle.bench.speed_child", msgspec.json.encode(task).decode()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        with self._errors, self._process:  # closes the pipes, which ends the process, and waits for it
            pass

    def ready(self) -> Ready | Failure:
        """Wait until it can measure, or says why not."""
        answer = self._answer()
        assert isinstance(answer, Ready | Failure)
        return answer

    def round(self) -> Round:
        """Measure once."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert isinstance(answer, Round)
        return answer

    def _answer(self) -> Ready | Failure | Round:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            told = self._errors.read().decode(errors="replace").strip().splitlines()
            last = told[-1] if told else "it said nothing"
            raise BenchError(f"measuring {self._task.what} of {self._task.clip} broke off: {last}")
        ((name, value),) = msgspec.json.decode(line).items()
        return msgspec.convert(value, _ANSWERS[name])


@dataclass(frozen=True)
class MeasuredTask:
    """The results of one process."""

    spec: Mapping[str, Any]
    """Properties of its engine."""
    open_seconds: float
    rounds: tuple[Round, ...]


def measured(
    tasks: Mapping[str, Task], rounds: int, notify: Callable[[str], None]
) -> tuple[dict[str, MeasuredTask], dict[str, str]]:
    """Measure all tasks in turn, `rounds` times; results by name, and reasons for missing ones by name.

    notify: called with the progress. Raises BenchError if a process breaks off.
    """
    with ExitStack() as stack:
        ready: dict[str, tuple[Child, Ready]] = {}
        skipped: dict[str, str] = {}
        for name, task in tasks.items():
            notify(f"{name}: warming up")
            child = stack.enter_context(Child(task))
            answer = child.ready()
            if isinstance(answer, Failure):
                skipped[name] = answer.why
            else:
                ready[name] = child, answer
        found: dict[str, list[Round]] = {name: [] for name in ready}
        for number in range(rounds):
            for name, (child, _) in ready.items():
                notify(f"{name}: round {number + 1} of {rounds}")
                found[name].append(child.round())
        return {
            name: MeasuredTask(answer.spec, answer.open_seconds, tuple(found[name]))
            for name, (_, answer) in ready.items()
        }, skipped
