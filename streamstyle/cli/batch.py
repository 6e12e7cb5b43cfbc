"""`streamstyle batch INPUT... -o DIR`"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamstyle.cli.run import add_workers
from streamstyle.cli.segments import SEGMENT, Ended, absolute, film_json, run_segments, settings_of
from streamstyle.cli.settings import add_settings, assignments
from streamstyle.cli.terminal import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from streamstyle.batch.tasks import FilmRequest
    from streamstyle.config import RunConfig

STATE = ".streamstyle"
"""Folder below the outputs: records of films that are done, segments of those that are not."""

EXIT_FAILED = 1

_NOTES = 20
"""Different notes that the summary for people shows."""


def add_command(commands: Any) -> None:
    """Declare `batch` and its options."""
    parser = commands.add_parser(
        "batch",
        help="stylize many films; skip finished ones, list failed ones at the end",
        description="INPUT is a film, a folder of films, or a pattern in quotes. Films of a folder keep "
        "their places below DIR. Films that the same command has finished before are left out.",
    )
    parser.add_argument("inputs", metavar="INPUT", nargs="*")
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder of the films, or s3://BUCKET/FOLDER"
    )
    parser.add_argument(
        "--list",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="file with one INPUT per line",
    )
    parser.add_argument(
        "--suffix",
        metavar=".SUFFIX",
        help="suffix of all outputs (default: the film's own if it can be written, else .mkv)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with unfinished films, instead of painting them again from the start",
    )
    add_workers(parser)
    add_settings(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings, see configs/")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Paint all films and print the summary."""
    from streamstyle.batch.inputs import films_of
    from streamstyle.batch.lock import exclusive_lock, lock_of
    from streamstyle.batch.storage import is_url, storage_of
    from streamstyle.config import RunConfig, load_config
    from streamstyle.files import make_folder

    config = load_config(RunConfig, arguments.config, [*arguments.set, *assignments(arguments)])
    folder = arguments.output.rstrip("/") if is_url(arguments.output) else absolute(arguments.output)
    storage_of(folder)  # one that is not to be had is refused before anything is looked for
    films = films_of(arguments.inputs, arguments.list, folder, arguments.suffix)
    tasks = [_task(source, output, folder, config, arguments) for source, output in films.items()]
    lock = lock_of(f"{folder}/{STATE}")
    make_folder(lock.parent)
    with exclusive_lock(lock):
        ended = run_segments(tasks, arguments, config)
    values = [film_json(film) for film in ended.states]
    if arguments.json:
        told = {"films": values, "seconds": round(ended.seconds, 3), "interrupted": ended.interrupted}
        print(json.dumps(told))
    else:
        print(_text(values, ended))
    if ended.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(film["state"] == "failed" for film in values) else 0


def _task(
    source: Path, output: str, folder: str, config: RunConfig, arguments: argparse.Namespace
) -> FilmRequest:
    from streamstyle.batch.tasks import FilmRequest

    beside = f"{folder}/{STATE}{output.removeprefix(folder)}"
    return FilmRequest(
        source=str(source),
        output=output,
        folder=f"{beside}.parts",
        record=f"{beside}.json",
        settings=settings_of(config),
        seconds=arguments.segment or SEGMENT,
        resume=arguments.resume,
    )


def _text(films: list[dict[str, Any]], ended: Ended) -> str:
    """The summary for people."""
    counts = Counter(film["state"] for film in films)
    frames = sum(film["frames_painted"] or 0 for film in films if film["state"] != "before")
    lines = [
        f"{'interrupted: ' if ended.interrupted else ''}{counts['done'] + counts['before']} of {len(films)} "
        f"films are done, {counts['before']} of them from earlier runs; {frames} frames in "
        f"{ended.seconds:.1f} s"
    ]
    if counts["unfinished"]:
        lines.append(f"{counts['unfinished']} films are not finished: --resume goes on with them")
    if counts["failed"]:
        lines.append(f"{counts['failed']} films failed:")
        lines += [f"  {film['source']}: {film['reason']}" for film in films if film["state"] == "failed"]
    if noted := _noted(films):
        lines += ["notes on films that are done:", *noted]
    return "\n".join(lines)


def _noted(films: list[dict[str, Any]]) -> list[str]:
    """A line for each note, with the first film that it is about and the number of the others."""
    sources: dict[str, list[str]] = {}
    for film in films:
        for note in film["notes"]:
            sources.setdefault(note, []).append(film["source"])
    lines = [
        f"  {first}{f' and {len(others)} more' if others else ''}: {note}"
        for note, (first, *others) in sources.items()
    ]
    return lines[:_NOTES] + ([f"  {len(lines) - _NOTES} more: --json has all"] if len(lines) > _NOTES else [])
