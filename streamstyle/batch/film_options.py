"""Everything that the pictures of a film depend on, so that only segments with equal options are joined."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from streamstyle.batch.manifest import digest
from streamstyle.config import RunConfig
from streamstyle.errors import SourceError
from streamstyle.pipeline.model import Model, load_model
from streamstyle.regions.spec import parse_region
from streamstyle.styles.bundle import load_manifest, network_folder
from streamstyle.styles.imported import asked_model, load_imported
from streamstyle.styles.library import model_names

_OF_THE_RUN = {
    *("source", "sinks", "live", "latency", "metrics", "queue", "live_queue"),
    *("source_timeout", "stand_in_after", "slate_after", "network", "canvas"),
}
"""Settings that change no picture of a film in segments, and the network, which its weights stand for."""


@lru_cache(maxsize=2)
def model_of(config: RunConfig) -> Model:
    """The network of settings that name one, loaded once a process. Raises ConfigError, ModelError."""
    return load_model(config)


def options_of(source: Path, config: RunConfig) -> dict[str, Any]:
    """Settings, weights, style and film by name, as plain values. config: names the network. Raises
    SourceError, ConfigError, ModelError."""
    settings = {name: value for name, value in asdict(config).items() if name not in _OF_THE_RUN}
    return settings | _painter(config) | {"film": _state_of(source)}


def check_unchanged(source: Path, options: dict[str, Any]) -> None:
    """Raise SourceError for a film that is gone, or is not the one of these options any more."""
    if _state_of(source) != options["film"]:
        raise SourceError(f"{source} was changed while it was painted: start again when it is whole.")


def _state_of(source: Path) -> str:
    try:
        state = source.stat()
    except OSError as error:
        raise SourceError(f"{source} cannot be read: {error.strerror}.") from error
    return f"{state.st_size} bytes of {state.st_mtime_ns}"


@lru_cache(maxsize=2)
def _painter(config: RunConfig) -> dict[str, Any]:
    name = asked_model(config.style, model_names())
    if name is not None:
        weights = load_imported(name).manifest.sha256
    else:
        manifest = load_manifest(network_folder(config.network))
        weights = f"{config.network} {manifest.sha256['generator.safetensors']}"
    codes = hashlib.sha256(model_of(config).codes.tobytes()).hexdigest()
    return {"program": version("streamstyle"), "weights": weights, "style codes": codes} | _region(config)


def _region(config: RunConfig) -> dict[str, str]:
    path = None if config.region is None else getattr(parse_region(config.region), "path", None)
    if path is None or not Path(path).is_file():
        return {}
    return {"region file": digest(Path(path))}
