"""The sinks of a run, which may come and go while frames leave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from streamstyle.errors import ConfigError
from streamstyle.flow.branch import Branch
from streamstyle.flow.channel import Policy
from streamstyle.flow.worker import Outlet
from streamstyle.types import Frame


class Branches:
    """Hands every frame to every sink.

    lock: held while a frame is handed out, since styled frames and fillers share one time line. over: no
    frame follows.
    """

    def __init__(self, outlets: Sequence[Outlet], policy: Policy) -> None:
        self._policy = policy
        self._all = tuple(Branch.to(outlet, policy) for outlet in outlets)
        self._start: Callable[[Branch], None] | None = None
        self.over = False
        self.lock = threading.Lock()

    def __iter__(self) -> Iterator[Branch]:
        return iter(self._all)

    def start(self, start: Callable[[Branch], None]) -> None:
        """Start the thread of each sink by this function, now and of those that come later."""
        with self.lock:
            self._start = start
            for branch in self._all:
                start(branch)

    def hand_out(self, frame: Frame) -> None:
        """Give a frame to every sink; the caller holds the lock. Raises Cancelled."""
        for branch in self._all:
            branch.put(frame)

    def end(self) -> None:
        """End the branches: every sink writes its waiting frames."""
        with self.lock:
            self.over = True
            for branch in self._all:
                branch.channel.end()

    def cancel(self) -> None:
        """Cancel: waiting frames are dropped."""
        self.over = True
        for branch in self._all:
            branch.channel.cancel()

    def attach(self, outlet: Outlet) -> None:
        """Serve one more sink. Raises ConfigError where one has this name, or no frame will follow."""
        with self.lock:
            if self.over:
                raise ConfigError("the run has ended")
            if any(branch.name == outlet.name for branch in self._all):
                raise ConfigError(f"{outlet.name} is already an output: remove it first")
            branch = Branch.to(outlet, self._policy)
            self._all = (*self._all, branch)
            if self._start is not None:
                self._start(branch)

    def detach(self, name: str) -> None:
        """Finish one sink; returns when it is closed or abandoned. Raises ConfigError if none has this
        name."""
        with self.lock:
            branch = next((b for b in self._all if b.name == name), None)
            if branch is None:
                known = ", ".join(b.name for b in self._all) or "none"
                raise ConfigError(f"there is no output {name}: there are {known}")
            branch.end()
        branch.finish()
        with self.lock:
            self._all = tuple(b for b in self._all if b is not branch)
