"""Tasks of workers: plan a film, paint a segment or a whole film, join the segments. The process that hands
these out touches no media itself, so that no damaged film can take it down."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from streamstyle.batch.film_options import options_of
from streamstyle.batch.manifest import (
    FILM,
    MANIFEST,
    VERSION,
    FilmManifest,
    FilmRecord,
    SegmentRecord,
    check_options,
    read,
    write,
)
from streamstyle.batch.planning import Split, plan_film
from streamstyle.batch.segment_painting import done_segments, join_film, paint_segment, paint_whole
from streamstyle.config import RunConfig
from streamstyle.errors import ConfigError
from streamstyle.files import make_folder
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.network import choose, first_choice
from streamstyle.pipeline.outputs import check_outputs
from streamstyle.pipeline.watch import opened


class FilmRequest(msgspec.Struct, frozen=True):
    """A film that is asked for."""

    source: str
    """Absolute path."""
    output: str
    """Absolute path."""
    folder: str
    """The folder of its segments."""
    record: str | None
    """The record to write when it is done; None to paint it again the next time."""
    settings: dict[str, Any]
    """Of `RunConfig`."""
    seconds: float
    """See `Split`."""
    resume: bool
    """Go on with segments that are there, instead of removing them."""


class PlanTask(msgspec.Struct, frozen=True, tag="plan"):
    """Plan a film, or find out what of it is done: gives `PlanResult`."""

    film: FilmRequest


class PaintTask(msgspec.Struct, frozen=True, tag="paint"):
    """Paint a segment: gives its `SegmentRecord`."""

    film: FilmRequest
    number: int


class WholeTask(msgspec.Struct, frozen=True, tag="whole"):
    """Paint a film in one piece: gives its `FilmRecord`."""

    film: FilmRequest


class JoinTask(msgspec.Struct, frozen=True, tag="join"):
    """Join the segments of a film: gives its `FilmRecord`."""

    film: FilmRequest


Task: TypeAlias = PlanTask | PaintTask | WholeTask | JoinTask


class PlanResult(msgspec.Struct, frozen=True, tag="planned"):
    """A plan, as far as others must know it."""

    frames: int
    """Of the film; 0 if unknown."""
    missing: dict[int, int]
    """Number of each segment that is to be painted, and its frames; empty for a film in one piece."""
    kept: int
    """Segments that were painted before."""
    whole: str
    """See `FilmManifest`."""
    done: FilmRecord | None = None
    """Of a film that is done already."""


Result: TypeAlias = PlanResult | SegmentRecord | FilmRecord


@dataclass(frozen=True)
class Performer:
    """Performer of tasks, one after the other."""

    on_frame: Callable[[], None]
    """Called after each painted frame."""
    notify: Callable[[str], None]
    """Gets what the user should know at once."""

    def perform(self, task: Task) -> Result:
        """Do a task. Raises StreamStyleError."""
        film = task.film
        folder, record = Path(film.folder), record_of(film)
        match task:
            case PlanTask():
                return self._plan(film, folder)
            case PaintTask():
                return paint_segment(folder, task.number, self.on_frame, self.notify)
            case WholeTask():
                return paint_whole(folder, record, self.on_frame, self.notify)
            case JoinTask():
                return join_film(folder, record)

    def _plan(self, film: FilmRequest, folder: Path) -> PlanResult:
        config = msgspec.convert(film.settings, RunConfig)
        if config.size == "auto":
            raise ConfigError("--size auto depends on the machine that paints: name a size for segments")
        if (done := _done_before(film, config)) is not None:
            return PlanResult(done.frames, {}, 0, "", done)
        if not film.resume:
            shutil.rmtree(folder, ignore_errors=True)
        before = read(folder / MANIFEST, FilmManifest)
        manifest = self._new(film, config, folder) if before is None else _checked(film, config, before)
        painted = {record.number for record in done_segments(folder, manifest)}
        missing = {s.number: s.frames for s in manifest.segments if s.number not in painted}
        return PlanResult(manifest.frames, missing, len(painted), manifest.whole)

    def _new(self, film: FilmRequest, config: RunConfig, folder: Path) -> FilmManifest:
        make_folder(Path(film.output).parent)
        with opened(film.source, config) as source:
            info = source.info
        chosen = choose(first_choice(config, self.notify), info, self.notify)
        config, output = chosen.config, Path(film.output)
        check_outputs(Job(film.source, (film.output,)), info, config)
        plan = plan_film(film.source, info, output, config, Split(seconds=film.seconds))
        manifest = FilmManifest(
            version=VERSION,
            source=film.source,
            output=film.output,
            options=options_of(Path(film.source), config),
            network="" if chosen.network is None else chosen.network.name,
            frames=plan.frames,
            end=plan.end,
            segments=plan.segments,
            whole=plan.whole,
        )
        make_folder(folder)
        write(folder / MANIFEST, manifest)
        return manifest


def record_of(film: FilmRequest) -> Path:
    """The file with the record of the film that is done."""
    return Path(film.folder) / FILM if film.record is None else Path(film.record)


def _checked(film: FilmRequest, config: RunConfig, manifest: FilmManifest) -> FilmManifest:
    """The plan from before, which must be one for what is asked now."""
    remedy = f"Name the same settings to go on, or remove {film.folder} to begin again"
    check_options(manifest.options, _options(film, config, manifest.network), Path(film.folder), remedy)
    return manifest


def _done_before(film: FilmRequest, config: RunConfig) -> FilmRecord | None:
    """The record of a film that is done and still there. Raises OtherOptionsError for one that was painted
    otherwise."""
    record, output = read(record_of(film), FilmRecord), Path(film.output)
    if record is None or not output.is_file() or output.stat().st_size != record.size:
        return None
    remedy = "Name the same settings, another folder, or remove the film to paint it again"
    check_options(record.options, _options(film, config, record.network), output, remedy)
    return record


def _options(film: FilmRequest, config: RunConfig, network: str) -> dict[str, Any]:
    """Options of what is asked now, painted by the network that was chosen then."""
    if config.network == "auto" and network:
        config = replace(config, network=network)
    return options_of(Path(film.source), config)
