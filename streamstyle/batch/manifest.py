"""Files on disk of a film that is painted in segments.

FOLDER/manifest.json    the plan: the film, the settings, the segments; written once
FOLDER/0003.segment     the pictures of a segment, encoded
FOLDER/0003.json        its record: digest, number of frames, what was found in them
FOLDER/film.json        the record of the film that is done, where no other file is named for it
FOLDER/*.part           what is being written

The folder lies beside the output. Whoever handed out the work removes it once it knows that the film is
whole: of a worker that was lost while it did that, nobody could tell whether the film is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from streamstyle.errors import ConfigError, SinkError
from streamstyle.files import write_whole

VERSION = 1
MANIFEST = "manifest.json"
FILM = "film.json"
_BLOCK = 1 << 20

S = TypeVar("S", bound=msgspec.Struct)


class OtherOptionsError(ConfigError):
    """The segments were painted with other settings or weights, or from another film."""


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of frames that is painted at once. Time stamps in units of the film's time base."""

    number: int
    """From 0."""
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
    """True if a shot begins here, so that nothing of the past is kept but what was learnt of the style."""


class FilmManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan of one film."""

    version: int
    """VERSION."""
    source: str
    """Absolute path of the film."""
    output: str
    """Absolute path of what is made of it."""
    options: dict[str, Any]
    """All that the pictures depend on, see `options_of`."""
    network: str
    """The network that paints; empty where none of ours does."""
    frames: int
    """Of the film; 0 if unknown."""
    end: int
    """Time stamp of the end of the last one; 0 if unknown."""
    segments: tuple[Segment, ...]
    """Empty for a film that is painted in one piece."""
    whole: str
    """Why it is painted in one piece; empty for a film in segments."""


class SegmentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment that is done."""

    number: int
    """Of the segment."""
    sha256: str
    """Of its file."""
    frames: int
    """In the file."""
    flagged: int
    """Frames in which something was found."""
    anomalies: dict[str, int]
    """Flagged frames by kind."""
    engine: str
    """The engine that painted it: name and precision."""
    seconds: float
    """From the first frame to the closed file."""
    notes: tuple[str, ...]
    """Sentences for the user."""


class FilmRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A film that is done."""

    source: str
    """Absolute path."""
    output: str
    """Absolute path."""
    options: dict[str, Any]
    """As in `FilmManifest`."""
    network: str
    """As in `FilmManifest`."""
    size: int
    """Bytes of the output."""
    frames: int
    """Pictures in it."""
    segments: int
    """Into how many it was split; 0 for a film in one piece."""
    flagged: int
    """Frames in which something was found."""
    anomalies: dict[str, int]
    """Flagged frames by kind."""
    notes: tuple[str, ...]
    """Sentences for the user."""


def read(path: Path, kind: type[S]) -> S | None:
    """The content of a file; None where there is no such file. Raises OtherOptionsError for another version,
    SinkError for a file that cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SinkError(f"cannot read {path}: {error.strerror}") from error
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("version", VERSION)
        if version != VERSION:
            raise OtherOptionsError(
                f"{path} was written by another version of this program ({version}, this one writes "
                f"{VERSION}): remove {path.parent} and begin again"
            )
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise SinkError(f"{path} is damaged: remove {path.parent} and begin again") from error


def write(path: Path, value: msgspec.Struct) -> None:
    """Write a file whole or not at all. Raises SinkError."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def digest(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def check_options(before: dict[str, Any], now: dict[str, Any], where: Path, remedy: str) -> None:
    """Raise OtherOptionsError that names what differs between what was painted and what is to be."""
    differing = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if differing:
        told = "; ".join(
            f"{name} was {_shown(before, name)} and is {_shown(now, name)}" for name in differing
        )
        raise OtherOptionsError(f"{where} was painted otherwise: {told}. {remedy}")


def _shown(options: dict[str, Any], name: str) -> str:
    value = options.get(name)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:12]}..."
