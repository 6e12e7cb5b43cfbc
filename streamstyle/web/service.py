"""One run at a time, begun, changed and ended from a browser."""

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

_STARTING = 60.0
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
    """An output that the page shows. wanted: is it to be written while a run goes on? failed: why it is
    not."""

    url: str
    wanted: bool = True
    failed: str | None = None


@dataclass
class _Run:
    """The run that goes on, or the last one. begun: it has a controller, or has ended without. why: it ended
    early."""

    source: str
    stop: StopRequest = field(default_factory=StopRequest)
    begun: Event = field(default_factory=Event)
    controller: RunController | None = None
    later: Future[object] | None = None
    why: str | None = None

    @property
    def going(self) -> bool:
        return self.later is not None and not self.later.ready


class Service:
    """Answers requests from any thread: with a run as its controller does, without one by changing how
    the next one begins. Outputs are written whenever a run goes on, and fail alone."""

    def __init__(
        self,
        start_run: StartRun,
        config: RunConfig,
        source: str | None,
        sinks: tuple[str, ...],
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        """source, sinks: of the command line; the first run begins with `start`. notify: hears what runs
        say."""
        self._heard = notify
        self._start_run = start_run
        self._lock = Lock()
        self._config = config
        self.source = source
        self._outputs = {url: Output(url) for url in sinks}
        self._run: _Run | None = None
        self._said: deque[tuple[float, str]] = deque(maxlen=20)

    @property
    def config(self) -> RunConfig:
        """The settings that hold now, or will when a run begins."""
        controller = self._controller
        return self._config if controller is None else controller.config

    @property
    def metrics(self) -> str:
        """Figures for Prometheus; empty without a run."""
        controller = self._controller
        return "" if controller is None else controller.figures()

    @property
    def failed(self) -> str | None:
        """Why the last run ended early; None of one that goes on, or ended well."""
        run = self._run
        return None if run is None or run.going else run.why

    @property
    def wanted(self) -> tuple[str, ...]:
        """The outputs that are written whenever a run goes on."""
        return tuple(output.url for output in self._outputs.values() if output.wanted)

    def start(self, source: str | None = None) -> Answer:
        """Begin a run of this source, or of the one before; the source is another one while one goes on.

        Returns once the run takes requests. Raises what keeps the run from starting."""
        with self._lock:
            source = source or self.source
            if source is None:
                raise ConfigError("no source was named yet: choose one")
            run = self._run
            if run is not None and run.going:
                if run.controller is None:
                    raise ConfigError("another source is being opened: wait for it, or stop it")
                run.controller.answer(Switch(source=source))
                self.source = run.source = source
                return self.status()
            run = self._begin(source)
        if run.begun.wait(_STARTING) and run.controller is None and run.later is not None:
            run.later.wait()
        if not run.going and run.why is not None:
            raise ConfigError(run.why)
        return self.status()

    def stop(self) -> Answer:
        """End the run well; returns once it has ended."""
        with self._lock:
            run = self._run
            if run is not None and run.later is not None:
                run.stop.request()
                run.later.wait()
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
            return answer if "file" in answer else self.status()
        if not isinstance(request, Set):
            raise ConfigError("nothing runs: start a source first")
        self._config = changed(self._config, request)
        return self.status()

    def forget(self, url: str) -> Answer:
        """Do not show an output any more."""
        self._remove(url)
        self._outputs.pop(url, None)
        return self.status()

    def status(self) -> Answer:
        """The state of server and run, in JSON values."""
        run, controller, config = self._run, self._controller, self.config
        running = None if controller is None else _answered(controller)
        return {
            "state": _state(run),
            "why": None if run is None or run.going else run.why,
            "source": None if self.source is None else masked(self.source),
            "settings": {name: getattr(config, name) for name in LIVE},
            "outputs": [self._output(output, running) for output in list(self._outputs.values())],
            "said": [{"at": round(at, 3), "sentence": said} for at, said in list(self._said)],
            "run": running,
        }

    def close(self) -> None:
        """End the run, and wait for it."""
        self.stop()

    @property
    def _controller(self) -> RunController | None:
        run = self._run
        return (
            None
            if run is None or not run.going or run.controller is None or run.controller.closed
            else run.controller
        )

    def _begin(self, source: str) -> _Run:
        run = self._run = _Run(source)
        self.source = source
        for output in self._outputs.values():
            output.failed = None

        def ready(controller: RunController) -> None:
            run.controller = controller
            run.begun.set()
            Future(partial(self._attach_all, controller), "outputs")

        def whole() -> object:
            try:
                return self._start_run(source, self._config, stop=run.stop, ready=ready, notify=self._notify)
            except StreamStyleError as error:
                run.why = str(error)
                return None
            finally:
                run.begun.set()

        run.later = Future(whole, "run")
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
            self._detach(controller, output)  # one that failed is begun anew
            self._attach(controller, output)
        if output.failed is not None:
            output.wanted = False
            raise ConfigError(output.failed)
        output.wanted = True
        return self.status()

    def _remove(self, url: str) -> Answer:
        output = next((o for o in self._outputs.values() if url in {o.url, masked(o.url)}), None)
        if output is None:
            raise ConfigError(f"there is no output {url:.80}")
        controller = self._controller
        if controller is not None and output.wanted:
            self._detach(controller, output)
        output.wanted, output.failed = False, None
        return self.status()

    def _detach(self, controller: RunController, output: Output) -> None:
        name = masked(output.url)
        if any(one["name"] == name for one in _answered(controller)["outputs"]):
            controller.answer(RemoveSink(sink=name))

    def _output(self, output: Output, running: Answer | None) -> dict[str, Any]:
        name = masked(output.url)
        served = {} if running is None else {one["name"]: one for one in running["outputs"]}.get(name, {})
        why = served.get("failed") or output.failed
        state = "failed" if why else "running" if served else "waiting" if output.wanted else "stopped"
        return {"name": name, "state": state, "why": why, "dropped": served.get("dropped", 0)}

    def _notify(self, sentence: str) -> None:
        self._said.append((time.time(), sentence))
        self._heard(sentence)


def _answered(controller: RunController) -> Answer:
    return controller.answer(Status())


def _state(run: _Run | None) -> str:
    if run is None:
        return "idle"
    if run.going:
        return "starting" if run.controller is None else "running"
    return "failed" if run.why else "ended"
