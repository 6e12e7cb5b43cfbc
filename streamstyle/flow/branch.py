"""One sink of a run: the channel before it, and the thread that writes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

from streamstyle.errors import StreamStyleError
from streamstyle.flow.channel import Cancelled, Channel, Policy
from streamstyle.flow.timing import Ages
from streamstyle.flow.worker import Outlet, Worker, interruption, write_all
from streamstyle.types import Frame

_POLL_SECONDS = 0.02
"""Seconds between two looks whether a sink that is to finish is closed."""


@dataclass
class Branch:
    """outlet: its sink and limits. ages: of its frames. failure: why an optional one ended, otherwise empty.
    ending: True if it gets no more frames."""

    outlet: Outlet
    channel: Channel[Frame]
    worker: Worker
    ages: Ages = field(default_factory=Ages)
    failure: str = ""
    ending: bool = False

    @classmethod
    def to(cls, outlet: Outlet, policy: Policy) -> Self:
        """Ready to be started."""
        worker = Worker(outlet.name, outlet.stop_timeout, interruption(outlet.sink))
        return cls(outlet, Channel[Frame](outlet.capacity, policy), worker)

    @property
    def name(self) -> str:
        """Name of the outlet."""
        return self.outlet.name

    def put(self, frame: Frame) -> None:
        """Hand a frame to the sink, unless it is being finished. Raises Cancelled."""
        try:
            self.channel.put(frame)
        except Cancelled:
            if not self.ending:
                raise

    def write(self) -> None:
        """Write until the channel ends; called on the worker's thread. Raises the sink's errors."""
        write_all(self.outlet.sink, self.channel, self.worker, self.ages)

    def try_to_write(self) -> None:
        """Write as `write` does, but an error of the sink ends only this branch."""
        try:
            self.write()
        except StreamStyleError as error:
            self.failure = str(error)
            self.channel.abandon()

    def end(self) -> None:
        """Take no frame any more."""
        self.ending = True
        self.channel.end()

    def finish(self) -> None:
        """Let the sink write what waits and close it; give it up after its stop_timeout."""
        self.end()
        started = time.monotonic()
        while self.worker.running:
            self.worker.join(_POLL_SECONDS)
            self.give_up_if_stuck(started, time.monotonic())

    def give_up_if_stuck(self, ending_since: float, now: float) -> None:
        """See `Worker.hangs`."""
        if self.worker.hangs(ending_since, now) and self.worker.stuck:
            self.channel.abandon()
