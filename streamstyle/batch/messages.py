"""Messages of a worker about its task, in JSON where it is another process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from streamstyle import errors
from streamstyle.batch.manifest import FilmRecord, OptionsMismatchError, SegmentRecord
from streamstyle.batch.tasks import DamagedSegments, PlanResult, Result
from streamstyle.errors import StreamStyleError


class FramesPainted(msgspec.Struct, frozen=True, tag="painted"):
    """More frames are painted."""

    frames: int
    """Number of frames of this task, so far."""


class Notice(msgspec.Struct, frozen=True, tag="told"):
    """A sentence that the user should see at once."""

    sentence: str


class TaskFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The task cannot be done."""

    kind: str
    """Name of a StreamStyleError's class."""
    sentence: str

    def error(self) -> StreamStyleError:
        """The same as an exception."""
        return _KINDS[self.kind](self.sentence)


class TaskDone(msgspec.Struct, frozen=True, tag="done"):
    """The task is done. One of these holds its result."""

    planned: PlanResult | None = None
    segment: SegmentRecord | None = None
    film: FilmRecord | None = None
    damaged: DamagedSegments | None = None


class TaskLost(msgspec.Struct, frozen=True, tag="lost"):
    """The worker ended with its task."""

    why: str
    """The reason, in a few words."""


Message: TypeAlias = FramesPainted | Notice | TaskFailed | TaskDone
TaskOutcome: TypeAlias = TaskDone | TaskFailed | TaskLost


def done(result: Result) -> TaskDone:
    """The message for a result."""
    match result:
        case PlanResult():
            return TaskDone(planned=result)
        case SegmentRecord():
            return TaskDone(segment=result)
        case FilmRecord():
            return TaskDone(film=result)
        case DamagedSegments():
            return TaskDone(damaged=result)


def failed(error: StreamStyleError) -> TaskFailed:
    """The message for an error."""
    return TaskFailed(next(k.__name__ for k in type(error).mro() if k.__name__ in _KINDS), str(error))


def _all(kind: type[StreamStyleError]) -> Iterator[type[StreamStyleError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _all(inner)


_KINDS = {
    kind.__name__: kind
    for kind in _all(StreamStyleError)
    if kind.__module__ == errors.__name__ or kind is OptionsMismatchError
}
