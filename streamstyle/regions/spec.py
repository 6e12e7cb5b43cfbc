"""Parser of `--region`:

rect:x,y,w,h             a rectangle in pixels or percent of the frame; several joined by `+`
file:PATH                a picture, or a film in step with the source; its luma is the mask
chroma:RRGGBB[,T]        everything of a colour, whatever its brightness
onnx:PATH[,CLASS][,SCALE]  the output of a segmentation network
person, background       the people in the picture, and everything else
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from streamstyle.errors import ConfigError, nearest

Scale: TypeAlias = Literal["unit", "signed", "imagenet"]

KINDS = ("rect", "file", "chroma", "onnx")
PERSON, BACKGROUND = "person", "background"
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})

_SCALES: dict[str, Scale] = {"unit": "unit", "signed": "signed", "imagenet": "imagenet"}
_MAX_COORDINATE = 1_000_000  # far beyond any frame, and still exact in every type that computes with it
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
_DEFAULT_TOLERANCE = 40.0


@dataclass(frozen=True)
class Length:
    """Pixels, or percent of the frame's width or height."""

    value: float
    percent: bool

    def pixels(self, whole: int) -> float:
        """Pixels on a side of `whole` pixels."""
        return self.value * whole / 100 if self.percent else self.value


@dataclass(frozen=True)
class Rectangle:
    """Left, top, width, height."""

    x: Length
    y: Length
    width: Length
    height: Length


@dataclass(frozen=True)
class Rectangles:
    """The union of rectangles."""

    parts: tuple[Rectangle, ...]


@dataclass(frozen=True)
class MaskFile:
    """A picture or a film as a mask; white is inside."""

    path: str

    @property
    def is_picture(self) -> bool:
        """True if the suffix names a picture; everything else counts as a film."""
        return Path(self.path).suffix.lower() in PICTURE_SUFFIXES


@dataclass(frozen=True)
class ChromaKey:
    """A region by its colour."""

    colour: tuple[int, int, int]
    """RGB, 0..255."""
    tolerance: float
    """Distance in the (Cb, Cr) plane that is still fully inside, in units of 0..255."""


@dataclass(frozen=True)
class Segmentation:
    """A segmentation network."""

    path: str
    category: int | None
    """The wanted channel of the output; None takes the foreground, if there is only one."""
    scale: Scale
    """The network's range of RGB: "unit" 0..1, "signed" -1..1, "imagenet" 0..1 minus the mean, over the
    deviation of ImageNet."""


@dataclass(frozen=True)
class People:
    """The people in the picture."""

    inverse: bool
    """True for everything else."""


RegionSpec: TypeAlias = Rectangles | MaskFile | ChromaKey | Segmentation | People


def parse_region(text: str) -> RegionSpec:
    """The request of a `--region`. Opens nothing. Raises ConfigError."""
    if text in {PERSON, BACKGROUND}:
        return People(inverse=text == BACKGROUND)
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS:
        known = nearest(kind, (*KINDS, PERSON, BACKGROUND))
        raise ConfigError(
            f"cannot read the region '{text}'{known}: it is person or background, or begins with rect:, "
            "file:, chroma: or onnx:"
        )
    if "\0" in rest or not rest:
        raise ConfigError(f"the region '{kind}:' needs a value; see `streamstyle run --help`")
    if kind == "rect":
        return Rectangles(tuple(_rectangle(part) for part in rest.split("+")))
    if kind == "chroma":
        return _chroma_key(rest)
    return MaskFile(rest) if kind == "file" else _segmentation(rest)


def _rectangle(text: str) -> Rectangle:
    parts = [_length(part.strip()) for part in text.split(",")]
    if len(parts) != 4 or None in parts:
        raise ConfigError(f"cannot read the rectangle '{text}': write x,y,w,h in pixels, or 25% of the frame")
    x, y, width, height = (part for part in parts if part is not None)
    if width.value <= 0 or height.value <= 0:
        raise ConfigError(f"the rectangle '{text}' is empty: its width and height must be above 0")
    return Rectangle(x, y, width, height)


def _length(text: str) -> Length | None:
    number = text.removesuffix("%")
    if not _NUMBER.fullmatch(number) or (value := float(number)) > _MAX_COORDINATE:
        return None
    return Length(value, percent=number != text)


def _chroma_key(text: str) -> ChromaKey:
    colour, comma, tolerance = text.partition(",")
    match = re.fullmatch(r"#?([0-9a-f]{6})", colour.strip(), re.IGNORECASE)
    try:
        reach = float(tolerance) if comma else _DEFAULT_TOLERANCE
    except ValueError:
        reach = math.nan
    if match is None or not 0 < reach <= 255:
        raise ConfigError(
            f"cannot read the colour '{text}': write RRGGBB or RRGGBB,tolerance, as in 00b140,40 (up to 255)"
        )
    red, green, blue = bytes.fromhex(match[1])
    return ChromaKey((red, green, blue), reach)


def _segmentation(text: str) -> Segmentation:
    path, category, scale = text, None, _SCALES["unit"]
    head, comma, last = path.rpartition(",")
    if comma and last.strip() in _SCALES:
        path, scale = head, _SCALES[last.strip()]
        head, comma, last = path.rpartition(",")
    if comma and re.fullmatch(r"[0-9]{1,6}", last.strip(), re.ASCII):
        path, category = head, int(last)
    if not path:
        raise ConfigError("the region 'onnx:' names no model: write onnx:model.onnx or onnx:model.onnx,15")
    return Segmentation(path, category, scale)
