"""Workers on a Ray cluster: the processes of `LocalWorkers`, each started by an actor on some machine.

The machines share the folders of films and outputs, at the same paths. Frames and packets never cross: an
actor gets a task and gives back how it ended.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from filelock import FileLock, Timeout

from streamstyle.batch.message_json import decoded, encoded
from streamstyle.batch.messages import FramesPainted, Notice, TaskLost, TaskOutcome
from streamstyle.batch.tasks import Task
from streamstyle.batch.workers import WorkerCallbacks, WorkerProcess
from streamstyle.engines.machine import processors
from streamstyle.errors import ConfigError

ADDRESS = "ray://"
"""Beginning of the address of a cluster."""

_POLL_SECONDS = 0.5
"""Seconds between two questions to an actor how far it is."""

_START_NOTICE_SECONDS = 60.0
"""Seconds without any actor after which the user gets a message."""

_MAX_FAILED_STARTS = 3
"""Number of consecutive failures to start an actor after which no more are started."""

_Messages = list[FramesPainted | Notice | TaskOutcome]


@dataclass(frozen=True)
class Share:
    """Processors and GPUs of one worker."""

    cpus: int
    """Processors, all of one machine."""
    gpus: int
    """0 or 1."""


def share_of(machines: Sequence[dict[str, float]], count: int, *, gpu: bool) -> Share:
    """Largest share that each of `count` workers can have.

    machines: the resources of each, by Ray's names. gpu: give each a GPU if there are any. Raises ConfigError
    for more workers than GPUs, or than processors without GPUs.
    """
    cpus = [int(one.get("CPU", 0)) for one in machines]
    gpus = [int(one.get("GPU", 0)) if gpu else 0 for one in machines]
    if sum(gpus):
        if count > sum(gpus):
            raise ConfigError(f"--workers {count} is more than the {sum(gpus)} GPUs of the cluster")
        return Share(max(1, min(cpu // g for cpu, g in zip(cpus, gpus, strict=True) if g)), 1)
    if count > sum(cpus):
        raise ConfigError(f"--workers {count} is more than the {sum(cpus)} processors of the cluster")
    return Share(next(k for k in range(max(cpus), 0, -1) if sum(cpu // k for cpu in cpus) >= count), 0)


class Actor:
    """Runs on a machine of the cluster and has a worker process there. Messages cross as JSON."""

    def __init__(self, cpus: int) -> None:
        """cpus: processors that it may use."""
        self._lock, places = claim(cpus)
        self._messages: deque[FramesPainted | Notice] = deque()
        self._process = WorkerProcess(places)

    def version(self) -> str:
        """The version of the program there; answers when the actor can work."""
        return version("streamstyle")

    def perform(self, task: bytes) -> bytes:
        """Do a task. Return its remaining messages, and its outcome."""
        callbacks = WorkerCallbacks(
            on_frames=lambda _, frames: self._messages.append(FramesPainted(frames)),
            notify=lambda sentence: self._messages.append(Notice(sentence)),
        )
        self._process.start()
        outcome = self._process.perform(decoded(task, Task), callbacks)
        return encoded([*self._drain_messages(), outcome])

    def messages(self) -> bytes:
        """Messages since the last call, as JSON; a second thread of the actor answers."""
        return encoded(self._drain_messages())

    def __ray_shutdown__(self) -> None:
        """Called by Ray where the actor ends in order: end the process."""
        self._process.kill()
        self._process.close()
        if self._lock is not None:
            self._lock.release()

    def _drain_messages(self) -> list[FramesPainted | Notice]:
        found = []
        with suppress(IndexError):  # empty; the other thread may add to it meanwhile
            while True:
                found.append(self._messages.popleft())
        return found


def claim(count: int) -> tuple[FileLock | None, list[int]]:
    """Reserve `count` processors of this machine that no other actor has, while the lock lives. Empty, which
    means all, if others have them."""
    places = processors()
    for first in range(0, len(places) - count + 1, count):
        lock = FileLock(Path(tempfile.gettempdir()) / f"streamstyle-processors-{count}-{first}.lock")
        with suppress(Timeout, OSError, NotImplementedError):
            lock.acquire(timeout=0)
            return lock, places[first : first + count]
    return None, []


class RayWorkers:
    """Implements `Workers` by actors. An actor that is lost is replaced as soon as a machine has room."""

    def __init__(self, ray: ModuleType, count: int, callbacks: WorkerCallbacks, *, gpu: bool) -> None:
        """ray: connected, see `connected`. count: actors. gpu: see `share_of`, as for the errors."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        share = share_of(machines, count, gpu=gpu)
        self._ray, self._callbacks, self._share = ray, callbacks, share
        # Two threads: one performs, one says how far it is.
        options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_concurrency": 2}
        self._kind = ray.remote(Actor).options(**options)
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}
        self._asked: dict[Any, Task] = {}
        self._due = 0.0
        self._waiting_since: float | None = time.monotonic()
        self._refused = 0
        for _ in range(count):
            self._start()

    @property
    def free(self) -> int:
        """See `Workers`."""
        return len(self._idle)

    def submit(self, task: Task) -> None:
        """See `Workers`."""
        actor = self._idle.pop()
        self._busy[actor.perform.remote(encoded(task))] = actor, task

    def wait(self, seconds: float) -> list[tuple[Task, TaskOutcome]]:
        """See `Workers`. Raises ConfigError where actors cannot be started."""
        under_way = [*self._busy, *self._starting]
        if not under_way:
            time.sleep(seconds)
            return []
        over, _ = self._ray.wait(under_way, num_returns=1, timeout=seconds)
        ended = [self._ended(one) for one in over if one in self._busy]
        for one in over:
            if one in self._starting:
                self._started(one)
        self._notify_waiting()
        if time.monotonic() >= self._due:
            self._collect_messages()
            self._due = time.monotonic() + _POLL_SECONDS
        return ended

    def close(self) -> None:
        """See `Workers`."""
        for actor in (*self._idle, *self._starting.values(), *(actor for actor, _ in self._busy.values())):
            self._ray.kill(actor)
        self._idle, self._starting, self._busy, self._asked = [], {}, {}, {}

    def _start(self) -> None:
        actor = self._kind.remote(self._share.cpus)
        self._starting[actor.version.remote()] = actor

    def _started(self, answer: Any) -> None:
        """Take an actor that has answered into work, or try another one."""
        actor = self._starting.pop(answer)
        try:
            there, here = self._ray.get(answer), version("streamstyle")
        except self._ray.exceptions.RayError as error:
            self._refused += 1
            if self._refused >= _MAX_FAILED_STARTS:
                raise ConfigError(
                    f"no worker can be started on the cluster ({_cause(error)}): install streamstyle and Ray "
                    f"in the same versions on all its machines"
                ) from error
            self._start()
            return
        if there != here:
            raise ConfigError(
                f"a machine of the cluster has streamstyle {there} and this one {here}: install one version"
            )
        self._refused, self._waiting_since = 0, None
        self._idle.append(actor)

    def _ended(self, result: Any) -> tuple[Task, TaskOutcome]:
        actor, task = self._busy.pop(result)
        try:
            messages = decoded(self._ray.get(result), _Messages)
        except self._ray.exceptions.RayError as error:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)  # if its machine is alive and only the task is lost
            if not self._busy and not self._idle:
                self._waiting_since = time.monotonic()
            self._start()
            return task, TaskLost(f"its worker was lost ({_cause(error)})")
        self._idle.append(actor)
        outcome = messages[-1]
        assert not isinstance(outcome, FramesPainted | Notice)
        self._pass_on(task, messages[:-1])
        return task, outcome

    def _collect_messages(self) -> None:
        """Take the actors' answers, and send requests to idle actors."""
        if self._asked:
            answers, _ = self._ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
            for answer in answers:
                task = self._asked.pop(answer)
                with suppress(self._ray.exceptions.RayError):  # the task itself finds the lost actors
                    self._pass_on(task, decoded(self._ray.get(answer), _Messages))
        asked = {id(task) for task in self._asked.values()}
        for actor, task in self._busy.values():
            if id(task) not in asked:
                self._asked[actor.messages.remote()] = task

    def _pass_on(self, task: Task, messages: Sequence[FramesPainted | Notice | TaskOutcome]) -> None:
        for message in messages:
            if isinstance(message, FramesPainted):
                self._callbacks.on_frames(task, message.frames)
            elif isinstance(message, Notice):
                self._callbacks.notify(message.sentence)

    def _notify_waiting(self) -> None:
        if self._waiting_since is not None and time.monotonic() > self._waiting_since + _START_NOTICE_SECONDS:
            self._waiting_since = None
            self._callbacks.notify(
                f"no worker has started for {_START_NOTICE_SECONDS:.0f} s: "
                f"the cluster may have no {self._share.cpus} "
                f"processors{' and a GPU' if self._share.gpus else ''} free on one machine"
            )


def _cause(error: Exception) -> str:
    """An error of Ray in a few words: its kind, and the last line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Ray, connected to the cluster at `ray://HOST:PORT` inside the `with` block. Raises ConfigError where
    Ray is not installed, and where the cluster cannot be reached or is lost."""
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("--cluster needs Ray: pip install 'streamstyle[ray]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error is reported once, not by warnings as well
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"there is no Ray cluster at {address}: {_cause(error)}") from error
    try:
        yield ray
    except ConnectionError as error:
        raise ConfigError(
            f"the Ray cluster at {address} was lost: when it is back, --resume goes on"
        ) from error
    finally:
        ray.shutdown()
