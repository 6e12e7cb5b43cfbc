"""Changes to a run while it runs, and the controller that takes them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from streamstyle.config import RunConfig
from streamstyle.control.endpoint import serve
from streamstyle.control.freeze_frame import FreezeFrame
from streamstyle.control.recorder import Recorder
from streamstyle.control.run_controller import RunController, RunHandles, same_region
from streamstyle.control.style_scheduler import StyleTarget
from streamstyle.engines.live_engine import LiveEngine
from streamstyle.errors import ConfigError
from streamstyle.files import make_folder
from streamstyle.flow import Flow, FlowStatus, Future, Outlet, SwitchedSource
from streamstyle.media.open import is_file, open_sink
from streamstyle.media.zmq_control import ControlSocket
from streamstyle.pipeline.chain import ProcessingChain, detector_and_limiter
from streamstyle.pipeline.conditions import region_opener
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.live_run import outlet
from streamstyle.pipeline.model import Model, load_model
from streamstyle.pipeline.network import ModelChoice
from streamstyle.pipeline.outputs import encoding_of, refuse_overlap
from streamstyle.pipeline.quality_levels import quality_levels
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_tap import TAP_NAME, RunTap, source_opener
from streamstyle.temporal.detector import NullDetector
from streamstyle.temporal.scene_smoothing import SceneSmoothing
from streamstyle.types import FlashLimiter, Sink, StreamInfo
from streamstyle.urls import masked

RECORDING = "recording"
"""Name of the recorder in figures."""

_SHUTDOWN_SECONDS = 1.0
"""Seconds that the last request may take once the run has ended."""


@dataclass(frozen=True)
class ChangeableRun:
    """A run in the making that others may change. shown: stands for `process`. recorder: one more sink."""

    job: Job
    config: RunConfig
    model: Model
    source: SwitchedSource
    info: StreamInfo
    chain: ProcessingChain
    freeze_frame: FreezeFrame
    recorder: Recorder | None
    notify: Callable[[str], None]
    tap: RunTap | None = None

    @property
    def outlets(self) -> list[Outlet]:
        """Sinks that the changes need."""
        made = []
        if self.recorder is not None:
            made.append(Outlet(self.recorder, RECORDING, self.config.queue, stop_timeout=60.0))
        if self.tap is not None:
            made.append(Outlet(self.tap.sink, TAP_NAME, self.config.live_queue, stop_timeout=1.0))
        return made

    def open(
        self, stack: ExitStack, flow: Flow, figures: Callable[[], str], ready: Callable[[RunController], None]
    ) -> None:
        """Serve requests until the stack is closed; `ready` gets the controller. figures: for Prometheus.

        Raises ConfigError, SinkError."""
        info = self.info
        handles = RunHandles(
            scheduler=self.chain.scheduler,
            target=partial(self._target, info),
            switch=self._switch,
            attach=partial(self._attach, info, flow),
            detach=flow.detach,
            freeze_frame=self.freeze_frame,
            recorder=self.recorder,
            captures=self.job.captures,
            facts=partial(self._facts, info, flow),
            figures=figures,
            live=info.live,
        )
        controller = RunController(self.config, self.job.source, handles)
        stack.callback(controller.close)
        if self.job.control is not None:
            wire = ControlSocket(self.job.control)
            self.notify(f"control at {self.job.control}")
            serving = Future(partial(serve, wire, controller), "control")
            stack.callback(partial(_leave, serving, controller))
        ready(controller)

    def _switch(self, url: str, timeout: float) -> None:
        """See `RunHandles.switch`."""
        config, film = self.config, is_file(url)
        decoder = config.decoder if film else "cpu"
        config = replace(config, decoder=decoder, live=(config.live or self.source.paced) and not film)
        self.source.switch(source_opener(self.tap)(url, config), timeout)

    def _attach(self, info: StreamInfo, flow: Flow, url: str) -> None:
        """See `RunHandles.attach`."""
        refuse_overlap([url], self.job.source)
        config = self.config
        sink = open_sink(url, info, encoding_of(config), notify=self.notify)
        try:
            flow.attach(outlet(masked(url), url, sink, config, live=info.live, optional=True))
        except ConfigError:
            sink.close(complete=False)
            raise

    def _target(
        self, info: StreamInfo, config: RunConfig, before: RunConfig, asked: StyleTarget
    ) -> tuple[StyleTarget, Callable[[], None]]:
        """See `RunHandles.target`."""
        codes = asked.codes
        if _code_settings(config) != _code_settings(before):
            codes = self.model.codes_of(config)
        ema_decay, apply = asked.ema_decay, self._engine_for(info, config, before)
        if config.consistency != before.consistency:
            ema_decay = SceneSmoothing(config.consistency).of if config.consistency else None
        region, opener = asked.region, region_opener(config)
        if not same_region(config, before):
            region = None if opener is None else opener(info.height, info.width)
        return StyleTarget(codes, region, ema_decay, config.style, config.colour), apply

    def _engine_for(self, info: StreamInfo, config: RunConfig, before: RunConfig) -> Callable[[], None]:
        """A function that changes the consistency. In a live run it also changes to an engine with or without
        statistics, and to one with masks. A film's engine opens its graph with masks by itself."""
        engine, detector = self.chain.engine, None
        flash_limiter: FlashLimiter | None = None
        live = isinstance(engine, LiveEngine)
        switched = bool(config.consistency) != bool(before.consistency)
        if switched and not live:
            raise ConfigError("consistency cannot be switched on or off within a film: start another run")
        if _detection_settings(config) != _detection_settings(before):
            detector, flash_limiter = detector_and_limiter(config, normalises=self.model.normalises)
            detector = detector or NullDetector()
        levels = None
        if live and (switched or (config.region is not None and before.region is None)):
            levels = quality_levels(load_model(config, self.notify), info, config)

        def apply() -> None:
            if detector is not None and self.chain.detection is not None:
                self.chain.detection.detector.use(detector)
                self.chain.detection.flash_limiter.use(flash_limiter)
            if levels is not None and isinstance(engine, LiveEngine):
                engine.set_levels(levels)

        return apply

    def _facts(self, info: StreamInfo, flow: Flow) -> dict[str, Any]:
        """See `RunHandles.facts`."""
        status, engine = flow.status(), self.chain.engine
        ages = {name: age.summary() for name, age in status.ages.items() if name != RECORDING}
        live = isinstance(engine, LiveEngine)
        return {
            "live": info.live,
            "size": [info.width, info.height],
            "engine": engine.spec.to_json(),
            "opening": engine.opening if isinstance(engine, LiveEngine) else "",
            "unpainted": engine.unpainted if isinstance(engine, LiveEngine) else 0,
            "frames_in": status.captured,
            "frames_out": status.left,
            "fps": round(status.fps, 2),
            "flagged": self.chain.events.flagged_frames,
            "dropped": sum(n for name, n in status.drops.items() if name != RECORDING),
            "drops": dict(status.drops),
            "late": {f"p{share * 100:g}_ms": _late(status, share) for share in (0.5, 0.99)},
            "seconds": round(status.seconds, 3),
            "age": ages if live else {},
            "outputs": [
                {
                    "name": name,
                    "dropped": dropped,
                    "failed": status.failed.get(name),
                    "stuck": name in status.stuck,
                }
                for name, dropped in status.drops.items()
                if name not in {"capture", RECORDING, TAP_NAME}
            ],
            "silent": status.stalled,
        }


def changeable_run(
    job: Job,
    chosen: ModelChoice,
    source: SwitchedSource,
    info: StreamInfo,
    chain: ProcessingChain,
    freeze_frame: FreezeFrame,
    hooks: RunHooks,
) -> ChangeableRun:
    """Prepare a run for changes. Raises SinkError where the folder for captures cannot be made."""
    recorder = None
    if job.captures is not None:
        make_folder(job.captures)

        def open_film(path: Path) -> Sink:
            return open_sink(str(path), info, encoding_of(chosen.config), notify=hooks.notify)

        recorder = Recorder(job.captures, open_film)
    return ChangeableRun(
        *(job, chosen.config, chosen.model, source, info, chain, freeze_frame, recorder),
        notify=hooks.notify,
        tap=hooks.tap,
    )


def _late(status: FlowStatus, share: float) -> float:
    """Percentile of the recent ages in ms, at the slowest output."""
    return round(1e3 * max((ages.recent(share) for ages in status.ages.values()), default=0.0), 1)


def _code_settings(config: RunConfig) -> tuple[object, ...]:
    """The settings that codes come from."""
    inside = None if config.region is None else config.region_style
    return config.style, config.strength, config.turn, inside


def _detection_settings(config: RunConfig) -> tuple[object, ...]:
    """The settings that detector_and_limiter are made of."""
    return config.consistency, config.correct, config.flash_guard


def _leave(serving: Future[None], controller: RunController) -> None:
    controller.close()
    try:
        serving.result(_SHUTDOWN_SECONDS)
    except TimeoutError:
        return  # a source that is being opened; the thread ends with it
