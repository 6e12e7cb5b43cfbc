"""Callables by which a program follows a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamstyle.control.run_controller import RunController
from streamstyle.pipeline.job import Progress
from streamstyle.pipeline.run_tap import RunTap


def _ignore(_told: object) -> None:
    """The default of a hook."""


@dataclass(frozen=True)
class RunHooks:
    """Callables that a run calls. None of them may wait."""

    on_progress: Callable[[Progress], None] = _ignore
    """Called after each painted frame, in the thread of the run."""
    notify: Callable[[str], None] = _ignore
    """Gets sentences that the user should read at once: an engine is compiled, an output is cut off. Called
    from any thread."""
    ready: Callable[[RunController], None] | None = None
    """Gets the controller before the first frame; None if the program changes nothing while the job runs."""
    tap: RunTap | None = None
    """Gets the frames; None for a run without a viewer."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, monotonic, of the summary."""
