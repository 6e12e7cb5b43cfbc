"""Freeze of the picture that viewers see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from streamstyle.errors import ConfigError
from streamstyle.types import Frame


class FreezeFrame:
    """Passes on the frames of `process`, or the held picture. `hold` and `release` may be called from any
    thread."""

    def __init__(self, process: Callable[[Iterable[Frame | None]], Iterator[Frame]]) -> None:
        self._process = process
        self._held: Frame | None = None
        self.last: Frame | None = None

    @property
    def held(self) -> bool:
        """True while the picture is frozen."""
        return self._held is not None

    def hold(self) -> None:
        """Show the last picture until `release`; time goes on. Raises ConfigError if no frame has left
        yet."""
        if self.last is None:
            raise ConfigError("the run has delivered no frame yet, so there is no picture to freeze")
        self._held = self._held or self.last

    def release(self) -> None:
        """Show new pictures again."""
        self._held = None

    def __call__(self, frames: Iterable[Frame | None]) -> Iterator[Frame]:
        """Frames as `process` yields them, one for each."""
        for frame in self._process(frames):
            held = self._held
            if held is None:
                self.last = frame
            else:
                self.last = replace(frame, pixels=held.pixels, style=held.style, quality=None)
            yield self.last
