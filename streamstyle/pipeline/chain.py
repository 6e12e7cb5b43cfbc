"""The chain between the source and the sinks of a run: engine, style scheduler, detector, corrector, flash
limiter."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from streamstyle.config import RunConfig
from streamstyle.control.style_scheduler import StyleScheduler, StyleTarget
from streamstyle.control.swappable_detector import SwappableDetector
from streamstyle.control.swappable_limiter import SwappableFlashLimiter
from streamstyle.engines.film_colour import FilmColourEngine, FilmColourRepainter
from streamstyle.engines.norm_stats import repainter_of
from streamstyle.errors import ConfigError
from streamstyle.explain.overlay import Overlay
from streamstyle.explain.run_report import AnomalyReport
from streamstyle.flow import Wakeup
from streamstyle.flow.timing import StageTimer
from streamstyle.pipeline.conditions import ema_decay_of, with_canvas
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.model import Model
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.quality_levels import open_live_engine, quality_levels
from streamstyle.pipeline.repair_stage import Repair, RepairStage
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_tap import Observers, RunTap
from streamstyle.pipeline.sizing import check_sizes, open_for_run
from streamstyle.pipeline.timed_repair import Stopwatch, TimedDetector, TimedRepair, UntimedObserver
from streamstyle.temporal.correction_plan import CorrectionPlanConfig
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import DetectorConfig, NullDetector, ResidualDetector
from streamstyle.temporal.flash_limiter import WcagFlashLimiter
from streamstyle.temporal.residual import UNKNOWN, StepTestConfig
from streamstyle.temporal.sparse_detector import SparseDetector
from streamstyle.types import (
    AnomalyEvent,
    Detector,
    Engine,
    Observer,
    Region,
    Repainter,
    StreamInfo,
)


@dataclass(frozen=True)
class StageTimers:
    """Busy times of the stages other than painting."""

    condition: StageTimer = field(default_factory=StageTimer)
    """Deciding how to paint it, a region's mask above all."""
    detect: StageTimer = field(default_factory=StageTimer)
    correct: StageTimer = field(default_factory=StageTimer)
    """All of the repair but detection."""
    overlay: StageTimer = field(default_factory=StageTimer)


@dataclass(frozen=True)
class Detection:
    """The detector and the flash limiter, each of which can be exchanged while frames pass."""

    detector: SwappableDetector
    flash_limiter: SwappableFlashLimiter
    sparse: SparseDetector | None
    """Around the detector, where a late run may detect less often."""


@dataclass(frozen=True)
class ProcessingChain:
    """Everything between source and sinks, open for frames of one size."""

    process: Process
    wakeup: Wakeup | None
    """Called when the engine has painted a frame of a live source; None for a film."""
    engine: Engine
    scheduler: StyleScheduler
    detection: Detection | None
    """None without detection."""
    events: EventLog
    report: AnomalyReport | None
    """Observes the repair for a report or a page."""
    regional: bool
    """A second style holds somewhere."""
    timers: StageTimers


def chain_opener(
    job: Job, config: RunConfig, model: Model, hooks: RunHooks, *, changing: bool = False
) -> Callable[[ExitStack, StreamInfo, Region | None], ProcessingChain]:
    """A function that opens the chain of a job around its region, which is closed with the stack like all
    that it opens. changing: repair and flash guard may be switched on later.

    Raises ConfigError at once for settings that do not fit together; the opener raises EngineError and
    SinkError.
    """
    overlay = _overlay(config)
    detection = _detection(config, model, changing=changing)
    check_sizes(config, model)

    def open_for(stack: ExitStack, info: StreamInfo, region: Region | None) -> ProcessingChain:
        engine, repainter = _open_engine(config, model, info, hooks.notify)
        stack.callback(engine.close)
        ema_decay = ema_decay_of(config, engine, live=info.live)
        scheduler = StyleScheduler(
            StyleTarget(model.codes, region, ema_decay, config.style, config.colour), model.plain
        )
        stack.callback(scheduler.close)
        events = stack.enter_context(EventLog(job.events))
        report = None if job.report is None else AnomalyReport()
        timers = StageTimers()
        repair = None
        if detection is not None:
            repair = _timed_repair(detection, events, _observer(report, hooks.tap), timers)
        wakeup = Wakeup() if info.live else None
        process = Process(
            FilmColourEngine(engine),
            timers.condition.timed(with_canvas(scheduler, config, model.network)),
            repair,
            overlay=None if overlay is None else timers.overlay.timed(overlay.draw_),
            repainter=None if repainter is None else FilmColourRepainter(repainter),
            spare=0 if info.live else 1,
            wakeup=wakeup,
        )
        return ProcessingChain(
            *(process, wakeup, engine, scheduler, detection, events, report),
            regional=region is not None,
            timers=timers,
        )

    return open_for


def _open_engine(
    config: RunConfig, model: Model, info: StreamInfo, notify: Callable[[str], None]
) -> tuple[Engine, Repainter | None]:
    """The engine, and the `Repainter`; None if the engine keeps no statistics."""
    if info.live:
        live = open_live_engine(quality_levels(model, info, config), notify)
        return live, live
    engine = open_for_run(config, model, info)
    return engine, repainter_of(engine)


def _detection(config: RunConfig, model: Model, *, changing: bool) -> Detection | None:
    """Detection by the settings, or ready to be switched on; None for neither."""
    detector, flash_limiter = detector_and_limiter(config, normalises=model.normalises)
    if changing and detector is None:
        detector = NullDetector()
    if detector is None:
        return None
    swappable = SwappableDetector(detector)
    return Detection(
        swappable,
        SwappableFlashLimiter(flash_limiter),
        None if config.latency is None else SparseDetector(swappable),
    )


def _timed_repair(
    detection: Detection,
    events: EventLog,
    observer: Observer[AnomalyEvent] | None,
    timers: StageTimers,
) -> Repair:
    detecting, untimed = Stopwatch(), Stopwatch()
    stage = RepairStage(
        TimedDetector(detection.sparse or detection.detector, detecting),
        RepairCorrector(),
        detection.flash_limiter,
        events,
        None if observer is None else UntimedObserver(observer, untimed),
    )

    def add(detect: float, correct: float) -> None:
        timers.detect.add(detect)
        timers.correct.add(correct)

    return TimedRepair(stage, detecting, add, untimed)


def detector_and_limiter(
    config: RunConfig, *, normalises: bool = True
) -> tuple[Detector | None, WcagFlashLimiter | None]:
    """The detector and the flash limiter of the settings; None for what is off. normalises: see `Model`.

    Raises ConfigError for settings that do not fit together."""
    if config.correct == "repair":
        detector_config = DetectorConfig(
            step_test=StepTestConfig() if normalises else UNKNOWN,
            correction=CorrectionPlanConfig(smoothing=config.consistency),
        )
        return ResidualDetector(detector_config), WcagFlashLimiter(limit_input=config.flash_guard)
    if config.consistency:
        raise ConfigError("--consistency needs the detector, which --correct off switches off: leave one out")
    if config.flash_guard:
        return NullDetector(), WcagFlashLimiter(limit_input=True)
    return None, None


def _observer(report: AnomalyReport | None, tap: RunTap | None) -> Observer[AnomalyEvent] | None:
    observers = [*filter(None, (report,)), *([] if tap is None else [tap.observer])]
    return Observers(*observers) if observers else None


def _overlay(config: RunConfig) -> Overlay | None:
    if config.overlay and config.correct == "off":
        raise ConfigError("--overlay needs the detector, which --correct off switches off: leave one out")
    return Overlay() if config.overlay else None
