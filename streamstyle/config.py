"""Typed settings from presets, files and `--set`; unknown keys are errors with the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import msgspec

from streamstyle.errors import ConfigError, nearest

C = TypeVar("C")


@dataclass(frozen=True)
class RunConfig:
    """One `streamstyle run`.

    style: NAME or NAME:0.7,OTHER:0.3. strength: 0 (original) .. 1. engine: auto, tensorrt, cuda, openvino or
    torch. precision: of tensorrt and cuda, fp16, bf16 or (cuda) fp32; auto is fp16. network: lite or full,
    the bundled networks, or auto for the richest that keeps the source's frame rate on this machine (see
    `streamstyle.pipeline.network`). size: WxH to paint at, inside which frames are fitted, or auto for the
    largest that keeps the source's rate; None is the frames' own. tile: WxH of the tiles to paint in; None
    paints frames whole where they fit into memory. every: paint one of so many frames and carry it on along
    the motion. turn: more or less of a style's groups, texture=1.4,colour=0.8 (see
    `streamstyle.explain.adjust`). colour: 0 is the painting's colours, 1 the film's own, in the painting's
    light; between them a mix. region: where another style holds (see `streamstyle.regions.spec`), None for
    nowhere. region_style: the style there, as `style`. region_feather: width in pixels of the passage between
    the two. correct: off (neither detect nor correct) or repair. flash_guard: limit flashes of the input too;
    those that painting adds are limited wherever frames are repaired. consistency: 0 repairs what is flagged;
    up to 1 every frame is steadied as well, for styles that flicker everywhere. overlay: draw what was found
    and done over the frames (see `streamstyle.explain.overlay`). queue: frames that each channel holds.
    codec: of films that are written; None leaves it to the container. quality: the codec's constant quality,
    0 (best) .. 51, or 63 of av1 and vp9; preset: how much work for how small a file, by the codec's own
    names; pixel_format: FFmpeg's name; None leaves them to the codec. decoder: of films: cpu, cuda for
    NVIDIA's NVDEC, or auto for the CPU where that does not open. deinterlace: of films and live sources whose
    frames say that they are interlaced: auto makes one picture of each, field two, off leaves them as they
    are. rate: pictures a second of numbered pictures and folders; None is 25. background: RRGGBB, what
    transparent films are laid over. encoder: of films and streams: cpu, a graphics chip's nvenc, qsv or amf,
    or auto for the first that opens. live: take a film on a web server for a live source too, at its pace. Of
    live sources: source_timeout: seconds without anything after which a stream is lost and tried again.
    live_queue: frames that wait before each stage, of which the oldest is dropped. stand_in_after: frame
    times without a frame before the last one is repeated. slate_after: seconds of repeating before a slate is
    shown instead. latency: 100ms: how old a frame may get before something gives way (see
    `streamstyle.pipeline.ladder`). metrics: 127.0.0.1:PORT, where Prometheus reads the run's figures. source,
    sinks: what runs where the command line names none. """

    style: str = "starry-night"
    strength: float = 1.0
    engine: str = "auto"
    precision: Literal["auto", "fp16", "bf16", "fp32"] = "auto"
    network: str = "auto"
    size: str | None = None
    tile: str | None = None
    every: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    turn: str | None = None
    colour: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    region: str | None = None
    region_style: str = "original"
    region_feather: Annotated[float, msgspec.Meta(ge=0, le=512)] = 32.0
    correct: Literal["off", "repair"] = "repair"
    flash_guard: bool = False
    consistency: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    overlay: bool = False
    queue: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    codec: Literal["h264", "hevc", "av1", "vp9", "prores", "ffv1"] | None = None
    quality: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
    preset: str | None = None
    pixel_format: str | None = None
    decoder: Literal["cpu", "cuda", "auto"] = "cpu"
    deinterlace: Literal["auto", "off", "field"] = "auto"
    rate: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    background: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{6}$")] = "000000"
    encoder: Literal["cpu", "nvenc", "qsv", "amf", "auto"] = "cpu"
    live: bool = False
    source_timeout: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 5.0
    live_queue: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    stand_in_after: Annotated[float, msgspec.Meta(ge=1.1, le=100)] = 2.2
    slate_after: Annotated[float, msgspec.Meta(ge=0)] = 3.0
    latency: str | None = None
    metrics: str | None = None
    source: str | None = None
    sinks: tuple[str, ...] = ()


def load_config(kind: type[C], path: Path | None, assignments: Iterable[str]) -> C:
    """Settings of dataclass `kind`: its defaults, then the YAML file, then `a.b=c` assignments.

    Raises ConfigError for a file that cannot be read, an unknown key or a value that does not fit.
    """
    values: dict[str, Any] = {} if path is None else _read_yaml(path)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set wants name=value, not '{assignment}'")
        _assign(values, key.strip().split("."), _parse_yaml(text, assignment))
    _check_keys(kind, values, prefix="")
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a setting does not fit: {_in_our_words(str(error), kind)}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the config {path} is not UTF-8 text") from error
    values = _parse_yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ConfigError(f"the config {path} must be a mapping of names to values")
    return values


def _parse_yaml(text: str, where: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def _assign(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {key} is not a group of settings")
        values = inner
    values[keys[-1]] = value


def _check_keys(kind: Any, values: Mapping[str, Any], *, prefix: str) -> None:
    known = {f.name: f.default for f in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"unknown setting '{prefix}{key}'{nearest(key, known)}")
        if is_dataclass(known[key]) and isinstance(value, dict):
            _check_keys(known[key], value, prefix=f"{prefix}{key}.")


def _in_our_words(message: str, kind: type) -> str:
    told = re.sub(r" - at `\$\.?(.*)`$", r" (at \1)", message)
    choice = re.search(r"^Invalid enum value .* \(at (\w+)\)$", told)
    if not choice:
        return told
    hint = get_type_hints(kind)[choice[1]]
    literal = next((inner for inner in get_args(hint) if get_args(inner)), hint)  # of one that may be None
    return f"{told}: it is one of {', '.join(get_args(literal))}"
