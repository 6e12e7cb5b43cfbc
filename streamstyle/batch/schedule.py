"""The order of tasks, the retries of lost ones, and the end of every film."""

from __future__ import annotations

import shutil
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from streamstyle.batch.manifest import FilmRecord, OtherOptionsError
from streamstyle.batch.messages import Ending, TaskDone, TaskFailed, TaskLost
from streamstyle.batch.tasks import FilmRequest, JoinTask, PaintTask, PlanResult, PlanTask, Task, WholeTask
from streamstyle.batch.workers import Workers
from streamstyle.flow import StopRequest

TRIES = 3
"""The number of times that a task is begun whose workers are lost."""

TICK = 0.1
"""Seconds between two calls of `on_tick`, at most."""


@dataclass
class FilmState:
    """A film on its way."""

    film: FilmRequest
    planned: PlanResult | None = None
    """None before it is planned."""
    waiting: deque[int] = field(default_factory=deque)
    """Segments that nobody paints yet."""
    running: set[int] = field(default_factory=set)
    """Segments that somebody paints; 0 of a film in one piece."""
    unfinished: int = 0
    """Segments that are not painted."""
    painted: int = 0
    """Frames in segments that are done, of this run."""
    record: FilmRecord | None = None
    """Of a film that is done."""
    failure: TaskFailed | None = None
    """Why it will not be done."""
    before: bool = False
    """It was done before."""

    @property
    def over(self) -> bool:
        """Whether it is done or given up."""
        return self.record is not None or self.failure is not None


class Schedule:
    """Hands out the tasks of films, the first ones first: what ends a film comes before what goes on with it,
    and that before what begins another one."""

    def __init__(self, films: Sequence[FilmRequest]) -> None:
        self.states = [FilmState(film) for film in films]
        self._of = {film.output: state for film, state in zip(films, self.states, strict=True)}
        self._unplanned = deque(self.states)
        self._open: list[FilmState] = []
        self._urgent: deque[Task] = deque()
        self._tries: Counter[bytes] = Counter()

    def is_done(self, film: FilmRequest) -> bool:
        """Whether the film is whole."""
        return self._of[film.output].record is not None

    @property
    def over(self) -> bool:
        """Whether every film has ended."""
        return all(state.over for state in self._open) and not self._unplanned

    def next(self) -> Task | None:
        """The next task; None where none can be begun now."""
        while self._urgent:
            task = self._urgent.popleft()
            if not self._of[task.film.output].over:
                return self._begun(task)
        self._open = [state for state in self._open if not state.over]
        for state in self._open:
            if state.waiting:
                return self._begun(PaintTask(state.film, state.waiting.popleft()))
        if self._unplanned:
            state = self._unplanned.popleft()
            self._open.append(state)
            return PlanTask(state.film)
        return None

    def _begun(self, task: Task) -> Task:
        if isinstance(task, PaintTask | WholeTask):
            self._of[task.film.output].running.add(_number(task))
        return task

    def ended(self, task: Task, ending: Ending) -> None:
        """Take in how a task ended. Raises OtherOptionsError: it holds for all films."""
        state = self._of[task.film.output]
        state.running.discard(_number(task))
        if state.over:
            return
        match ending:
            case TaskLost():
                self._lost(state, task, ending)
            case TaskFailed():
                state.failure = ending
                if ending.kind == OtherOptionsError.__name__:
                    raise ending.error()
            case TaskDone():
                self._done(state, task, ending)

    def _lost(self, state: FilmState, task: Task, ending: TaskLost) -> None:
        key = msgspec.json.encode(task)
        self._tries[key] += 1
        if self._tries[key] < TRIES:
            self._urgent.append(task)
        else:
            told = f"{task.film.source} was given up after {TRIES} attempts: {ending.why}."
            state.failure = TaskFailed("SourceError", told)

    def _done(self, state: FilmState, task: Task, ending: TaskDone) -> None:
        if ending.film is not None:
            state.record = ending.film
        elif ending.planned is not None:
            self._planned(state, ending.planned)
        elif ending.segment is not None:
            state.painted += ending.segment.frames
            state.unfinished -= 1
            if not state.unfinished:
                self._urgent.append(JoinTask(task.film))

    def _planned(self, state: FilmState, planned: PlanResult) -> None:
        state.planned, state.record, state.before = planned, planned.done, planned.done is not None
        state.waiting, state.unfinished = deque(planned.missing), len(planned.missing)
        if planned.done is None and not planned.missing:
            self._urgent.append(WholeTask(state.film) if planned.whole else JoinTask(state.film))


def _number(task: Task) -> int:
    return task.number if isinstance(task, PaintTask) else 0


def run_films(
    schedule: Schedule,
    workers: Workers,
    stop: StopRequest,
    on_tick: Callable[[Sequence[FilmState]], None] = lambda _: None,
) -> None:
    """Let the workers do all tasks of a schedule, whose states say afterwards how each film ended; removes
    the folders of films that are done, and closes the workers. on_tick: called now and then. Raises
    ConfigError for what no film can be painted with."""
    try:
        while not schedule.over and not stop.requested:
            while workers.free and (task := schedule.next()) is not None:
                workers.submit(task)
            for task, ending in workers.wait(TICK):
                schedule.ended(task, ending)
                if schedule.is_done(task.film):
                    shutil.rmtree(task.film.folder, ignore_errors=True)
            on_tick(schedule.states)
    finally:
        workers.close()
