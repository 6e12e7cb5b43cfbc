"""The films of a batch, and the output of each."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from streamstyle.batch.storage import is_url
from streamstyle.errors import ConfigError
from streamstyle.media.formats import FORMATS, format_of
from streamstyle.media.paths import exists, is_folder, is_regular, resolved

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

_WILDCARD = re.compile(r"[*?[]")


def films_of(
    inputs: Sequence[str], lists: Sequence[Path], folder: str, suffix: str | None
) -> dict[Path, str]:
    """Each film's absolute path and the address of its output, in the order of the inputs.

    inputs: files, folders with films at any depth, and patterns. lists: text files with an input a line;
    empty lines and those that begin with # are left out. folder: the address of the outputs' folder; films of
    a folder keep their places below it. What a folder or a pattern finds there is left out: outputs of
    earlier batches. suffix: of all outputs; None keeps the film's own if it can be written. Raises
    ConfigError for an input that is no file or folder, for two films with one output, and for an output in
    the place of a film.
    """
    if suffix is not None:
        format_of(suffix)
    found: dict[Path, str] = {}
    taken: dict[str, Path] = {}
    outputs = None if is_url(folder) else resolved(folder)
    asked = [*inputs, *(line for path in lists for line in _lines(path))]
    for film, place in _found(asked, outputs):
        own = film.suffix.lower() if film.suffix.lower() in FORMATS else _USUAL
        output = f"{folder}/{place.with_suffix(suffix or own).as_posix()}"
        other = taken.get(output)
        if film in found or (other is not None and resolved(other) == resolved(film)):
            continue
        if other is not None:
            raise ConfigError(
                f"{film} and {other} would both become {output}: run two batches, or name the folder above "
                f"both"
            )
        found[film], taken[output] = output, film
    if not found:
        beside = f" outside {folder}, where the outputs are" if any(_found(asked, None)) else ""
        raise ConfigError(f"the inputs contain no film{beside}: name files, folders with films, or patterns")
    _keep_films(found)
    return found


def _keep_films(found: Mapping[Path, str]) -> None:
    """Raise ConfigError if an output would replace a film, perhaps through links."""
    places = {resolved(film): film for film in found}
    for film, output in found.items():
        if not is_url(output) and (replaced := places.get(resolved(output))) is not None:
            whose = "its own painting" if replaced == film else f"the painting of {film}"
            raise ConfigError(f"{replaced} would be replaced by {whose}: name another folder with -o")


def _found(inputs: Sequence[str], outputs: Path | None) -> Iterator[tuple[Path, Path]]:
    """Films, and their paths below the folder of the outputs. outputs: that folder, on this machine."""
    for text in inputs:
        if is_regular(text):
            yield _absolute(text), Path(Path(text).name)
        elif is_folder(text):
            yield from _below(_absolute(text), outputs)
        elif exists(text):
            raise ConfigError(f"{text} is a pipe or a device: a batch takes films in files")
        else:
            yield from _matches(text, outputs)


def _matches(pattern: str, outputs: Path | None) -> Iterator[tuple[Path, Path]]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path takes no absolute pattern
    if not matches:
        raise ConfigError(f"{pattern} is not a file or folder and matches nothing: check the spelling")
    begin = resolved(Path(_WILDCARD.split(pattern)[0] + "-").parent)  # "-": of a folder, what is in it
    for match in matches:
        if is_folder(match):
            yield from _below(_absolute(match), outputs)
        elif begin == outputs or not _is_in(outputs, match):
            yield _absolute(match), Path(Path(match).name)


def _absolute(path: str | Path) -> Path:
    """The absolute path without `..`, so that a file has one name here."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`


def _is_in(folder: Path | None, path: str | Path) -> bool:
    return folder is not None and resolved(Path(path).parent).is_relative_to(folder)


def _below(folder: Path, outputs: Path | None) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        is_film = is_regular(path) or not exists(path)  # a link that leads nowhere is reported
        if path.suffix.lower() in FILMS and not hidden and is_film and not _is_in(outputs, path):
            yield path, path.relative_to(folder)


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the list {path} cannot be read: {error.strerror}") from error
    if b"\0" in data:
        raise ConfigError(f"the list {path} is not a text in UTF-8: save it as one")
    lines = [line.strip() for line in data.decode("utf-8-sig", "surrogateescape").split("\n")]
    return [line for line in lines if line and not line.startswith("#")]
