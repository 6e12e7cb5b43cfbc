"""Typed settings from presets, files and `--set`; unknown keys are errors with the nearest name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec

from streamstyle.errors import ConfigError, nearest

C = TypeVar("C")


@dataclass(frozen=True)
class Option:
    """Description of a setting for the command line, for control requests and for the user guide."""

    help: str
    """Meaning of the setting; the default is added to it."""
    metavar: str = ""
    """Form of the value on the command line; a flag has none."""
    more: str = ""
    """Link from the user guide to a longer explanation."""
    flag: bool = True
    """True if `run` has an option of this name; otherwise it is set by --set or a config file."""
    live: bool = False
    """True if it may change while a run goes on."""


_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
_Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True)
class RunConfig:
    """Settings of one `streamstyle run`. Each setting is described here once, by its `Option`."""

    style: Annotated[
        _Text,
        Option(
            "a style, or a mix by shares: NAME:0.7,OTHER:0.3. A name of `styles list`, `original`, or a path "
            "to a style file",
            "NAME",
            "#a-style-of-your-own",
            live=True,
        ),
    ] = "starry-night"
    strength: Annotated[_Share, Option("1 is the full style, 0 the original", "0..1", live=True)] = 1.0
    turn: Annotated[
        _Text | None,
        Option(
            "more or less of a style's texture, contrast or colour: factors of 0 to 3",
            "GROUP=F,...",
            "#turning-a-style",
            live=True,
        ),
    ] = None
    colour: Annotated[
        _Share,
        Option(
            "whose colours: `style` or 0, the painting's; `keep` or 1, the film's own in the painting's "
            "light; a number between mixes them",
            "style|keep|0..1",
            live=True,
        ),
    ] = 0.0
    region: Annotated[
        _Text | None,
        Option(
            "part of the frame in another style: person, background, rect:x,y,w,h, file:MASK, "
            "chroma:RRGGBB[,tolerance] or onnx:MODEL[,class]; lengths in pixels or percent",
            "SPEC",
            "#regions",
            live=True,
        ),
    ] = None
    region_style: Annotated[_Text, Option("style, or mix, of the region", "NAME", live=True)] = "original"
    region_feather: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=512)] | None,
        Option(
            "width in pixels of the region's soft edge; 0 is a hard edge (default: 32, and 0 beside the soft "
            "edge of a person)",
            "PX",
            live=True,
        ),
    ] = None
    network: Annotated[
        str,
        Option(
            "`auto`, the best that keeps the source's frame rate on this machine; `full`, the best; or "
            "`lite`, the fastest",
            "auto|lite|full",
            "#the-network",
        ),
    ] = "auto"
    engine: Annotated[
        str,
        Option(
            "`auto`, the first of the others that this machine has",
            "auto|tensorrt|cuda|openvino|torch",
            "engines.md",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp16", "bf16", "fp32"],
        Option("arithmetic of tensorrt and cuda; auto is fp16", "fp16|bf16|fp32", "engines.md", flag=False),
    ] = "auto"
    size: Annotated[
        str | None,
        Option(
            "paint smaller and keep the frame's edges; `auto` is the largest size that keeps the source's "
            "rate (default: the frame's own size)",
            "WxH|auto",
            "#painting-smaller",
        ),
    ] = None
    tile: Annotated[
        str | None,
        Option(
            "paint in tiles (default: only if memory is short)",
            "WxH",
            "sizes.md#--tile-frames-that-do-not-fit-into-memory",
        ),
    ] = None
    every: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=8)],
        Option(
            "paint one frame of N and propagate it along the motion, 1 to 8", "N", "#painting-fewer-frames"
        ),
    ] = 1
    canvas: Annotated[
        Literal["follow", "still"],
        Option(
            "whether strokes and facets move with the camera, or stand on the screen, as they always do with "
            "`--resume`",
            "follow|still",
            "styles.md#strokes-move-with-the-camera",
        ),
    ] = "follow"
    correct: Annotated[
        Literal["off", "repair"],
        Option("`repair` detects and repairs anomalies, `off` does neither", "repair|off", live=True),
    ] = "repair"
    consistency: Annotated[
        _Share,
        Option(
            "smooth every frame, for styles that flicker everywhere; 0 repairs flagged frames only",
            "0..1",
            "temporal.md#stabilise",
            live=True,
        ),
    ] = 0.0
    flash_guard: Annotated[
        bool, Option("limit flashes of the source as well", more="temporal.md#flashes", live=True)
    ] = False
    overlay: Annotated[bool, Option("draw findings and repairs over the film", more="#the-overlay")] = False
    codec: Annotated[
        Literal["h264", "hevc", "av1", "vp9", "prores", "ffv1"] | None,
        Option("codec of films (default: the container's)", "h264|hevc|av1|vp9|prores|ffv1", "#codecs"),
    ] = None
    quality: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=63)] | None,
        Option(
            "constant quality of the codec: 0 is best, and biggest (default: the codec's)", "N", "#codecs"
        ),
    ] = None
    preset: Annotated[
        _Text | None,
        Option("the codec's trade-off between work and file size, such as veryfast", "NAME", "#codecs"),
    ] = None
    pixel_format: Annotated[
        _Text | None, Option("FFmpeg's name, such as yuv420p10le for 10 bit", "NAME", "#codecs")
    ] = None
    encoder: Annotated[
        Literal["cpu", "nvenc", "qsv", "amf", "auto"],
        Option(
            "encoder of films and streams: the CPU, a graphics chip, or the first that opens",
            "cpu|nvenc|qsv|amf|auto",
            "#codecs-of-a-graphics-chip",
        ),
    ] = "cpu"
    decoder: Annotated[
        Literal["cpu", "cuda", "auto"],
        Option(
            "decoder of films: the CPU, NVIDIA's NVDEC, or NVDEC if it opens",
            "cpu|cuda|auto",
            "#codecs-of-a-graphics-chip",
        ),
    ] = "cpu"
    deinterlace: Annotated[
        Literal["auto", "off", "field"],
        Option(
            "interlaced frames: one picture of each, two pictures (`field`), or unchanged",
            "auto|field|off",
            "#what-happens-to-odd-inputs",
        ),
    ] = "auto"
    rate: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=1000)] | None,
        Option("pictures per second of numbered pictures and folders (default: 25)", "FPS"),
    ] = None
    background: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{6}$")],
        Option("colour behind transparent films", "RRGGBB"),
    ] = "000000"
    live: Annotated[
        bool,
        Option(
            "play a film on a web server at its pace, as a stream", more="sources.md#films-on-a-web-server"
        ),
    ] = False
    latency: Annotated[
        str | None,
        Option("live sources: age of frames from which the run degrades", "100ms", "live.md#--latency-100ms"),
    ] = None
    metrics: Annotated[
        str | None,
        Option("serve figures for Prometheus at /metrics", "127.0.0.1:PORT", "live.md#what-is-measured"),
    ] = None
    queue: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=256)],
        Option("frames that each channel of a film holds", "N", flag=False),
    ] = 8
    live_queue: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=8)],
        Option("live sources: frames that wait before each stage", "N", "live.md#channels", flag=False),
    ] = 2
    source_timeout: Annotated[
        Annotated[float, msgspec.Meta(ge=0.1, le=600)],
        Option(
            "live sources: seconds without data after which a stream is lost and opened again",
            "S",
            "sources.md#time-outs-and-coming-back",
            flag=False,
        ),
    ] = 5.0
    stand_in_after: Annotated[
        Annotated[float, msgspec.Meta(ge=1.1, le=100)],
        Option(
            "live sources: frame times without a frame after which the last one is repeated",
            "N",
            "live.md#fillers-the-output-goes-on",
            flag=False,
        ),
    ] = 2.2
    slate_after: Annotated[
        Annotated[float, msgspec.Meta(ge=0)],
        Option("live sources: seconds of repeating after which a slate is shown", "S", flag=False),
    ] = 3.0
    source: Annotated[str | None, Option("the source, if the command line names none", flag=False)] = None
    sinks: Annotated[tuple[str, ...], Option("the outputs, if the command line names none", flag=False)] = ()


@dataclass(frozen=True)
class Setting:
    """A setting with its metadata."""

    name: str
    kind: Any
    """Its type, with limits, as msgspec takes it."""
    default: Any
    option: Option

    @property
    def is_flag(self) -> bool:
        """True for a setting that is on or off."""
        return self.kind is bool

    @property
    def number(self) -> type[int] | type[float] | None:
        """The type of a numeric setting; None for others."""
        plain = {kind for kind in _parts(self.kind) if kind in (int, float)}
        return plain.pop() if plain else None

    @property
    def optional(self) -> Any:
        """Its type, or None."""
        return self.kind if type(None) in get_args(self.kind) else self.kind | None


@cache
def settings(kind: type = RunConfig) -> dict[str, Setting]:
    """All settings of a config class by name, in its order."""
    defaults = {each.name: each.default for each in fields(kind)}
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        base, *notes = get_args(hint)
        (option,) = (note for note in notes if isinstance(note, Option))
        limits = [note for note in notes if note is not option]
        found[name] = Setting(name, Annotated[base, *limits] if limits else base, defaults[name], option)
    return found


LIVE = tuple(name for name, setting in settings().items() if setting.option.live)
"""Names of the settings that may change while a run goes on."""


def _parts(kind: Any) -> list[Any]:
    """A type and the types inside it."""
    return [kind, *(part for inner in get_args(kind) for part in _parts(inner))]


def load_config(kind: type[C], path: Path | None, assignments: Iterable[str]) -> C:
    """Settings of dataclass `kind`: its defaults, then the YAML file, then `a.b=c` assignments.

    Raises ConfigError for a file that cannot be read, an unknown key or a value that does not fit.
    """
    values: dict[str, Any] = {} if path is None else _read_mapping(path)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set needs NAME=VALUE, not '{assignment}'")
        _assign(values, key.strip().split("."), _parse_yaml(text, assignment))
    return config_of(kind, values)


def config_of(kind: type[C], values: dict[str, Any]) -> C:
    """Settings of dataclass `kind` by name, and its defaults. Raises ConfigError for an unknown key or a
    value that does not fit."""
    _check_keys(kind, values, prefix="")
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a setting does not fit: {_in_our_words(str(error), kind)}") from error


def read_yaml(path: Path) -> Any:
    """The values of a YAML file, of standard input for `-`; None for an empty one. Raises ConfigError."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the config {path} is not UTF-8 text") from error
    return _parse_yaml(text, str(path))


def _read_mapping(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
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
    form = re.search(r"matching regex .* \(at (\w+)\)$", told)
    if form:
        return f"{form[1]} is written as {settings(kind)[form[1]].option.metavar}"
    choice = re.search(r"^Invalid enum value .* \(at (\w+)\)$", told)
    if not choice:
        return told
    hint = get_type_hints(kind)[choice[1]]
    literal = next((inner for inner in get_args(hint) if get_args(inner)), hint)  # of one that may be None
    return f"{told}: it is one of {', '.join(get_args(literal))}"
