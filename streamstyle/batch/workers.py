"""Workers that do the tasks: the seam between the schedule and processes of this machine, or a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from streamstyle.batch.message_json import decoded, encoded
from streamstyle.batch.messages import (
    FramesPainted,
    Message,
    Notice,
    TaskDone,
    TaskFailed,
    TaskLost,
    TaskOutcome,
)
from streamstyle.batch.tasks import Task
from streamstyle.children import interrupts_blocked, package_environment
from streamstyle.engines.machine import processors
from streamstyle.errors import ConfigError
from streamstyle.flow import Channel, Future

_COMMAND = (sys.executable, "-P", "-m", "streamstyle.batch.worker_child")


class Workers(Protocol):
    """Several workers, each of which does one task at a time. Not thread-safe."""

    @property
    def free(self) -> int:
        """Number of free workers."""

    def submit(self, task: Task) -> None:
        """Begin a task; there must be a free worker. Raises ConfigError if no process can be started."""

    def wait(self, seconds: float) -> list[tuple[Task, TaskOutcome]]:
        """The tasks that have ended since the last call; waits up to `seconds` for the first of them. A
        worker that was lost is replaced by a new one."""

    def close(self) -> None:
        """End all workers at once, without finishing their tasks."""


@dataclass(frozen=True)
class WorkerCallbacks:
    """Callbacks for tasks under way, called from any thread."""

    on_frames: Callable[[Task, int], None]
    """Gets how many frames of a task are painted."""
    notify: Callable[[str], None]
    """Gets messages for the user."""


def shares(count: int) -> list[list[int]]:
    """The processors of each of `count` processes, as equal as can be; with more processes than processors,
    some have the same one."""
    places = processors()
    return [places[number::count] or [places[number % len(places)]] for number in range(count)]


class LocalWorkers:
    """Implements `Workers` by child processes, each on its share of the processors."""

    def __init__(self, count: int, callbacks: WorkerCallbacks) -> None:
        """Raises ConfigError for more workers than processors, and where one cannot be started."""
        if count > len(processors()):
            raise ConfigError(f"--workers {count} is more than the {len(processors())} processors here")
        self._callbacks = callbacks
        self._idle = [WorkerProcess(share if count > 1 else ()) for share in shares(count)]
        self._busy: dict[WorkerProcess, tuple[Task, Future[TaskOutcome]]] = {}
        try:
            for child in self._idle:
                child.start()  # all at once, so that those who wait for the first plan are ready by then
        except BaseException:
            self.close()
            raise
        self._ended: Channel[WorkerProcess] = Channel(count, "lossless")

    @property
    def free(self) -> int:
        """See `Workers`."""
        return len(self._idle)

    def submit(self, task: Task) -> None:
        """See `Workers`."""
        child = self._idle.pop()
        child.start()  # on this thread: when it ends, Linux kills its children
        self._busy[child] = task, Future(lambda: self._perform(child, task), "worker")

    def wait(self, seconds: float) -> list[tuple[Task, TaskOutcome]]:
        """See `Workers`."""
        self._ended.wait_ready(seconds)
        over = []
        for child in islice(self._ended, self._ended.depth):
            task, outcome = self._busy.pop(child)
            self._idle.append(child)
            over.append((task, outcome.result()))
        return over

    def close(self) -> None:
        """See `Workers`."""
        for child in (*self._idle, *self._busy):
            child.kill()
        for _, outcome in self._busy.values():
            outcome.result()
        for child in (*self._idle, *self._busy):
            child.close()

    def _perform(self, child: WorkerProcess, task: Task) -> TaskOutcome:
        try:
            return child.perform(task, self._callbacks)
        finally:
            self._ended.put(child)


class WorkerProcess:
    """A `worker_child` on this machine."""

    def __init__(self, places: Sequence[int]) -> None:
        """places: processors that it may use, all where empty."""
        self._places = places
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, if it does not run. Raises ConfigError where that cannot be done."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        try:
            with interrupts_blocked():
                self._process = subprocess.Popen(
                    [*_COMMAND, str(os.getpid()), ",".join(map(str, self._places))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment(self._places),
                )
        except OSError as error:
            raise ConfigError(f"no worker can be started: {error.strerror}") from error

    def perform(self, task: Task, callbacks: WorkerCallbacks) -> TaskOutcome:
        """Hand the task over, and return its outcome; called on a separate thread."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(encoded(task) + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                message = decoded(line, Message)
                if isinstance(message, TaskDone | TaskFailed):
                    return message
                if isinstance(message, FramesPainted):
                    callbacks.on_frames(task, message.frames)
                else:
                    assert isinstance(message, Notice)
                    callbacks.notify(message.sentence)
        except (OSError, ValueError):
            process.kill()  # it is gone, or said half a line when it went
        return TaskLost(f"its worker {why_ended(process.wait())}")

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Close the pipes to a process that has ended."""
        if self._process is not None and self._process.stdin and self._process.stdout:
            with suppress(OSError):  # unsent messages
                self._process.stdin.close()
            self._process.stdout.close()


def environment(places: Sequence[int]) -> dict[str, str]:
    """The environment of a process of ours that keeps to these processors, all where empty."""
    return package_environment() | ({"OMP_NUM_THREADS": str(len(places))} if places else {})


def why_ended(code: int) -> str:
    """End of a sentence that explains the exit code of a process."""
    if code < 0 and sys.platform != "win32":
        name = signal.Signals(-code).name
        crashed = {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP"}
        if name in crashed:
            return f"crashed inside a media library ({name}), perhaps because of a damaged film"
        memory = ", probably because memory ran out" if name == "SIGKILL" else ""
        return f"was ended by {name}{memory}"
    return f"ended with {code}"
