"""Carries out control requests on a run, or refuses them and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from streamstyle.config import LIVE, RunConfig
from streamstyle.control.freeze_frame import FreezeFrame
from streamstyle.control.recorder import Recorder, free_name
from streamstyle.control.requests import (
    NONE,
    AddSink,
    Pause,
    Record,
    RemoveSink,
    Request,
    Resume,
    Set,
    Snapshot,
    Status,
    StopRecording,
    Switch,
)
from streamstyle.control.style_scheduler import StyleScheduler, StyleTarget
from streamstyle.errors import ConfigError
from streamstyle.files import write_picture
from streamstyle.flow import Lock

Answer: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class RunHandles:
    """The parts of a run that a controller can change."""

    scheduler: StyleScheduler
    target: Callable[[RunConfig, RunConfig, StyleTarget], tuple[StyleTarget, Callable[[], None]]]
    """The style target of new settings, given the old settings and their target, whose region is used again
    if it is the same; and a call that makes the remaining changes. Raises the errors of a start with these
    settings."""
    switch: Callable[[str, float], None]
    """Reads another source, within the given seconds."""
    attach: Callable[[str], None]
    """Writes to one more output."""
    detach: Callable[[str], None]
    """Finishes an output, by its name."""
    freeze_frame: FreezeFrame
    recorder: Recorder | None
    captures: Path | None
    """Folder for snapshots and recordings; None allows neither."""
    facts: Callable[[], Mapping[str, Any]]
    """Figures for the status."""
    figures: Callable[[], str]
    """The same for Prometheus."""
    live: bool
    """True if the source goes on by itself."""


class RunController:
    """Answers control requests, one after another, from any thread."""

    def __init__(self, config: RunConfig, source: str, handles: RunHandles) -> None:
        self._lock = Lock()
        self._config = config
        self._source = source
        self._handles = handles
        self.closed = False

    @property
    def config(self) -> RunConfig:
        """The current settings."""
        return self._config

    def figures(self) -> str:
        """Figures for Prometheus."""
        return self._handles.figures()

    def close(self) -> None:
        """End of the run: refuse everything from now on."""
        self.closed = True

    def answer(self, request: Request) -> Answer:
        """Carry out a request and return the status, or the file that was written, as JSON values.

        Raises StreamStyleError if it cannot be done; nothing has changed then.
        """
        if self.closed:
            raise ConfigError("the run has ended")
        if isinstance(request, Status):  # never kept waiting by a source that does not open
            return self._status()
        with self._lock:
            if isinstance(request, Snapshot | Record | StopRecording):
                return {"file": str(self._file(request))}
            self._change(request)
        return self._status()

    def _file(self, request: Snapshot | Record | StopRecording) -> Path:
        match request:
            case Record():
                return self._recorder.start(request.name)
            case StopRecording():
                return self._recorder.stop()
        return self._snapshot()

    def _change(self, request: Request) -> None:
        match request:
            case Set():
                self._set(request)
            case Switch():
                self._switch(request)
            case AddSink():
                self._handles.attach(request.sink)
            case RemoveSink():
                self._handles.detach(request.sink)
            case Pause():
                self._need_live("hold the picture of")
                self._handles.freeze_frame.hold()
            case Resume():
                self._handles.freeze_frame.release()

    def _set(self, request: Set) -> None:
        before = self._config
        config = changed(before, request)
        if config == before:
            return
        handles = self._handles
        target, also = handles.target(config, before, handles.scheduler.target)
        also()
        handles.scheduler.ask(target, request.fade)
        self._config = config

    def _switch(self, request: Switch) -> None:
        self._need_live("put another source in the place of")
        self._handles.switch(request.source, request.timeout)
        self._source = request.source

    def _need_live(self, what: str) -> None:
        if not self._handles.live:
            raise ConfigError(f"cannot {what} a film, only a live source: every frame of a film is painted")

    def _snapshot(self) -> Path:
        folder, last = self._handles.captures, self._handles.freeze_frame.last
        if folder is None:
            raise ConfigError("this run has no folder for captures: start it with --captures FOLDER")
        if last is None:
            raise ConfigError("the run has delivered no frame yet, so there is no picture to save")
        path = folder / free_name(folder, "snapshot", ".png")
        write_picture(path, last.pixels)
        return path

    @property
    def _recorder(self) -> Recorder:
        if self._handles.recorder is None:
            raise ConfigError("this run has no folder for captures: start it with --captures FOLDER")
        return self._handles.recorder

    def _status(self) -> Answer:
        config, handles = self._config, self._handles
        recording = None if handles.recorder is None else handles.recorder.path
        return {
            **{name: getattr(config, name) for name in LIVE},
            "region_style": config.region_style if config.region else None,
            "fading": handles.scheduler.fading,
            "source": self._source,
            "paused": handles.freeze_frame.held,
            "recording": None if recording is None else str(recording),
            **handles.facts(),
        }


def changed(config: RunConfig, request: Set) -> RunConfig:
    """The settings after the request; "none" removes a turn, or a region with its style."""
    given = {name: getattr(request, name) for name in LIVE if getattr(request, name) is not None}
    if not given:
        raise ConfigError(f"set needs at least one setting: name one of {', '.join(LIVE)}")
    for name in ("region", "turn"):
        if given.get(name) == NONE:
            given[name] = None
            if name == "region" and "region_style" not in given:
                given["region_style"] = RunConfig().region_style
    return replace(config, **given)


def same_region(a: RunConfig, b: RunConfig) -> bool:
    """True if both settings have the same region, in any style."""
    return (a.region, a.region_feather) == (b.region, b.region_feather)
