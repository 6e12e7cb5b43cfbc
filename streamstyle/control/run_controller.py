"""Carries out what is asked of a run, or says why not and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from streamstyle.config import RunConfig
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

_REGIONAL = ("region", "region_style", "region_feather")
_JUDGED = ("correct", "flash_guard")


@dataclass(frozen=True)
class RunHandles:
    """What of a run can be moved.

    target: the look that settings mean, given those before and their look, whose region is used again where
    it is the same, and what else is to be called for them; raises what a start with them would raise.
    switch: reads another source, within seconds. attach, detach: write to one more output, finish one by its
    name. facts: figures for the status. figures: the same for Prometheus.
    live: does the source go on by itself? captures: the folder for snapshots; None writes none.
    """

    scheduler: StyleScheduler
    target: Callable[[RunConfig, RunConfig, StyleTarget], tuple[StyleTarget, Callable[[], None]]]
    switch: Callable[[str, float], None]
    attach: Callable[[str], None]
    detach: Callable[[str], None]
    freeze_frame: FreezeFrame
    recorder: Recorder | None
    captures: Path | None
    facts: Callable[[], Mapping[str, Any]]
    figures: Callable[[], str]
    live: bool


class RunController:
    """Answers one request after another, from any thread."""

    def __init__(self, config: RunConfig, source: str, handles: RunHandles) -> None:
        self._lock = Lock()
        self._config = config
        self._source = source
        self._handles = handles
        self.closed = False

    @property
    def config(self) -> RunConfig:
        """The settings that hold now."""
        return self._config

    def figures(self) -> str:
        """Figures for Prometheus."""
        return self._handles.figures()

    def close(self) -> None:
        """The run is over: nothing is done any more."""
        self.closed = True

    def answer(self, request: Request) -> Answer:
        """Do it, and say what came of it: the status, or the file that was written, in JSON values.

        Raises StreamStyleError where it cannot be done; nothing has changed then.
        """
        if self.closed:
            raise ConfigError("the run is over")
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
            raise ConfigError(f"cannot {what} a film: every frame of it is painted, in its own time")

    def _snapshot(self) -> Path:
        folder, last = self._handles.captures, self._handles.freeze_frame.last
        if folder is None:
            raise ConfigError("this run was started without a folder for captures: give it one (--captures)")
        if last is None:
            raise ConfigError("no frame has left yet, so there is no picture to keep")
        path = folder / free_name(folder, "snapshot", ".png")
        write_picture(path, last.pixels)
        return path

    @property
    def _recorder(self) -> Recorder:
        if self._handles.recorder is None:
            raise ConfigError("this run was started without a folder for captures: give it one (--captures)")
        return self._handles.recorder

    def _status(self) -> Answer:
        config, handles = self._config, self._handles
        recording = None if handles.recorder is None else handles.recorder.path
        return {
            "style": config.style,
            "strength": config.strength,
            "turn": config.turn,
            "colour": config.colour,
            "consistency": config.consistency,
            "region": config.region,
            "region_style": config.region_style if config.region else None,
            "region_feather": config.region_feather,
            "correct": config.correct,
            "flash_guard": config.flash_guard,
            "fading": handles.scheduler.fading,
            "source": self._source,
            "paused": handles.freeze_frame.held,
            "recording": None if recording is None else str(recording),
            **handles.facts(),
        }


def changed(config: RunConfig, request: Set) -> RunConfig:
    """The settings after the request; "none" takes a turn or a region away, with the style in it."""
    names = ("style", "strength", "turn", "colour", "consistency", *_REGIONAL, *_JUDGED)
    given = {name: getattr(request, name) for name in names if getattr(request, name) is not None}
    if not given:
        raise ConfigError(f"nothing is to be set: name one of {', '.join(names)}")
    for name in ("region", "turn"):
        if given.get(name) == NONE:
            given[name] = None
            if name == "region" and "region_style" not in given:
                given["region_style"] = RunConfig().region_style
    return replace(config, **given)


def same_region(a: RunConfig, b: RunConfig) -> bool:
    """Do both settings mean the same region, whatever the style in it?"""
    return (a.region, a.region_feather) == (b.region, b.region_feather)
