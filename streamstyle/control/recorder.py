"""A recording that starts and stops while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from streamstyle.errors import ConfigError, SinkError
from streamstyle.flow import Lock
from streamstyle.types import Frame, MediaReport, Sink


class Recorder:
    """A Sink of the run that writes to a film of its own between `start` and `stop`, which may be called from
    any thread. A recording that fails ends as a failed run does, and the run goes on.

    Counters: `recordings`, `frames`.
    """

    def __init__(self, folder: Path, open_film: Callable[[Path], Sink]) -> None:
        self._folder = folder
        self._open_film = open_film
        self._lock = Lock()
        self._film: tuple[Path, Sink] | None = None
        self._notes: list[str] = []
        self._recordings = self._frames = 0

    @property
    def path(self) -> Path | None:
        """The file that is being written, or None."""
        film = self._film
        return None if film is None else film[0]

    def start(self, name: str | None) -> Path:
        """Begin with the next frame. Raises ConfigError, SinkError."""
        if self._film is not None:
            raise ConfigError(f"{self._film[0]} is being recorded: stop that first")
        name = name or free_name(self._folder, "recording", ".mp4")
        path = self._folder / name
        if path.name != name or name.startswith("."):
            raise ConfigError(f"'{name}' is no name of a file in {self._folder}: leave folders out")
        if path.exists():
            raise ConfigError(f"{path} is there already: choose another name")
        film = self._open_film(path)
        with self._lock:
            self._film = path, film
        return path

    def stop(self) -> Path:
        """Finish the file. Raises ConfigError if nothing is being recorded, SinkError."""
        with self._lock:
            film, self._film = self._film, None
        if film is None:
            raise ConfigError("nothing is being recorded")
        film[1].close(complete=True)
        self._kept(film[1])
        return film[0]

    def write(self, frame: Frame) -> None:
        """See `streamstyle.types.Sink`."""
        with self._lock:
            if self._film is None:
                return
            try:
                self._film[1].write(frame)
                self._frames += 1
            except SinkError as error:
                film, self._film = self._film, None
                self._notes.append(f"The recording {film[0]} ended early: {error}")
                film[1].close(complete=False)
                self._kept(film[1])

    def close(self, *, complete: bool) -> None:
        """See `streamstyle.types.Sink`; finishes a recording that is still running."""
        with self._lock:
            film, self._film = self._film, None
        if film is not None:
            film[1].close(complete=complete)
            self._kept(film[1])

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({"recordings": self._recordings, "frames": self._frames}, tuple(self._notes))

    def _kept(self, film: Sink) -> None:
        self._recordings += 1
        self._notes += film.report().notes


def free_name(folder: Path, what: str, suffix: str) -> str:
    """A file name from the clock that does not exist in the folder."""
    stem = time.strftime(f"{what}-%Y%m%d-%H%M%S")
    name, count = f"{stem}{suffix}", 1
    while (folder / name).exists():
        count += 1
        name = f"{stem}-{count}{suffix}"
    return name
