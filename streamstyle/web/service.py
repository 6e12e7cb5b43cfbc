"""One run at a time, started, changed and stopped from a browser."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from streamstyle.config import LIVE, RunConfig
from streamstyle.control.requests import AddSink, RemoveSink, Request, Set, Status, Switch
from streamstyle.control.run_controller import Answer, RunController, changed
from streamstyle.errors import ConfigError, StreamStyleError
from streamstyle.flow import Event, Future, Lock, StopRequest
from streamstyle.urls import masked
from streamstyle.web.room_state import RoomState

_START_TIMEOUT = 60.0
"""Seconds that a source may take to open before `start` answers that it still does."""


class StartRun(Protocol):
    """Runs to the end of the source, or until it is stopped. Raises StreamStyleError."""

    def __call__(
        self,
        source: str,
        config: RunConfig,
        *,
        stop: StopRequest,
        ready: Callable[[RunController], None],
        notify: Callable[[str], None],
    ) -> object: ...


@dataclass
class Output:
    """An output that the page shows. wanted: True if runs write it. failed: the reason if it has failed,
    otherwise None."""

    url: str
    wanted: bool = True
    failed: str | None = None


@dataclass
class _Run:
    """The current run, or the last one. ready_or_ended: set when it has a controller or has ended.
    why: the reason that it ended early."""

    source: str
    stop: StopRequest = field(default_factory=StopRequest)
    ready_or_ended: Event = field(default_factory=Event)
    controller: RunController | None = None
    future: Future[object] | None = None
    why: str | None = None

    @property
    def is_running(self) -> bool:
        return self.future is not None and not self.future.ready


class Service:
    """Answers requests from any thread: during a run through its controller, otherwise by changing the start
    of the next one. Outputs are written during every run, and the failure of one does not affect the
    others."""

    def __init__(
        self,
        start_run: StartRun,
        state: RoomState,
        notify: Callable[[str], None] = lambda _: None,
        on_change: Callable[[RoomState], None] = lambda _: None,
    ) -> None:
        """state: the initial state; the first run still needs `start`. notify: gets the messages of runs.
        on_change: gets the state whenever it may have changed, before the request for the change is
        answered."""
        self._notify_others, self._on_change = notify, on_change
        self._start_run = start_run
        self._lock, self._on_change_lock = Lock(), Lock()
        self._config = state.config
        self.source = state.source
        self._running = state.running
        self._outputs = {url: Output(url, wanted) for url, wanted in state.outputs.items()}
        self._run: _Run | None = None
        self._failure = Event()
        self._messages: deque[tuple[float, str]] = deque(maxlen=20)

    @property
    def config(self) -> RunConfig:
        """The settings of the current run, or of the next."""
        controller = self._controller
        return self._config if controller is None else controller.config

    @property
    def state(self) -> RoomState:
        """The state that users have requested."""
        outputs = {output.url: output.wanted for output in list(self._outputs.values())}
        return RoomState(self.config, self.source, outputs, self._running)

    @property
    def metrics(self) -> str:
        """Figures for Prometheus; empty without a run."""
        controller = self._controller
        return "" if controller is None else controller.figures()

    @property
    def failed(self) -> str | None:
        """The reason that the last run ended early; None of one that goes on, or ended well."""
        run = self._run
        return None if run is None or run.is_running else run.why

    def wait_for_failure(self) -> str:
        """Wait until a run has ended early; returns the reason."""
        while (why := self.failed) is None:
            self._failure.wait()
            self._failure.clear()
            run = self._run
            if run is not None and run.future is not None:
                run.future.wait()
        return why

    @property
    def wanted(self) -> tuple[str, ...]:
        """The outputs that are written whenever a run goes on."""
        return tuple(output.url for output in self._outputs.values() if output.wanted)

    def start(self, source: str | None = None) -> Answer:
        """Start a run of this source, or of the previous one; during a run, change to the source.

        Returns once the run accepts requests. Raises the error if the run cannot start."""
        with self._lock:
            source = source or self.source
            if source is None:
                raise ConfigError("no source is chosen yet: choose one")
            run = self._run
            if run is not None and run.is_running:
                if run.controller is None:
                    raise ConfigError("another source is being opened: wait for it, or stop it")
                run.controller.answer(Switch(source=source))
                self.source = run.source = source
                self._report_change()
                return self.status()
            run = self._begin(source)
            self._report_change()
        if run.ready_or_ended.wait(_START_TIMEOUT) and run.controller is None and run.future is not None:
            run.future.wait()
        if not run.is_running and run.why is not None:
            raise ConfigError(run.why)
        return self.status()

    def stop(self) -> Answer:
        """End the run well; returns once it has ended."""
        self._running = False
        self._report_change()
        self.close()
        return self.status()

    def answer(self, request: Request) -> Answer:
        """Answer as `RunController.answer` does. Raises StreamStyleError."""
        match request:
            case Status():
                return self.status()
            case Switch():
                return self.start(request.source)
            case AddSink():
                return self._add(request.sink)
            case RemoveSink():
                return self._remove(request.sink)
        controller = self._controller
        if controller is not None:
            answer = controller.answer(request)
            self._config = controller.config
            self._report_change()
            return answer if "file" in answer else self.status()
        if not isinstance(request, Set):
            raise ConfigError("no run is going on: start a source first")
        self._config = changed(self._config, request)
        self._report_change()
        return self.status()

    def forget(self, url: str) -> Answer:
        """Do not show an output any more."""
        self._remove(url)
        self._outputs.pop(url, None)
        self._report_change()
        return self.status()

    def status(self) -> Answer:
        """The state of server and run, in JSON values."""
        run, controller, config = self._run, self._controller, self.config
        running = None if controller is None else _run_status(controller)
        return {
            "state": _state(run),
            "why": None if run is None or run.is_running else run.why,
            "source": None if self.source is None else masked(self.source),
            "settings": {name: getattr(config, name) for name in LIVE},
            "outputs": [self._output(output, running) for output in list(self._outputs.values())],
            "said": [{"at": round(at, 3), "sentence": sentence} for at, sentence in list(self._messages)],
            "run": running,
        }

    def close(self) -> None:
        """End the run, and wait for it. The state still says that it runs, so that a room with this state
        starts it again."""
        with self._lock:
            run = self._run
            if run is not None and run.future is not None:
                run.stop.request()
                run.future.wait()

    @property
    def _controller(self) -> RunController | None:
        run = self._run
        return (
            None
            if run is None or not run.is_running or run.controller is None or run.controller.closed
            else run.controller
        )

    def _begin(self, source: str) -> _Run:
        run = self._run = _Run(source)
        self.source, self._running = source, True
        for output in self._outputs.values():
            output.failed = None

        def ready(controller: RunController) -> None:
            run.controller = controller
            run.ready_or_ended.set()
            Future(partial(self._attach_all, controller), "outputs")

        def run_to_end() -> object:
            try:
                return self._start_run(source, self._config, stop=run.stop, ready=ready, notify=self._notify)
            except StreamStyleError as error:
                run.why = str(error)
                self._failure.set()
                return None
            finally:
                run.ready_or_ended.set()

        run.future = Future(run_to_end, "run")
        return run

    def _attach_all(self, controller: RunController) -> None:
        for output in list(self._outputs.values()):
            if output.wanted:
                self._attach(controller, output)

    def _attach(self, controller: RunController, output: Output) -> None:
        try:
            controller.answer(AddSink(sink=output.url))
            output.failed = None
        except StreamStyleError as error:
            output.failed = str(error)

    def _add(self, url: str) -> Answer:
        output = self._outputs.setdefault(url, Output(url))
        controller = self._controller
        if controller is not None:
            self._detach(controller, output)  # one that failed is restarted
            self._attach(controller, output)
        output.wanted = output.failed is None
        self._report_change()
        if output.failed is not None:
            raise ConfigError(output.failed)
        return self.status()

    def _remove(self, url: str) -> Answer:
        output = next((o for o in self._outputs.values() if url in {o.url, masked(o.url)}), None)
        if output is None:
            raise ConfigError(f"there is no output {url:.80}")
        controller = self._controller
        if controller is not None and output.wanted:
            self._detach(controller, output)
        output.wanted, output.failed = False, None
        self._report_change()
        return self.status()

    def _detach(self, controller: RunController, output: Output) -> None:
        name = masked(output.url)
        if any(one["name"] == name for one in _run_status(controller)["outputs"]):
            controller.answer(RemoveSink(sink=name))

    def _output(self, output: Output, running: Answer | None) -> dict[str, Any]:
        name = masked(output.url)
        running_output = (
            {} if running is None else {one["name"]: one for one in running["outputs"]}.get(name, {})
        )
        why = running_output.get("failed") or output.failed
        state = (
            "failed" if why else "running" if running_output else "waiting" if output.wanted else "stopped"
        )
        return {"name": name, "state": state, "why": why, "dropped": running_output.get("dropped", 0)}

    def _report_change(self) -> None:
        with self._on_change_lock:  # so that the last reported state is the latest
            self._on_change(self.state)

    def _notify(self, sentence: str) -> None:
        self._messages.append((time.time(), sentence))
        self._notify_others(sentence)


def _run_status(controller: RunController) -> Answer:
    return controller.answer(Status())


def _state(run: _Run | None) -> str:
    if run is None:
        return "idle"
    if run.is_running:
        return "starting" if run.controller is None else "running"
    return "failed" if run.why else "ended"
