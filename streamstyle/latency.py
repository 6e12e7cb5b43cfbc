"""`--latency`: what gives way when frames get older than they may, one step at a time, and comes back.

`next_state` decides from ages alone: same ages, same decisions.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from streamstyle.errors import ConfigError

_UNITS = {"ms": 1e-3, "s": 1.0}
_LATENCY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*")


def parse_latency(text: str) -> float:
    """Seconds of `100ms` or `0.1s`, from 10 ms to 10 s. Raises ConfigError."""
    match = _LATENCY.fullmatch(text)
    if match is None:
        raise ConfigError(f"the latency '{text}' cannot be read: write 100ms or 0.1s")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not 0.01 <= seconds <= 10:
        raise ConfigError(f"a latency of {text} cannot be kept: choose 10ms to 10s")
    return seconds


class Relief(Protocol):
    """One thing that can give way, for the sake of the others' pace. Called between two frames."""

    @property
    def name(self) -> str:
        """What is done, to be read after "now:"."""

    def begin(self) -> None:
        """Give way. Does not block."""

    def end(self) -> None:
        """As before. Does not block."""


@dataclass(frozen=True)
class Eased:
    """A `Relief` of two calls."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]


@dataclass(frozen=True)
class LadderConfig:
    """deadline: seconds that a frame may be old when it leaves. rungs: how many reliefs there are.

    late: frames over the deadline, less those within it, before one more gives way. easy: share of the
    deadline below which there is room to spare. calm: frames in a row with room before one comes back;
    doubled each time that proves wrong, up to `most_calm`. settle: frames after a change that tell nothing
    yet: they were captured before it.
    """

    deadline: float
    rungs: int
    late: int = 6
    easy: float = 0.6
    calm: int = 150
    most_calm: int = 4800
    settle: int = 15


@dataclass(frozen=True)
class LadderState:
    """rung: how many reliefs have begun. late, easy: see `LadderConfig`. calm: frames that are asked for now.
    settling: frames still to be overlooked. since_return: frames since one came back, None if it proved right
    or none did."""

    rung: int = 0
    late: int = 0
    easy: int = 0
    calm: int = 0
    settling: int = 0
    since_return: int | None = None


def next_state(state: LadderState, age: float, config: LadderConfig) -> LadderState:
    """The state after a frame of this age (seconds) has left. The rung changes by one at most."""
    state = replace(state, calm=max(state.calm, config.calm))
    if state.since_return is not None:
        held = state.since_return + 1
        proved = held > state.calm
        state = replace(
            state,
            since_return=None if proved else held,
            calm=config.calm if proved else state.calm,
        )
    if state.settling:
        return replace(state, settling=state.settling - 1)
    late = max(0, state.late + (1 if age > config.deadline else -1))
    easy = state.easy + 1 if age < config.easy * config.deadline else 0
    if late >= config.late and state.rung < config.rungs:
        wrong = state.since_return is not None
        calm = min(2 * state.calm, config.most_calm) if wrong else state.calm
        return LadderState(state.rung + 1, calm=calm, settling=config.settle)
    if easy >= state.calm and state.rung:
        return LadderState(state.rung - 1, calm=state.calm, settling=config.settle, since_return=0)
    return replace(state, late=min(late, config.late), easy=min(easy, state.calm))


def _never() -> bool:
    return False


@dataclass
class Ladder:
    """Lets reliefs begin, the first first, and end, the last first. Used from one thread.

    tell: hears of every change in one sentence. waiting: is a change still to take effect, so that ages tell
    nothing? changes: the last hundred sentences, with the frame's index; steps: how many there were.
    """

    deadline: float
    reliefs: Sequence[Relief]
    tell: Callable[[str], None]
    waiting: Callable[[], bool] = _never
    state: LadderState = field(default_factory=LadderState)
    steps: int = 0
    changes: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=100))

    @property
    def active(self) -> tuple[str, ...]:
        """What gives way now."""
        return tuple(relief.name for relief in self.reliefs[: self.state.rung])

    def left(self, index: int, age: float) -> None:
        """A frame of this age (seconds) has left."""
        if self.waiting():
            return
        before = self.state.rung
        self.state = next_state(self.state, age, LadderConfig(self.deadline, len(self.reliefs)))
        if self.state.rung == before:
            return
        old = f"frames are {age * 1e3:.0f} ms old, {self.deadline * 1e3:.0f} are allowed"
        if self.state.rung > before:
            relief = self.reliefs[before]
            relief.begin()
            said = f"{old}; now: {relief.name}"
        else:
            relief = self.reliefs[self.state.rung]
            relief.end()
            said = f"{old}; no longer: {relief.name}"
        self.steps += 1
        self.changes.append((index, said))
        self.tell(said)
