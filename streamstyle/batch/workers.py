"""Workers that do the tasks: the seam between the schedule and processes of this machine, or a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from streamstyle.batch.messages import Ending, FramesPainted, Message, Notice, TaskDone, TaskFailed, TaskLost
from streamstyle.batch.tasks import Task
from streamstyle.errors import ConfigError
from streamstyle.flow import Future

_LOOK = 0.02
"""Seconds between two looks whether a task has ended."""

_COMMAND = (sys.executable, "-P", "-m", "streamstyle.batch.worker_child")
_PACKAGES = Path(__file__).parents[2]


class Workers(Protocol):
    """Several workers, each of which does one task at a time. For one thread."""

    @property
    def free(self) -> int:
        """The number of tasks that can be begun now."""

    def submit(self, task: Task) -> None:
        """Begin a task; there must be a free worker. Raises ConfigError where none can be started."""

    def wait(self, seconds: float) -> list[tuple[Task, Ending]]:
        """The tasks that have ended since the last call; waits up to `seconds` for the first of them. A
        worker that was lost is replaced by a new one."""

    def close(self) -> None:
        """End all workers at once, with what they do."""


@dataclass(frozen=True)
class Hearing:
    """Callbacks for tasks under way, called from any thread."""

    on_frames: Callable[[Task, int], None]
    """Gets how many frames of a task are painted."""
    notify: Callable[[str], None]
    """Gets what the user should know at once."""


def processors() -> list[int]:
    """The numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def shares(count: int) -> list[list[int]]:
    """The processors of each of `count` processes, as equal as can be; with more processes than processors,
    some have the same one."""
    places = processors()
    return [places[number::count] or [places[number % len(places)]] for number in range(count)]


class LocalWorkers:
    """Implements `Workers` by child processes, each on its share of the processors."""

    def __init__(self, count: int, hearing: Hearing) -> None:
        """Raises ConfigError for more workers than processors."""
        if count > len(processors()):
            raise ConfigError(f"--workers {count} is more than the {len(processors())} processors here")
        self._hearing = hearing
        self._idle = [WorkerProcess(share if count > 1 else ()) for share in shares(count)]
        self._busy: list[tuple[WorkerProcess, Task, Future[Ending]]] = []

    @property
    def free(self) -> int:
        """See `Workers`."""
        return len(self._idle)

    def submit(self, task: Task) -> None:
        """See `Workers`."""
        child = self._idle.pop()
        child.start()  # on this thread: where it ends, Linux kills what it started
        self._busy.append((child, task, Future(lambda: child.perform(task, self._hearing), "worker")))

    def wait(self, seconds: float) -> list[tuple[Task, Ending]]:
        """See `Workers`."""
        until = time.monotonic() + seconds
        while True:
            over = [one for one in self._busy if one[2].ready]
            if over or time.monotonic() >= until:
                break
            time.sleep(_LOOK)
        self._busy = [one for one in self._busy if one not in over]
        self._idle += [child for child, _, _ in over]
        return [(task, ending.result()) for _, task, ending in over]

    def close(self) -> None:
        """See `Workers`."""
        for child in (*self._idle, *(child for child, _, _ in self._busy)):
            child.kill()
        for child, _, ending in self._busy:
            ending.result()
            child.close()
        for child in self._idle:
            child.close()


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
            self._process = subprocess.Popen(
                [*_COMMAND, str(os.getpid()), ",".join(map(str, self._places))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(self._places),
            )
        except OSError as error:
            raise ConfigError(f"no worker can be started: {error.strerror}") from error

    def perform(self, task: Task, hearing: Hearing) -> Ending:
        """Hand the task over, and return how it ended; called on a thread of its own."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                message = msgspec.json.decode(line, type=Message)
                if isinstance(message, TaskDone | TaskFailed):
                    return message
                if isinstance(message, FramesPainted):
                    hearing.on_frames(task, message.frames)
                else:
                    assert isinstance(message, Notice)
                    hearing.notify(message.sentence)
        except (OSError, ValueError, msgspec.DecodeError):
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
            with suppress(OSError):  # what was still to be said to it
                self._process.stdin.close()
            self._process.stdout.close()


def environment(places: Sequence[int]) -> dict[str, str]:
    """The environment of a process of ours that keeps to these processors, all where empty."""
    paths = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH", ""))))
    return os.environ | {"PYTHONPATH": paths} | ({"OMP_NUM_THREADS": str(len(places))} if places else {})


def why_ended(code: int) -> str:
    """End of a sentence that tells what an exit code says of a process."""
    if code < 0 and sys.platform != "win32":
        name = signal.Signals(-code).name
        crashed = {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP"}
        if name in crashed:
            return f"crashed inside a media library ({name}), as damaged films can make it"
        memory = ", as systems do that are out of memory" if name == "SIGKILL" else ""
        return f"was ended by {name}{memory}"
    return f"ended with {code}"
