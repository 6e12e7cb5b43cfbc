"""The source of a run: its thread, and the channel that it fills."""

from __future__ import annotations

from collections.abc import Callable

from streamstyle.flow.channel import Cancelled, Channel
from streamstyle.flow.worker import Inlet, Worker
from streamstyle.types import Frame

SOURCE_STOP_TIMEOUT = 0.8
"""Seconds that a source may take for its next frame once the run is to end."""


class Capture:
    """Reads a source into a channel."""

    def __init__(self, inlet: Inlet, channel: Channel[Frame]) -> None:
        self._inlet = inlet
        self.channel = channel
        self.worker = Worker("capture", SOURCE_STOP_TIMEOUT, inlet.interrupt)

    def read(self, ending: Callable[[], bool]) -> None:
        """Read to the end, or until the run is to end, then close the source; called on the worker's
        thread."""
        try:
            for frame in self.worker.each(self._inlet.frames):
                if ending():
                    break
                self.channel.put(frame)
            self.channel.end()
        except Cancelled:
            pass  # the run ended without waiting for this frame
        finally:
            with self.worker.inside():
                self._inlet.close()

    def give_up_if_stuck(self, ending_since: float, now: float) -> None:
        """See `Worker.hangs`."""
        if self.worker.hangs(ending_since, now):
            self.channel.end()
