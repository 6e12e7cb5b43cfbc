"""A recording that starts and stops while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from streamstyle.errors import ConfigError, SinkError
from streamstyle.flow import Lock
from streamstyle.types import Frame, MediaReport, Sink


class Recorder:
    """A Sink of the run that writes a separate film between `start` and `stop`, which may be called from any
    thread. If a recording fails, its file is kept as that of a failed run, and the run goes on.

    Counters: `recordings`, `frames`.
    """

    def __init__(self, folder: Path, open_film: Callable[[Path], Sink]) -> None:
        self._folder = folder
        self._open_film = open_film
        self._lock = Lock()
        self._film: Sink | None = None
        self._path: Path | None = None
        self._notes: list[str] = []
        self._recordings = self._frames = 0

    @property
    def path(self) -> Path | None:
        """The file that is being written, until it is whole; None without a recording."""
        return self._path

    def start(self, name: str | None) -> Path:
        """Begin with the next frame. Raises ConfigError, SinkError."""
        if self._path is not None:
            raise ConfigError(f"{self._path} is being recorded: stop that first")
        name = name or free_name(self._folder, "recording", ".mp4")
        path = self._folder / name
        if path.name != name or name.startswith("."):
            raise ConfigError(
                f"'{name}' is not a valid file name in {self._folder}: give a name without a folder"
            )
        if path.exists():
            raise ConfigError(f"{path} already exists: choose another name")
        film = self._open_film(path)
        with self._lock:
            self._film, self._path = film, path
        return path

    def stop(self) -> Path:
        """Finish the file. Raises ConfigError if nothing is being recorded, SinkError."""
        path = self._path
        if path is None or not self._finish(complete=True):
            raise ConfigError("nothing is being recorded")
        return path

    def write(self, frame: Frame) -> None:
        """See `streamstyle.types.Sink`."""
        with self._lock:
            if self._film is None:
                return
            try:
                self._film.write(frame)
                self._frames += 1
                return
            except SinkError as error:
                self._notes.append(f"The recording {self._path} ended early: {error}")
        self._finish(complete=False)

    def close(self, *, complete: bool) -> None:
        """See `streamstyle.types.Sink`; finishes a recording that is still running."""
        self._finish(complete=complete)

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({"recordings": self._recordings, "frames": self._frames}, tuple(self._notes))

    def _finish(self, *, complete: bool) -> bool:
        """Close the film after the last frame; False if there is none."""
        with self._lock:
            film, self._film = self._film, None
        if film is None:
            return False
        try:
            film.close(complete=complete)
        finally:
            self._path = None  # only now does the file have its name
        self._recordings += 1
        self._notes += film.report().notes
        return True


def free_name(folder: Path, what: str, suffix: str) -> str:
    """A file name from the clock that does not exist in the folder."""
    stem = time.strftime(f"{what}-%Y%m%d-%H%M%S")
    name, count = f"{stem}{suffix}", 1
    while (folder / name).exists():
        count += 1
        name = f"{stem}-{count}{suffix}"
    return name
