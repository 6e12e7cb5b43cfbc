"""`streamstyle run FILM OUT --resume`"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from streamstyle.cli.segments import SEGMENT, absolute, film_json, run_segments, settings_of
from streamstyle.cli.terminal import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from streamstyle.batch.schedule import FilmState
    from streamstyle.config import RunConfig
    from streamstyle.pipeline.job import Job


def resume(job: Job, config: RunConfig, arguments: argparse.Namespace) -> int:
    """Paint a film in segments, from the first unfinished one on, and print the summary. Raises ConfigError
    for options that do not work with segments, and the errors of the film's tasks."""
    from streamstyle.batch.lock import exclusive_lock
    from streamstyle.batch.manifest import MANIFEST
    from streamstyle.batch.tasks import FilmRequest
    from streamstyle.files import make_folder
    from streamstyle.pipeline.outputs import refuse_overlap

    output = _one_film(job)
    refuse_overlap([output], job.source)
    folder = Path(absolute(output) + ".parts")
    film = FilmRequest(
        source=absolute(job.source),
        output=absolute(output),
        folder=str(folder),
        record=None,
        settings=settings_of(config),
        seconds=arguments.segment or SEGMENT,
        resume=True,
    )
    make_folder(folder)
    try:
        with exclusive_lock(folder / "lock"):
            ended = run_segments([film], arguments, config)
    finally:
        if folder.is_dir() and not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
    (state,) = ended.states
    if state.failure is not None:
        raise state.failure.error()
    values = film_json(state) | {"seconds": round(ended.seconds, 3), "interrupted": ended.interrupted}
    print(json.dumps(values) if arguments.json else _text(state, config.style, ended.seconds))
    return EXIT_INTERRUPTED if ended.interrupted else 0


def _one_film(job: Job) -> str:
    """The only output. Raises ConfigError for options that do not work with segments."""
    from streamstyle.errors import ConfigError
    from streamstyle.media.open import is_file
    from streamstyle.media.paths import is_regular, is_standard_output

    asked = {
        "--frames": job.frames,
        "--duration": job.duration,
        "--events": job.events,
        "--report": job.report,
        "--control": job.control,
        "--captures": job.captures,
    }
    if named := [option for option, value in asked.items() if value is not None]:
        raise ConfigError(f"{' and '.join(named)} cannot be combined with --resume: leave one out")
    if not is_regular(job.source):
        raise ConfigError(f"--resume needs a film in a file, and {job.source} is not one: leave --resume out")
    (output, *others) = job.sinks
    if others or not is_file(output) or is_standard_output(output):
        raise ConfigError("--resume writes one film: name one output file, or leave --resume out")
    return output


def _text(state: FilmState, style: str, seconds: float) -> str:
    """The summary for people."""
    record, planned = state.record, state.planned
    kept = planned.kept if planned else 0
    if record is None:
        return (
            f"interrupted after {seconds:.1f} s: {state.painted} frames more are painted. The same command "
            f"goes on from there."
        )
    pieces = (
        f"in {record.segments} segments, {kept} of them from before" if record.segments else "in one piece"
    )
    anomalies = ", ".join(f"{n} {kind}" for kind, n in record.anomalies.items()) or "none"
    why = f" ({planned.whole})" if planned and planned.whole else ""
    lines = [
        f"done: {record.frames} frames {pieces}{why} in {seconds:.1f} s",
        f"style     {style}",
        *([f"network   {record.network}"] if record.network else []),
        f"anomalies {record.flagged} flagged frames: {anomalies}",
        f"output    {state.film.output}",
        *(f"note      {note}" for note in record.notes),
    ]
    return "\n".join(lines)
