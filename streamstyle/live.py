"""A run under the control of a program (docs/live-control.md):

with Session("webcam:0", ["virtualcam:"], style="scream") as session:
    session.set(style="udnie", fade=2)
    session.snapshot()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from streamstyle.config import RunConfig
from streamstyle.control.requests import (
    AddSink,
    Pause,
    Record,
    RemoveSink,
    Request,
    Resume,
    Snapshot,
    Status,
    StopRecording,
    parse,
)
from streamstyle.control.run_controller import Answer, RunController
from streamstyle.errors import ConfigError
from streamstyle.flow import Event, Future, StopRequest
from streamstyle.pipeline.job import Job, RunSummary
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_job import run_job


class Session:
    """A run on its own thread, from entering the `with` block until its source ends or `stop`.

    Every verb takes effect from the next frame on. A verb raises ConfigError, or another error of the
    request, and has then changed nothing. After the run has failed, it raises the error that ended the run.
    Verbs may be called from any thread.
    """

    def __init__(
        self,
        source: str,
        sinks: Sequence[str],
        *,
        control: str | None = None,
        captures: str | Path | None = None,
        config: RunConfig | None = None,
        notify: Callable[[str], None] = lambda _: None,
        **settings: Any,
    ) -> None:
        """source, sinks: as for `streamstyle run`. control: an endpoint for other programs as well. captures:
        the folder for snapshots and recordings. config, settings: of `RunConfig`, by name. notify: called
        with sentences that the user should see at once. Raises ConfigError for a setting that does not
        fit."""
        folder = None if captures is None else Path(captures)
        self._job = Job(source, tuple(sinks), control=control, captures=folder)
        self._config = _settings(config or RunConfig(), settings)
        self._notify = notify
        self._stop = StopRequest()
        self._begun = Event()  # set as well when the run ends without a controller
        self._controller: RunController | None = None
        self._run: Future[RunSummary] | None = None

    def __enter__(self) -> Self:
        """Start, and return when changes can be requested. Raises the error that keeps the run from
        starting."""
        if self._run is not None:
            raise ConfigError("this session has already run: make another one")
        self._run = Future(self._work, "session")
        self._begun.wait()
        if self._controller is None:
            self._run.result()
        return self

    def _work(self) -> RunSummary:
        hooks = RunHooks(notify=self._notify, ready=self._take)
        try:
            return run_job(self._job, self._config, stop=self._stop, hooks=hooks)
        finally:
            self._begun.set()

    def _take(self, controller: RunController) -> None:
        self._controller = controller
        self._begun.set()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.request()
        if error is None:
            self.wait()
        elif self._run is not None:
            self._run.wait()  # the error in the block comes first

    def set(self, *, fade: float = 0.0, **settings: Any) -> Answer:
        """Change settings, those of `streamstyle.config.LIVE` by name. None leaves a setting as it is, "none"
        removes a turn or a region. fade: seconds of the frames' time for a fade to other codes. Returns the
        status."""
        given = {name: value for name, value in settings.items() if value is not None}
        return self._ask(parse({"do": "set", "fade": fade, **given}))

    def switch(self, source: str, timeout: float = 15.0) -> Answer:
        """Read another source; returns the status once its first frame has come, within `timeout` seconds."""
        return self._ask(parse({"do": "switch", "source": source, "timeout": timeout}))

    def add_sink(self, sink: str) -> Answer:
        """Write to one more output, as `streamstyle run` takes them; it ends alone where it fails."""
        return self._ask(AddSink(sink=sink))

    def remove_sink(self, sink: str) -> Answer:
        """Finish an output, by its name in the status; returns once it is closed."""
        return self._ask(RemoveSink(sink=sink))

    def pause(self) -> Answer:
        """Freeze the picture; time and sound go on."""
        return self._ask(Pause())

    def resume(self) -> Answer:
        """Show new pictures again."""
        return self._ask(Resume())

    def snapshot(self) -> Path:
        """Write the last picture as PNG; returns its path."""
        return Path(self._ask(Snapshot())["file"])

    def record(self, name: str | None = None) -> Path:
        """Begin a recording in the folder of captures, in the format of the name's suffix; returns its
        path."""
        return Path(self._ask(Record(name=name))["file"])

    def stop_recording(self) -> Path:
        """Finish the recording; returns its path."""
        return Path(self._ask(StopRecording())["file"])

    def status(self) -> Answer:
        """State of the run: settings and figures, as docs/live-control.md lists them."""
        return self._ask(Status())

    def stop(self) -> RunSummary:
        """End the run properly; returns its summary."""
        self._stop.request()
        return self.wait()

    def wait(self) -> RunSummary:
        """Wait for the end of the source; returns the summary. Raises the error that ended the run early."""
        if self._run is None:
            raise ConfigError("this session is not running: enter its `with` block first")
        return self._run.result()

    def _ask(self, request: Request) -> Answer:
        if self._controller is None or self._run is None:
            raise ConfigError("this session is not running: enter its `with` block first")
        if self._run.ready:
            self._run.result()
        return self._controller.answer(request)


def _settings(config: RunConfig, given: dict[str, Any]) -> RunConfig:
    known = RunConfig.__dataclass_fields__
    for name in given:
        if name not in known:
            raise ConfigError(f"unknown setting '{name}'")
    try:
        return msgspec.convert({**vars(config), **given}, RunConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a setting does not fit: {error}") from error
