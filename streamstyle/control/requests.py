"""Control requests: one class per verb, and their JSON form (docs/live-control.md)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from streamstyle.config import LIVE, settings
from streamstyle.errors import ConfigError, nearest

VERSION = 1
NONE = "none"
"""Value that removes a region or a style adjustment."""


class _Request(msgspec.Struct, tag_field="do", frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


if TYPE_CHECKING:

    class _Settings(_Request, frozen=True):
        """A field for each of `LIVE`; None leaves a setting as it is."""

        def __getattr__(self, name: str) -> Any: ...

else:
    _Settings = msgspec.defstruct(
        "_Settings",
        [(name, settings()[name].optional, None) for name in LIVE],
        bases=(_Request,),
        frozen=True,
        kw_only=True,
    )


class Set(_Settings, tag="set", frozen=True, kw_only=True):
    """Change settings from the next frame on. It has a field for each of `LIVE`; None leaves a setting as it
    is, and "none" removes a region or a turn. fade: seconds of the fade from the old codes to the new."""

    fade: Annotated[float, Meta(ge=0, le=600)] = 0.0

    if TYPE_CHECKING:

        def __init__(self, *, fade: float = 0.0, **settings: Any) -> None: ...


class Switch(_Request, tag="switch", frozen=True):
    """Read another source. timeout: seconds within which its first frame must come."""

    source: Annotated[str, Meta(min_length=1, max_length=4096)]
    timeout: Annotated[float, Meta(gt=0, le=120)] = 15.0


class AddSink(_Request, tag="add-sink", frozen=True):
    """Write to one more output, from the next frame on. If it fails, it alone ends."""

    sink: Annotated[str, Meta(min_length=1, max_length=4096)]


class RemoveSink(_Request, tag="remove-sink", frozen=True):
    """Finish an output, named as in the status."""

    sink: Annotated[str, Meta(min_length=1, max_length=4096)]


class Pause(_Request, tag="pause", frozen=True):
    """Freeze the picture; time and sound go on."""


class Resume(_Request, tag="resume", frozen=True):
    """Show new pictures again."""


class Snapshot(_Request, tag="snapshot", frozen=True):
    """Write the last picture to a PNG file."""


class Record(_Request, tag="record", frozen=True):
    """Begin a recording. name: of the file in the folder of captures; its suffix sets the format."""

    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class StopRecording(_Request, tag="stop-recording", frozen=True):
    """Finish the recording."""


class Status(_Request, tag="status", frozen=True):
    """Report the state of the run."""


Request: TypeAlias = (
    Set | Switch | AddSink | RemoveSink | Pause | Resume | Snapshot | Record | StopRecording | Status
)

KINDS: tuple[type[Request], ...] = (
    *(Set, Switch, AddSink, RemoveSink, Pause, Resume),
    *(Snapshot, Record, StopRecording, Status),
)
VERBS = tuple(str(kind.__struct_config__.tag) for kind in KINDS)


def to_json(request: Request) -> bytes:
    """The request as JSON for an endpoint."""
    return msgspec.json.encode({"version": VERSION, **msgspec.to_builtins(request)})


def from_json(data: bytes) -> tuple[Request | ConfigError, object]:
    """The request, or the error in it, and its `id` for the answer; None without one."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return ConfigError("the request is not JSON"), None
    if not isinstance(values, dict):
        return ConfigError("the request is not a JSON object"), None
    mark = values.pop("id", None)
    mark = mark if isinstance(mark, str | int) else None
    try:
        version = values.pop("version", None)
        if version != VERSION:
            raise ConfigError(f"version {version!r:.40} is not supported: this program reads {VERSION}")
        return parse(values), mark
    except ConfigError as error:
        return error, mark


def parse(values: dict[str, Any]) -> Request:
    """A request from its fields; `do` is the verb. Raises ConfigError."""
    verb = values.get("do")
    if verb not in VERBS:
        close = nearest(verb, VERBS) if isinstance(verb, str) else ""
        raise ConfigError(f"there is no verb {verb!r:.40}{close}: `do` is one of {', '.join(VERBS)}")
    kind = KINDS[VERBS.index(verb)]
    fields = kind.__struct_fields__
    for name in values:
        if name not in (*fields, "do"):
            takes = f"it takes {', '.join(fields)}" if fields else "it takes nothing"
            raise ConfigError(f"{verb} has no '{name:.40}'{nearest(name, fields)}: {takes}")
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in values:
            raise ConfigError(f"{verb} needs the field {field.name}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        told = re.sub(r" - at `\$\.?(.*)`$", r" (at \1)", str(error))
        raise ConfigError(f"{verb} cannot be done: {told}") from error
