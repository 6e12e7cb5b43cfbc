"""The films of `bench anomaly`: reading, painting, and one task of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamstyle.bench.ablations import ABLATIONS
from streamstyle.bench.exact import exact_method, warp_errors
from streamstyle.bench.figures import UNSIGNED, figures
from streamstyle.bench.injections import Film
from streamstyle.bench.measure import Plan, measure
from streamstyle.bench.protocol import (
    COMPARED,
    CONSISTENCIES,
    QUICK,
    QUICK_CONSISTENCIES,
    QUICK_SCENES,
)
from streamstyle.bench.rendered import RenderedFilm, render
from streamstyle.bench.runs import timed
from streamstyle.bench.subjects import Distance, StylePainter, Subject, SubjectResult
from streamstyle.config import RunConfig
from streamstyle.control.style_scheduler import StyleScheduler, StyleTarget
from streamstyle.engines.norm_stats import paint_modulated, repainter_of
from streamstyle.engines.open_engine import open_engine
from streamstyle.engines.request import EngineRequest, NetworkWeights
from streamstyle.errors import ConfigError
from streamstyle.media.open import open_source
from streamstyle.metrics.perceptual import perceptual_distance, taps
from streamstyle.nets.features import load_features
from streamstyle.pipeline.chain import detector_and_limiter
from streamstyle.pipeline.conditions import ema_decay_of, with_canvas
from streamstyle.pipeline.model import Model, load_model
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.styles.bundle import load_bundle, network_folder
from streamstyle.styles.imported import asked_model
from streamstyle.styles.library import model_names
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.types import Engine, Frame, StyleCondition

SIZE = (640, 360)  # width, height
MIN_FRAMES = 48
NETWORK = "lite"
RENDERED = "rendered"
_FPS = 30.0


@dataclass(frozen=True)
class FilmTask:
    """A film and its styles, to be measured in a separate process."""

    clip: str
    """Path of the film, or RENDERED for the one that is drawn."""
    other: str
    """The same of another film, for the scenes that need two."""
    style: str
    """Name of the style."""
    other_style: str
    """Name of the style that restyled patches take."""
    frames: int
    """Number of frames to measure."""
    quick: bool
    """Take fewer injections and scenes."""
    compared: bool
    """Run the repairs of other methods and the ablations too."""

    @property
    def name(self) -> str:
        """The clip's, for the tables."""
        return Path(self.clip).name


@dataclass(frozen=True)
class Done:
    """The result of a task."""

    measured: Sequence[SubjectResult]
    exact: Mapping[str, Any] | None = None
    """The change by exact flow, where the motion is known."""


def check(clips: Sequence[str], styles: Sequence[str], frames: int) -> None:
    """Raises ConfigError, SourceError, ModelError if something cannot be measured, before hours of work."""
    if frames < MIN_FRAMES:
        raise ConfigError(f"--frames must be {MIN_FRAMES} or more: a shot's colours are learnt from 24")
    names = [Path(clip).name for clip in clips]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two clips are named {name}; the tables could not tell them apart")
    for clip in clips:
        read_film(clip, MIN_FRAMES)
    for style in styles:
        load_model(RunConfig(style=style, network=NETWORK))


def tasks_of(clips: Sequence[str], styles: Sequence[str], frames: int, *, quick: bool) -> list[FilmTask]:
    """Every clip in every style, and the rendered film in one. Each clip is compared in one style, the next
    clip in the next."""
    tasks = []
    for number, clip in enumerate(clips):
        other = clips[(number + 1) % len(clips)]
        for place, style in enumerate(styles):
            compared = place == number % len(styles)
            tasks.append(FilmTask(clip, other, style, _other_style(styles, place), frames, quick, compared))
    return [*tasks, FilmTask(RENDERED, clips[0], styles[0], _other_style(styles, 0), frames, quick, False)]


def _other_style(styles: Sequence[str], place: int) -> str:
    if len(styles) > 1:
        return styles[(place + 1) % len(styles)]
    return next(style for style in ("udnie", "great-wave") if style != styles[0])


def run(task: FilmTask) -> Done:
    """Paint and measure. Raises ConfigError, SourceError, ModelError, EngineError."""
    plan = Plan(consistencies=CONSISTENCIES)
    if task.quick:
        plan = Plan(QUICK, QUICK_SCENES, consistencies=QUICK_CONSISTENCIES)
    if task.compared:
        plan = replace(plan, methods=ABLATIONS, repairs=True)
    drawn = render(task.frames, SIZE) if task.clip == RENDERED else None
    film, fps = (drawn.frames, _FPS) if drawn else read_film(task.clip, task.frames)
    other, _ = read_film(task.other, task.frames)
    if task.other == task.clip:
        other = other[::-1]
    # Played forwards and backwards, as often as needed, so that no cut is added.
    other = [*other, *other[-2:0:-1]]
    other = [other[i % len(other)] for i in range(len(film))]
    painter = open_painter(task.style, task.other_style)
    motion = drawn.uncovered.__getitem__ if drawn else None
    subject = Subject(task.name, task.style, film, other, fps, painter, motion, feature_distance())
    measured = measure(subject, plan)
    return Done(measured, None if drawn is None else _exact(subject, drawn))


def _exact(subject: Subject, drawn: RenderedFilm) -> dict[str, Any]:
    errors = warp_errors(drawn, subject.painter.paint(drawn.frames))
    both = measure(subject, Plan(COMPARED, ("clean",), (exact_method(drawn),)))
    methods = figures(both)["methods"]
    methods["rows"].pop(UNSIGNED)  # it has no flow
    return {"warp_error": errors, "methods": methods}


def feature_distance() -> Distance:
    """`perceptual_distance` on the features that the bundle brings. Raises ModelError."""
    features = load_features()
    return lambda picture, other: perceptual_distance(taps(features, picture), taps(features, other))


@lru_cache(maxsize=2)
def read_film(url: str, frames: int) -> tuple[Film, float]:
    """The first frames at 640x360 and their rate. Raises SourceError, ConfigError where they are too few."""
    with open_source(url) as source:
        fps = float(source.info.rate or _FPS)
        film = [
            np.asarray(cv2.resize(frame.pixels, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
            for frame in islice(source, frames)
        ]
    if len(film) < MIN_FRAMES:
        raise ConfigError(f"{url} has {len(film)} frames, and {MIN_FRAMES} are needed")
    return film, fps


@cache
def _network(*, stateful: bool) -> Engine:
    """The network that all styles of ours share, at 640x360."""
    bundle = load_bundle(network_folder(NETWORK))
    architecture = bundle.manifest.architecture
    network = NetworkWeights(architecture, bundle.weights)
    return open_engine(EngineRequest(SIZE[1], SIZE[0], network, stateful=stateful))


def open_style(style: str) -> Callable[[Film], Film]:
    """Open the engine that paints a film in a style at 640x360, as a run does. Raises ConfigError,
    ModelError, EngineError."""
    model = load_model(RunConfig(style=style, network=NETWORK))
    imported = asked_model(style, model_names()) is not None
    engine = model.open_engine(SIZE[1], SIZE[0]) if imported else _network(stateful=False)

    def paint(film: Film) -> Film:
        process = Process(engine, conditions_of(model))
        return [frame.pixels for frame in process(timed(film, _FPS))]

    return paint


def conditions_of(
    model: Model, ema_decay: Callable[[Frame], float] | None = None
) -> Callable[[Frame], StyleCondition]:
    """The conditions of frames in a run with this model. ema_decay: see `StyleTarget`."""
    scheduler = StyleScheduler(StyleTarget(model.codes, None, ema_decay, ""), model.plain)
    return with_canvas(scheduler, RunConfig(), model.network)


def stabilised(film: Film, fps: float, engine: Engine, model: Model, consistency: float) -> Film:
    """A film as a run with this consistency leaves it. engine: one of the model's for the film's size, with
    statistics if it can have them."""
    config = RunConfig(consistency=consistency)
    detector, flash_limiter = detector_and_limiter(config, normalises=model.normalises)
    condition = conditions_of(model, ema_decay_of(config, engine, live=False))
    repair = None if detector is None else RepairStage(detector, RepairCorrector(), flash_limiter)
    process = Process(engine, condition, repair, repainter=repainter_of(engine))
    return [frame.pixels for frame in process(timed(film, fps))]


def open_painter(style: str, other_style: str) -> StylePainter:
    """A style with everything that the benchmark does to it; engines open when they are needed."""
    model = load_model(RunConfig(style=style, network=NETWORK))
    imported = asked_model(style, model_names()) is not None

    def restyle(film: Film) -> Film:
        return open_style(other_style)(film)

    def conditions(film: Film) -> list[StyleCondition]:
        return list(map(conditions_of(model), timed(film, _FPS)))

    def modulate(film: Film, factors: Sequence[float]) -> Film:
        return list(paint_modulated(_network(stateful=True), film, conditions(film), factors))

    def stabilise(film: Film, fps: float, consistency: float) -> Film:
        engine = model.open_engine(SIZE[1], SIZE[0]) if imported else _network(stateful=True)
        return stabilised(film, fps, engine, model, consistency)

    return StylePainter(open_style(style), restyle, None if imported else modulate, stabilise, conditions)
