"""The JSON API as an OpenAPI document, made from the verbs themselves (docs/openapi.json)."""

from __future__ import annotations

from typing import Any

import msgspec

from streamstyle.control.requests import KINDS

_REF = "#/components/schemas/{name}"


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """Begin a run of a source, or of the one before; while a run goes on the source takes its place."""

    source: str | None = None


class Stop(msgspec.Struct, forbid_unknown_fields=True):
    """End the run well."""


class ForgetSink(msgspec.Struct, forbid_unknown_fields=True):
    """Finish an output and do not show it any more."""

    sink: str


class SavePreset(msgspec.Struct, forbid_unknown_fields=True):
    """Keep the settings, the source and the outputs as a preset that `--config` takes."""

    name: str


OWN: dict[str, type[msgspec.Struct]] = {
    "start": Start,
    "stop": Stop,
    "forget-sink": ForgetSink,
    "save-preset": SavePreset,
}
"""Verbs of the server beyond those of a run."""

_READ = {
    "/status.json": (
        "How things stand: settings, source, outputs, and the run's own status",
        "application/json",
    ),
    "/api/sources": ("What the page may name as a source", "application/json"),
    "/api/styles": ("All styles", "application/json"),
    "/frame.jpg": ("The next frame that leaves", "image/jpeg"),
    "/small.jpg": ("The next frame that leaves, up to 480 pixels wide", "image/jpeg"),
    "/stream.mjpg": ("Frames as multipart/x-mixed-replace", "multipart/x-mixed-replace"),
    "/metrics": ("Figures for Prometheus", "text/plain"),
    "/streams.json": (
        "Of `serve --streams` alone: all streams with name, state, fps and restarts, and what happened",
        "application/json",
    ),
    "/healthz": ("Is the server there? Needs no token", "application/json"),
}


def document() -> dict[str, Any]:
    """The whole document, in JSON values."""
    kinds = {str(kind.__struct_config__.tag): kind for kind in KINDS} | OWN
    _, schemas = msgspec.json.schema_components(kinds.values(), ref_template=_REF)
    for schema in schemas.values():
        schema.get("properties", {}).pop("do", None)
        required = [name for name in schema.pop("required", []) if name != "do"]
        if required:
            schema["required"] = required
    schemas["Answer"] = _ANSWER
    paths: dict[str, Any] = {f"/api/{verb}": {"post": _post(kind)} for verb, kind in kinds.items()}
    paths |= {path: {"get": _get(path, *what)} for path, what in _READ.items()}
    paths["/api/train"] = {"post": _TRAIN}
    return {
        "openapi": "3.1.0",
        "info": {"title": "streamstyle", "version": "1", "description": _TOLD},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_TOLD = (
    "The verbs of docs/live-control.md over HTTP. Every request names the token as `Authorization: Bearer`; "
    "requests that read may name it as `?token=`. With `serve --streams` the paths of each stream lie below "
    "`/streams/NAME`; `/streams.json`, `/metrics` and `/healthz` of all lie at the top."
)

_ANSWER: dict[str, Any] = {
    "description": "ok, and either the status, or the file that was written; or error, one sentence.",
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "error": {"type": "string"}, "file": {"type": "string"}},
    "required": ["ok"],
}

_ANSWERED = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}

_TRAIN = {
    "summary": "Train a style of a picture in the background",
    "parameters": [{"name": "name", "in": "query", "required": True, "schema": {"type": "string"}}],
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/jpeg", "image/png", "image/webp")
        },
    },
    "responses": {"200": {"description": "how it stands", "content": _ANSWERED}},
}


def _post(kind: type[msgspec.Struct]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=kind.__name__)}
    return {
        "summary": " ".join((kind.__doc__ or "").split()),
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "done", "content": _ANSWERED},
            "400": {"description": "refused, and nothing was changed", "content": _ANSWERED},
        },
    }


def _get(path: str, what: str, kind: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "summary": what,
        "responses": {"200": {"description": what, "content": {kind: {}}}},
    }
    return answer | ({"security": []} if path == "/healthz" else {})


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(document(), indent=1) + "\n")
