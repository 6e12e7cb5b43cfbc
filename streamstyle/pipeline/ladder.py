"""`--latency`: degrade a live run one step at a time while frames are older than allowed, and restore it.

`next_state` decides from ages alone: same ages, same decisions.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True)
class DegradationStep:
    """One measure that lowers the latency at the cost of quality. Both calls are made between two frames, on
    one thread, and must not block."""

    name: str
    """The measure, to be read after "now:"."""
    begin: Callable[[], None]
    """Give it up."""
    end: Callable[[], None]
    """Restore it."""


@dataclass(frozen=True)
class LadderConfig:
    """Limits at which a step is taken, and undone."""

    deadline: float
    """Seconds that a frame may be old when it leaves."""
    steps: int
    """The number of degradation steps."""
    late: int = 6
    """Take one more step when late frames outnumber the others by so many."""
    early: float = 0.6
    """Share of the deadline below which a frame counts as early."""
    recovery_frames: int = 150
    """Undo one step after so many early frames in a row. Doubled each time that proves wrong."""
    max_recovery_frames: int = 4800
    """Upper limit of the doubling."""
    settle_frames: int = 15
    """Frames to ignore after a change: they were captured before it."""


@dataclass(frozen=True)
class LadderState:
    """The state of the ladder between two frames."""

    step: int = 0
    """The number of steps that are taken."""
    late: int = 0
    """Late frames minus others, at least 0."""
    early: int = 0
    """Early frames in a row."""
    recovery_frames: int = 0
    """Early frames in a row that undo a step now."""
    settling: int = 0
    """Frames still to be ignored."""
    since_return: int | None = None
    """Frames since a step was undone; None if none was, or once that has proved right."""


def next_state(state: LadderState, age: float, config: LadderConfig) -> LadderState:
    """The state after a frame of this age (seconds) has left. The step changes by one at most."""
    state = replace(state, recovery_frames=max(state.recovery_frames, config.recovery_frames))
    if state.since_return is not None:
        frames = state.since_return + 1
        proved = frames > state.recovery_frames
        state = replace(
            state,
            since_return=None if proved else frames,
            recovery_frames=config.recovery_frames if proved else state.recovery_frames,
        )
    if state.settling:
        return replace(state, settling=state.settling - 1)
    late = max(0, state.late + (1 if age > config.deadline else -1))
    early = state.early + 1 if age < config.early * config.deadline else 0
    if late >= config.late and state.step < config.steps:
        wrong = state.since_return is not None
        recovery_frames = (
            min(2 * state.recovery_frames, config.max_recovery_frames) if wrong else state.recovery_frames
        )
        return LadderState(state.step + 1, recovery_frames=recovery_frames, settling=config.settle_frames)
    if early >= state.recovery_frames and state.step:
        return LadderState(
            state.step - 1,
            recovery_frames=state.recovery_frames,
            settling=config.settle_frames,
            since_return=0,
        )
    return replace(state, late=min(late, config.late), early=min(early, state.recovery_frames))


def _never() -> bool:
    return False


@dataclass
class Ladder:
    """Degrades a live run step by step while its frames are too old, and restores it in reverse order. Used
    from one thread."""

    deadline: float
    """Seconds that a frame may be old when it leaves."""
    steps: Sequence[DegradationStep]
    """Steps, in the order in which they are taken."""
    notify: Callable[[str], None]
    """Gets one sentence per change."""
    waiting: Callable[[], bool] = _never
    """True while a change has not taken effect, so that ages mean nothing."""
    state: LadderState = field(default_factory=LadderState)
    changed: int = 0
    """The number of changes so far."""
    changes: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=100))
    """The last hundred: (frame index, sentence)."""

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the steps that are taken."""
        return tuple(step.name for step in self.steps[: self.state.step])

    def left(self, index: int, age: float) -> None:
        """A frame of this age (seconds) has left."""
        if self.waiting():
            return
        before = self.state.step
        self.state = next_state(self.state, age, LadderConfig(self.deadline, len(self.steps)))
        if self.state.step == before:
            return
        old = f"frames are {age * 1e3:.0f} ms old, {self.deadline * 1e3:.0f} are allowed"
        if self.state.step > before:
            step = self.steps[before]
            step.begin()
            said = f"{old}; now: {step.name}"
        else:
            step = self.steps[self.state.step]
            step.end()
            said = f"{old}; no longer: {step.name}"
        self.changed += 1
        self.changes.append((index, said))
        self.notify(said)
