"""The films of a batch, and the output of each."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from streamstyle.batch.storage import is_url
from streamstyle.errors import ConfigError
from streamstyle.media.formats import FORMATS, format_of
from streamstyle.media.paths import is_folder, is_regular

FILMS = frozenset(
    {
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gxf", ".m2ts", ".m2v", ".m4v"),
        *(".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".rm", ".rmvb", ".swf"),
        *(".ts", ".vob", ".webm", ".wmv", ".wtv"),
    }
)
"""Suffixes of files in a folder that are taken for films."""

_USUAL = ".mkv"
"""Suffix of the output where the film's own kind of file is not written; Matroska holds every sound."""


def films_of(
    inputs: Sequence[str], lists: Sequence[Path], folder: str, suffix: str | None
) -> dict[Path, str]:
    """Each film's absolute path and the address of its output, in the order of the inputs.

    inputs: files, folders with films at any depth, and patterns. lists: text files with an input a line;
    empty lines and those that begin with # are left out. folder: the address of the outputs' folder; films of
    a folder keep their places below it. suffix: of all outputs; None keeps the film's own if it can be
    written. Raises ConfigError for an input that does not exist, and for two films with one output.
    """
    if suffix is not None:
        format_of(suffix)
    found: dict[Path, str] = {}
    taken: dict[str, Path] = {}
    for film, place in _found([*inputs, *(line for path in lists for line in _lines(path))]):
        own = film.suffix.lower() if film.suffix.lower() in FORMATS else _USUAL
        output = f"{folder}/{place.with_suffix(suffix or own).as_posix()}"
        if film in found:
            continue
        if output in taken:
            raise ConfigError(
                f"{film} and {taken[output]} would both become {output}: run two batches, or name the "
                f"folder above both"
            )
        if not is_url(output) and _absolute(output) == film:
            raise ConfigError(f"{film} would be replaced by its own painting: name another folder with -o")
        found[film], taken[output] = output, film
    if not found:
        raise ConfigError("the inputs contain no film: name files, folders with films, or patterns")
    return found


def _found(inputs: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Films, and their paths below the folder of the outputs."""
    for text in inputs:
        if is_regular(text):
            yield _absolute(text), Path(Path(text).name)
        elif is_folder(text):
            yield from _below(_absolute(text))
        else:
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - Path takes no absolute pattern
            if not matches:
                raise ConfigError(f"{text} is not a file or folder and matches nothing: check the spelling")
            for match in matches:
                if is_regular(match):
                    yield _absolute(match), Path(Path(match).name)
                else:
                    yield from _below(_absolute(match))


def _absolute(path: str | Path) -> Path:
    """The absolute path without `..`, so that a file has one name here."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`


def _below(folder: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        is_film = path.is_file() or (path.is_symlink() and not path.exists())  # a dangling link is reported
        if path.suffix.lower() in FILMS and not hidden and is_film:
            yield path, path.relative_to(folder)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the list {path} cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
