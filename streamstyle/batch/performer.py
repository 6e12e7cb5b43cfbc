"""What a worker does for each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from streamstyle.batch.film_options import options_of
from streamstyle.batch.manifest import (
    FILM,
    MANIFEST,
    VERSION,
    FilmManifest,
    FilmRecord,
    check_options,
    read,
    write,
)
from streamstyle.batch.planning import Split, plan_film
from streamstyle.batch.segment_painting import done_segments, join_film, paint_segment, paint_whole
from streamstyle.batch.storage import parted, storage_of
from streamstyle.batch.tasks import (
    FilmRequest,
    JoinTask,
    PaintTask,
    PlanResult,
    PlanTask,
    Result,
    Task,
    WholeTask,
)
from streamstyle.config import RunConfig
from streamstyle.errors import ConfigError
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.network import choose, first_choice
from streamstyle.pipeline.outputs import check_outputs
from streamstyle.pipeline.run_tap import open_configured


@dataclass(frozen=True)
class Performer:
    """Performer of tasks, one after the other."""

    on_frame: Callable[[], None]
    """Called after each painted frame."""
    notify: Callable[[str], None]
    """Gets messages for the user."""

    def perform(self, task: Task) -> Result:
        """Do a task. Raises StreamStyleError."""
        film, folder, record = task.film, task.film.folder, record_of(task.film)
        match task:
            case PlanTask():
                return self._plan(film, folder)
            case PaintTask():
                return paint_segment(folder, task.number, self.on_frame, self.notify)
            case WholeTask():
                return paint_whole(folder, record, self.on_frame, self.notify)
            case JoinTask():
                return join_film(folder, record)

    def _plan(self, film: FilmRequest, folder: str) -> PlanResult:
        config = msgspec.convert(film.settings, RunConfig)
        if config.size == "auto":
            raise ConfigError("--size auto depends on the machine that paints: name a size for segments")
        if (done := _done_before(film, config)) is not None:
            return PlanResult(done.frames, {}, 0, "", done)
        if not film.resume:
            storage_of(folder).remove_folder(folder)
        before = read(f"{folder}/{MANIFEST}", FilmManifest)
        manifest = self._new(film, config, folder) if before is None else _checked(film, config, before)
        painted = {record.number for record in done_segments(folder, manifest)}
        missing = {s.number: s.frames for s in manifest.segments if s.number not in painted}
        return PlanResult(manifest.frames, missing, len(painted), manifest.whole)

    def _new(self, film: FilmRequest, config: RunConfig, folder: str) -> FilmManifest:
        with open_configured(film.source, config) as source:
            info = source.info
        chosen = choose(first_choice(config, self.notify), info, self.notify)
        config, (beside, name) = chosen.config, parted(film.output)
        with storage_of(film.output).scratch(beside) as scratch:
            check_outputs(Job(film.source, (str(scratch / name),)), info, config)
        plan = plan_film(film.source, info, Path(name), config, Split(seconds=film.seconds))
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
        write(f"{folder}/{MANIFEST}", manifest)
        return manifest


def record_of(film: FilmRequest) -> str:
    """The file with the record of the film that is done."""
    return f"{film.folder}/{FILM}" if film.record is None else film.record


def _checked(film: FilmRequest, config: RunConfig, manifest: FilmManifest) -> FilmManifest:
    """The earlier plan, which must fit the present options."""
    remedy = f"Use the same settings to go on, or remove {film.folder} to start again"
    check_options(manifest.options, _options(film, config, manifest.network), film.folder, remedy)
    return manifest


def _done_before(film: FilmRequest, config: RunConfig) -> FilmRecord | None:
    """The record of a film that is done and still there. Raises OptionsMismatchError for one that was painted
    otherwise."""
    record = read(record_of(film), FilmRecord)
    if record is None or storage_of(film.output).size(film.output) != record.size:
        return None
    remedy = "Use the same settings or another folder, or remove the film to paint it again"
    check_options(record.options, _options(film, config, record.network), film.output, remedy)
    return record


def _options(film: FilmRequest, config: RunConfig, network: str) -> dict[str, Any]:
    """The present options, with the network that was chosen earlier."""
    if config.network == "auto" and network:
        config = replace(config, network=network)
    return options_of(Path(film.source), config)
