"""The order of tasks, the retries of lost ones, and the end of every film."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from streamstyle.batch.manifest import FilmRecord, OptionsMismatchError
from streamstyle.batch.message_json import encoded
from streamstyle.batch.messages import TaskDone, TaskFailed, TaskLost, TaskOutcome
from streamstyle.batch.storage import storage_of
from streamstyle.batch.tasks import FilmRequest, JoinTask, PaintTask, PlanResult, PlanTask, Task, WholeTask
from streamstyle.batch.workers import Workers
from streamstyle.flow import StopRequest

MAX_ATTEMPTS = 3
"""Number of attempts at a task whose workers are lost."""

TICK_SECONDS = 0.1
"""Seconds between two calls of `on_tick`, at most."""


@dataclass
class FilmState:
    """A film on its way."""

    film: FilmRequest
    planned: PlanResult | None = None
    """The plan; None before it is made."""
    waiting: deque[int] = field(default_factory=deque)
    """Segments that no worker paints yet."""
    running: set[int] = field(default_factory=set)
    """Number of segments in work; 0 for a film in one piece."""
    unfinished: int = 0
    """Segments that are not painted."""
    painted: int = 0
    """Frames in segments that are done, of this run."""
    record: FilmRecord | None = None
    """The record of a finished film, otherwise None."""
    failure: TaskFailed | None = None
    """The error of a failed film, otherwise None."""
    before: bool = False
    """True if an earlier run did the film."""

    @property
    def over(self) -> bool:
        """True if it is finished or has failed."""
        return self.record is not None or self.failure is not None


class Schedule:
    """Hands out the tasks of films, the first ones first: tasks that finish a film come first, then those
    that continue one, then those that begin one."""

    def __init__(self, films: Sequence[FilmRequest]) -> None:
        self.states = [FilmState(film) for film in films]
        self._of = {film.output: state for film, state in zip(films, self.states, strict=True)}
        self._unplanned = deque(self.states)
        self._open: list[FilmState] = []
        self._urgent: deque[Task] = deque()
        self._tries: Counter[bytes] = Counter()

    def is_done(self, film: FilmRequest) -> bool:
        """True if the film is whole."""
        return self._of[film.output].record is not None

    @property
    def over(self) -> bool:
        """True if every film is finished or has failed."""
        return all(state.over for state in self._open) and not self._unplanned

    def next(self) -> Task | None:
        """The next task; None if none can begin now."""
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

    def ended(self, task: Task, outcome: TaskOutcome) -> None:
        """Take in how a task ended. Raises OptionsMismatchError: it holds for all films."""
        state = self._of[task.film.output]
        state.running.discard(_number(task))
        if state.over:
            return
        match outcome:
            case TaskLost():
                self._lost(state, task, outcome)
            case TaskFailed():
                state.failure = outcome
                if outcome.kind == OptionsMismatchError.__name__:
                    raise outcome.error()
            case TaskDone():
                self._done(state, task, outcome)

    def _lost(self, state: FilmState, task: Task, outcome: TaskLost) -> None:
        key = encoded(task)
        self._tries[key] += 1
        if self._tries[key] < MAX_ATTEMPTS:
            self._urgent.append(task)
        else:
            told = f"{task.film.source} was abandoned after {MAX_ATTEMPTS} attempts: {outcome.why}."
            state.failure = TaskFailed("SourceError", told)

    def _done(self, state: FilmState, task: Task, outcome: TaskDone) -> None:
        if outcome.film is not None:
            state.record = outcome.film
        elif outcome.planned is not None:
            self._planned(state, outcome.planned)
        elif outcome.damaged is not None:
            self._damaged(state, task, outcome.damaged.missing)
        elif outcome.segment is not None:
            state.painted += outcome.segment.frames
            state.unfinished -= 1
            if not state.unfinished:
                self._urgent.append(JoinTask(task.film))

    def _planned(self, state: FilmState, planned: PlanResult) -> None:
        state.planned, state.record, state.before = planned, planned.done, planned.done is not None
        state.waiting, state.unfinished = deque(planned.missing), len(planned.missing)
        if planned.done is None and not planned.missing:
            self._urgent.append(WholeTask(state.film) if planned.whole else JoinTask(state.film))

    def _damaged(self, state: FilmState, task: Task, missing: dict[int, int]) -> None:
        """Let segments be painted again that have changed since."""
        key, planned = encoded(task), state.planned
        assert planned is not None
        self._tries[key] += 1
        if self._tries[key] == MAX_ATTEMPTS:
            told = f"{task.film.folder} does not keep what is written there: name another place for the film."
            state.failure = TaskFailed("SinkError", told)
            return
        kept = planned.kept - sum(number not in planned.missing for number in missing)
        state.planned = msgspec.structs.replace(planned, missing={**planned.missing, **missing}, kept=kept)
        state.waiting, state.unfinished = deque(missing), len(missing)


def _number(task: Task) -> int:
    return task.number if isinstance(task, PaintTask) else 0


def run_films(
    schedule: Schedule,
    workers: Workers,
    stop: StopRequest,
    on_tick: Callable[[Sequence[FilmState]], None] = lambda _: None,
) -> None:
    """Let the workers do all tasks of a schedule; its states then hold the outcome of each film. Removes the
    folders of finished films, and closes the workers. on_tick: called regularly. Raises ConfigError for
    options that no film can be painted with."""
    try:
        while not schedule.over and not stop.requested:
            while workers.free and (task := schedule.next()) is not None:
                workers.submit(task)
            for task, outcome in workers.wait(TICK_SECONDS):
                schedule.ended(task, outcome)
                if schedule.is_done(task.film):
                    storage_of(task.film.folder).remove_folder(task.film.folder)
            on_tick(schedule.states)
    finally:
        workers.close()
