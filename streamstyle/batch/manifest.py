"""Files of a film that is painted in segments, on a disk or in a bucket.

FOLDER/manifest.json    the plan: the film, the settings, the segments; written once
FOLDER/0003.segment     the pictures of a segment, encoded
FOLDER/0003.json        its record: size, digest, number of frames, findings
FOLDER/film.json        the record of the finished film, unless another file is named for it
FOLDER/*.part           files that are being written

The folder is beside the output. The scheduling process removes it when it knows that the film is whole: if a
worker did so and was lost, it would be unknown whether the film is whole.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from streamstyle.batch.message_json import decoded, encoded
from streamstyle.batch.storage import parted, storage_of
from streamstyle.errors import ConfigError, SinkError, SourceError

VERSION = 2
MANIFEST = "manifest.json"
FILM = "film.json"
_BLOCK = 1 << 20

S = TypeVar("S", bound=msgspec.Struct)


class OptionsMismatchError(ConfigError):
    """The segments were painted with other settings or weights, or from another film."""


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of frames that is painted at once. Time stamps in units of the film's time base."""

    number: int
    """Number of the segment, from 0."""
    first: int
    """Time stamp of its first frame."""
    end: int
    """Its frames come before this time stamp: the next segment's `first`, or the end of the film."""
    index: int
    """Number of its first frame in the film."""
    frames: int
    """The number of frames."""
    begin: int
    """Time stamp of the first frame that is painted; those before `first` are left out."""
    warm_up: int
    """The number of frames before `first`, painted and left out."""
    key: int | None
    """See `FilmRange`."""
    cut: bool
    """True if a shot begins here, so that no history is kept except what was learnt of the style."""


class FilmManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan of one film."""

    version: int
    """VERSION."""
    source: str
    """Absolute path of the film."""
    output: str
    """Absolute path, or URL, of the output."""
    options: dict[str, Any]
    """All that the pictures depend on, see `options_of`."""
    network: str
    """The bundled network that paints; empty for other painters."""
    frames: int
    """Number of frames of the film; 0 if unknown."""
    end: int
    """Time stamp of the end of the last one; 0 if unknown."""
    segments: tuple[Segment, ...]
    """Empty for a film that is painted in one piece."""
    whole: str
    """The reason for painting it in one piece; empty for a film in segments."""


class SegmentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment that is done."""

    number: int
    """Its place among the segments of the film, from 0."""
    size: int
    """Bytes of its file."""
    sha256: str
    """Digest of its file, in hexadecimal."""
    frames: int
    """Number of frames in the file."""
    flagged: int
    """Number of flagged frames."""
    anomalies: dict[str, int]
    """Flagged frames by kind."""
    engine: str
    """The engine that painted it: name and precision."""
    seconds: float
    """Seconds from the first frame to the closed file."""
    notes: tuple[str, ...]
    """Sentences for the user."""


class FilmRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A film that is done."""

    source: str
    """Absolute path."""
    output: str
    """Absolute path, or URL."""
    options: dict[str, Any]
    """See `FilmManifest`."""
    network: str
    """See `FilmManifest`."""
    size: int
    """Bytes of the output."""
    frames: int
    """Pictures in it."""
    segments: int
    """Into how many it was split; 0 for a film in one piece."""
    flagged: int
    """Number of flagged frames."""
    anomalies: dict[str, int]
    """Flagged frames by kind."""
    notes: tuple[str, ...]
    """Sentences for the user."""


def read(address: str, kind: type[S]) -> S | None:
    """The content of a file; None if it does not exist. Raises OptionsMismatchError for another version,
    SinkError for a file that cannot be read."""
    data = storage_of(address).read(address)
    if data is None:
        return None
    folder, _ = parted(address)
    try:
        version = decoded(data, dict[str, Any]).get("version", VERSION)
        if version != VERSION:
            raise OptionsMismatchError(
                f"{address} was written by another version of this program ({version}, this one writes "
                f"{VERSION}): remove {folder} and start again"
            )
        return cast(S, decoded(data, kind))
    except ValueError as error:
        raise SinkError(f"{address} is damaged: remove {folder} and start again") from error


def write(address: str, value: msgspec.Struct) -> None:
    """Write a file whole or not at all. Raises SinkError."""
    storage_of(address).write(address, encoded(value, indent=1) + b"\n")


def digest(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def check_options(before: dict[str, Any], now: dict[str, Any], where: str, remedy: str) -> None:
    """Raise OptionsMismatchError with the differences between the painted options and the new ones, and
    SourceError where the film itself has changed, which says nothing of others."""
    differing = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if differing == ["film"]:
        raise SourceError(f"{where} was painted from the film before it changed. {remedy}")
    if differing:
        told = "; ".join(
            f"{name} was {_shown(before, name)} and is {_shown(now, name)}" for name in differing
        )
        raise OptionsMismatchError(f"{where} was painted with other settings: {told}. {remedy}")


def _shown(options: dict[str, Any], name: str) -> str:
    value = options.get(name)
    text = value if isinstance(value, str) else encoded(value).decode()
    return text if len(text) <= 40 else f"{text[:12]}..."
