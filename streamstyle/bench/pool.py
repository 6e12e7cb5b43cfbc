"""Tasks on several processes, each on its own processor: timings stay per core, memory per process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from typing import TypeVar

from streamstyle.engines.machine import processors

T = TypeVar("T")
R = TypeVar("R")

_TASKS_A_CHILD = 16  # then a fresh process takes over, so that memory of libraries does not pile up


def each(call: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[tuple[T, R]]:
    """`call` of every task, as they are done. call, task and result cross processes: they must be picklable.

    One job runs in this process. The first error is raised once the calls that run have ended.
    """
    if jobs == 1:
        for task in tasks:
            yield task, call(task)
        return
    with ExitStack() as stack:
        places = processors()
        free = [
            stack.enter_context(
                # A limit of tasks makes children start afresh, not as copies of a process with threads.
                ProcessPoolExecutor(
                    1,
                    initializer=_settle,
                    initargs=(places[number % len(places)],),
                    max_tasks_per_child=_TASKS_A_CHILD,
                )
            )
            for number in range(min(jobs, len(tasks)))
        ]
        waiting = list(tasks)
        running: dict[Future[R], tuple[ProcessPoolExecutor, T]] = {}
        while waiting or running:
            while waiting and free:
                process, task = free.pop(), waiting.pop(0)
                running[process.submit(call, task)] = process, task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                process, task = running.pop(future)
                free.append(process)
                yield task, future.result()


def _settle(processor: int) -> None:
    """Keep this process on one processor; libraries that are loaded later count one and start one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {processor})
