"""From settings to a run: the only place that knows every room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.config import RunConfig
from streamstyle.engines.cache import EngineCache, cache_folder
from streamstyle.engines.foreign_engine import Contract, ForeignEngine
from streamstyle.engines.open import open_engine
from streamstyle.engines.segmentation import OnnxRegion
from streamstyle.engines.statistics import FrozenRepainter, HoldingEngine
from streamstyle.errors import ConfigError
from streamstyle.explain.overlay import Overlay
from streamstyle.explain.run_report import RunReport
from streamstyle.explain.turn import parse_turn, turning
from streamstyle.flow import FlowReport, Stop
from streamstyle.flow import run as run_flow
from streamstyle.job import Job, Progress, RunSummary
from streamstyle.media.open import open_sink, open_source
from streamstyle.media.pair import PaintedEngine, PaintedPair
from streamstyle.page import write_page
from streamstyle.process import Process
from streamstyle.regions.open import open_region
from streamstyle.regions.spec import parse_region
from streamstyle.styles.bundle import ORIGINAL, load_bundle, network_folder
from streamstyle.styles.foreign import asked_model, load_foreign
from streamstyle.styles.library import model_names
from streamstyle.styles.mix import look_codes
from streamstyle.telemetry import EventLog, StageTimer
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import DetectorConfig, SignedExcessDetector, SilentDetector
from streamstyle.temporal.flashes import FlashGuard
from streamstyle.temporal.remedy import RemedyConfig
from streamstyle.temporal.steady import SceneHold
from streamstyle.types import Detector, Engine, Frame, Look, Region, Sink, Source, StreamInfo


@dataclass(frozen=True)
class Model:
    """The network and the two codes (2, size) that a run uses, before the frame size is known."""

    open_engine: Callable[[int, int], Engine]
    codes: NDArray[np.float32]


def load_model(config: RunConfig, tell: Callable[[str], None] = lambda _: None) -> Model:
    """Load the network and the codes, or the imported model, that `config` asks for.

    tell: hears that an engine is compiled, and why it cannot be kept. Raises ConfigError, ModelError.
    """
    imported = model_names()
    name = asked_model(config.style, imported)
    if name is not None:
        return _imported_model(name, config, tell)
    if config.region is not None and asked_model(config.region_style, imported):
        raise ConfigError("a region cannot be painted by an imported model; name a style of the network")
    bundle = load_bundle(network_folder(config.network))
    inside = None if config.region is None else config.region_style
    turn = None if config.turn is None else turning(bundle, parse_turn(config.turn))
    codes = look_codes(bundle, config.style, inside, config.strength, turn)
    architecture, weights = bundle.manifest.architecture, bundle.weights

    def open_for(height: int, width: int) -> Engine:
        statistics = config.consistency > 0
        return open_engine(
            config.engine,
            architecture,
            weights,
            height,
            width,
            statistics=statistics,
            label=config.network,
            tell=tell,
        )

    return Model(open_for, codes)


def _imported_model(name: str, config: RunConfig, tell: Callable[[str], None]) -> Model:
    if config.region is not None:
        raise ConfigError(f"'{name}' is an imported model and cannot paint regions; leave --region out")
    if config.turn is not None:
        raise ConfigError(f"'{name}' is an imported model and cannot be turned; leave --turn out")
    if config.engine not in {"auto", "openvino"}:
        raise ConfigError(f"'{name}' is an imported model and runs on openvino only; leave --engine out")
    if not 0 <= config.strength <= 1:
        raise ConfigError(f"strength must lie in 0..1, not {config.strength:g}")
    foreign = load_foreign(name)
    contract = Contract.from_json(foreign.manifest.contract)

    def open_for(height: int, width: int) -> Engine:
        return ForeignEngine(
            foreign.manifest.kind,
            foreign.data,
            contract,
            height,
            width,
            config.strength,
            cache=EngineCache(cache_folder(), tell),
            label=name,
        )

    return Model(open_for, np.zeros((2, 0), np.float32))


def region_opener(config: RunConfig) -> Callable[[int, int], Region] | None:
    """What opens the region for a height and width; None where none is asked for.

    Raises ConfigError at once for a region that cannot be read; the opener raises SourceError, EngineError,
    and ConfigError for a region that does not fit the frame.
    """
    if config.region is None:
        if config.region_style != ORIGINAL:
            raise ConfigError("a region style needs a region: say where with --region")
        return None
    spec = parse_region(config.region)

    def open_for(height: int, width: int) -> Region:
        return open_region(
            spec,
            height,
            width,
            feather=config.region_feather,
            open_film=open_source,
            open_segmentation=lambda s, h, w: OnnxRegion(s.path, s.category, s.scale, h, w),
        )

    return open_for


def looks(
    codes: NDArray[np.float32],
    region: Region | None,
    hold: Callable[[Frame], float] | None = None,
    name: str = "",
) -> Callable[[Frame], Look]:
    """How each frame is painted; as long as the region's mask and the hold stay, so does the look."""
    still = Look(codes, name=name)

    def of(frame: Frame) -> Look:
        nonlocal still
        mask = None if region is None else region.mask(frame)
        share = 0.0 if hold is None else hold(frame)
        if mask is not still.mask or share != still.hold:
            still = Look(codes, mask, share, name)
        return still

    return of


def _hold(config: RunConfig, engine: Engine) -> Callable[[Frame], float] | None:
    steadied = config.consistency > 0 and engine.spec.holds
    return SceneHold(config.consistency).of if steadied else None


def run_job(
    job: Job,
    config: RunConfig,
    *,
    stop: Stop,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
    model: Model | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> RunSummary:
    """Run one job to its end. Raises the first StreamStyleError of any stage.

    clock: seconds, monotonic. model: another network than the bundled one. tell: see `load_model`.
    """
    refuse_overlap(job.sinks, job.source)
    source = open_source(job.source)
    model = model or load_model(config, tell)
    return _run(job, config, source, model, stop=stop, on_progress=on_progress, clock=clock)


def repair_job(
    original: str,
    job: Job,
    config: RunConfig,
    *,
    stop: Stop,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
) -> RunSummary:
    """Repair what another program painted: `job.source` is its film, `original` what it was painted from.

    Raises the first StreamStyleError of any stage.
    """
    refuse_overlap(job.sinks, job.source, original)
    pair = PaintedPair(open_source(original), open_source(job.source))
    model = Model(lambda _height, _width: PaintedEngine(pair.painted), np.zeros((2, 0), np.float32))
    return _run(job, config, pair, model, stop=stop, on_progress=on_progress, clock=clock)


def _judges(config: RunConfig) -> tuple[Detector | None, FlashGuard | None]:
    if config.correct == "repair":
        judging = DetectorConfig(remedy=RemedyConfig(steady=config.consistency))
        return SignedExcessDetector(judging), FlashGuard(limit_input=config.flash_guard)
    if config.consistency:
        raise ConfigError("--consistency steadies what the detector measures: leave --correct off out")
    if config.flash_guard:
        return SilentDetector(), FlashGuard(limit_input=True)
    return None, None


def _overlay(config: RunConfig) -> Overlay | None:
    if config.overlay and config.correct == "off":
        raise ConfigError(
            "--overlay shows what the detector finds, and --correct off has none: leave one out"
        )
    return Overlay() if config.overlay else None


def refuse_overlap(sinks: Sequence[str], *inputs: str) -> None:
    """Raise ConfigError where an output is an input, which it would destroy, or is named twice."""
    taken = {Path(url).resolve(): url for url in inputs if Path(url).exists()}
    for url in sinks:
        path = Path(url).resolve()
        if url.startswith("null:"):
            continue
        if path in taken:
            told = "the input itself and would be destroyed" if taken[path] in inputs else "named twice"
            raise ConfigError(f"{url} is {told}: name another output.")
        taken[path] = url


def _run(
    job: Job,
    config: RunConfig,
    opening: Source,
    model: Model,
    *,
    stop: Stop,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
) -> RunSummary:
    # OpenCV's own threads would wait for the cores that the engine keeps busy: 40 ms stalls in a 4 ms call.
    cv2.setNumThreads(1)
    open_for, overlay = region_opener(config), _overlay(config)
    with ExitStack() as stack:
        source: Source = stack.enter_context(opening)
        info = source.info
        engine = model.open_engine(info.height, info.width)
        stack.callback(engine.close)
        region = None if open_for is None else open_for(info.height, info.width)
        if region is not None:
            stack.callback(region.close)
        events = stack.enter_context(EventLog(job.events))
        sinks = open_sinks(job, info, config)
        detector, guard = _judges(config)
        observer = None if job.report is None else RunReport()
        draw = None if overlay is None else overlay.draw_
        look = looks(model.codes, region, _hold(config, engine), config.style)
        again = FrozenRepainter(engine) if isinstance(engine, HoldingEngine) else None
        process = Process(engine, look, detector, RepairCorrector(), events, guard, observer, draw, again)
        total = _expected_frames(job, info)
        frames_out = 0

        def on_frame() -> None:
            nonlocal frames_out
            frames_out += 1
            on_progress(Progress(frames_out, total, events.flagged_frames))

        started = clock()
        frames = _limited(source, job)
        flow = run_flow(frames, process, sinks, stop=stop, on_frame=on_frame, capacity=config.queue)
        summary = RunSummary(
            job=job,
            info=info,
            style=config.style,
            strength=config.strength,
            consistency=config.consistency,
            region=config.region,
            region_style=config.region_style,
            engine=vars(engine.spec),
            frames_in=flow.captured,
            frames_out=frames_out,
            dropped=flow.dropped,
            seconds=clock() - started,
            stages=_stages(flow, process, engine, frames_out, job, regional=region is not None),
            flagged_frames=events.flagged_frames,
            anomalies=dict(events.by_kind),
            source_report=source.report(),
            sink_reports=tuple(sink.report() for sink in sinks),
            interrupted=stop.requested,
        )
        if observer is not None:
            _write_report(observer, summary)
        return summary


def _write_report(report: RunReport, summary: RunSummary) -> None:
    job, info = summary.job, summary.info
    assert job.report is not None
    first = f"{summary.frames_out} frames at {info.width}x{info.height} in {summary.style}."
    write_page(job.report, report.page(f"What happened in {Path(job.source).name}", [first, *summary.notes]))


def open_sinks(job: Job, info: StreamInfo, config: RunConfig) -> list[Sink]:
    """Open every sink; where one cannot be opened, those before it are closed again."""
    sinks: list[Sink] = []
    try:
        for url in job.sinks:
            sinks.append(open_sink(url, info, quality=config.quality))
    except BaseException:
        for sink in sinks:
            sink.close(complete=False)
        raise
    return sinks


def _limited(source: Source, job: Job) -> Iterator[Frame]:
    first: float | None = None
    for frame in islice(source, job.frames):
        first = frame.time if first is None else first
        if job.duration is not None and frame.time - first >= job.duration:
            return
        yield frame


def _expected_frames(job: Job, info: StreamInfo) -> int:
    limits: Sequence[int] = [
        *([info.frames] if info.frames else []),
        *([job.frames] if job.frames is not None else []),
        *([round(job.duration * info.rate)] if job.duration is not None and info.rate else []),
    ]
    return min(limits, default=0)


def _stages(
    flow: FlowReport, process: Process, engine: Engine, frames: int, job: Job, *, regional: bool
) -> dict[str, dict[str, float]]:
    timers: Iterable[tuple[str, StageTimer]] = [
        ("decode", flow.capture),
        *([("region", process.look_timer)] if regional else []),
        ("detect", process.detect_timer),
        ("correct", process.correct_timer),
        ("overlay", process.overlay_timer),
        *((f"write {url}", timer) for url, timer in zip(job.sinks, flow.sinks, strict=True)),
    ]
    stages = {name: timer.summary() for name, timer in timers}
    busy = engine.busy_seconds
    stages["stylize"] = {"fps": round(frames / busy, 1)} if busy else {}
    return {name: summary for name, summary in stages.items() if summary}
