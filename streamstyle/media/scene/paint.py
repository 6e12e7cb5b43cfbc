"""Paint for the demo scene: noise, gradients, and layers that slide over a canvas.

Lengths are in picture heights: (0, 0) is the top left, y = 1 the bottom. Colours are RGB, 0..255.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]
Map: TypeAlias = NDArray[np.float32]
Range: TypeAlias = tuple[int, float, float, Colour]
"""A range of hills: seed, height of its tops, roughness, colour."""

_FINER = 2  # layers are drawn this much larger, then averaged down: smooth edges at no cost per frame
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True)
class PaintedLayer:
    """A transparent picture, premultiplied. colour, keep: uint8 (h, w, 3); `keep` is what remains of the
    canvas below (255 - alpha). top: the canvas row where it begins."""

    colour: Picture
    keep: Picture
    top: int

    def lay_(self, canvas: Picture, left: float) -> None:
        """Blend onto the canvas the part that begins `left` pixels in, as far as the layer reaches."""
        rows = min(len(self.colour), len(canvas) - self.top)
        width = canvas.shape[1]
        whole = min(int(left), self.colour.shape[1] - width - 1)
        part = left - whole
        band = canvas[self.top : self.top + rows]

        def between(picture: Picture) -> Picture:
            # Whole pixels only would make slow clouds jerk.
            first = picture[:rows, whole : whole + width]
            second = picture[:rows, whole + 1 : whole + 1 + width]
            mixed: Picture = cv2.addWeighted(first, 1 - part, second, part, 0)  # type: ignore[assignment]
            return mixed

        cv2.multiply(band, between(self.keep), dst=band, scale=1 / 255)
        cv2.add(band, between(self.colour), dst=band)

    def endless(self, width: int) -> PaintedLayer:
        """The layer followed by its own first `width` + 1 columns: a seamless one can then go round."""
        colour = np.concatenate([self.colour, self.colour[:, : width + 1]], axis=1)
        keep = np.concatenate([self.keep, self.keep[:, : width + 1]], axis=1)
        return PaintedLayer(colour, keep, self.top)


class Sheet:
    """A transparent sheet to draw on, `width` x `height` picture heights, that becomes a Layer."""

    def __init__(self, unit: int, width: float, height: float = 1.0, top: float = 0.0) -> None:
        self.unit = unit * _FINER
        self.top = round(top * unit)
        self._size = (round(width * unit), round(height * unit))
        columns, rows = self._size
        self.pixels = np.zeros((rows * _FINER, columns * _FINER, 4), np.uint8)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon, convex or not."""
        corners = np.array([self._fixed(point) for point in points], np.int32)
        cv2.fillPoly(self.pixels, [corners], (*colour, 255), cv2.LINE_AA, _SHIFT)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A filled circle."""
        size = max(round(radius * self.unit * (1 << _SHIFT)), 1)
        cv2.circle(self.pixels, self._fixed(centre), size, (*colour, 255), -1, cv2.LINE_AA, _SHIFT)

    def line(self, start: Point, end: Point, thickness: float, colour: Colour) -> None:
        """A straight stroke, at least one (fine) pixel wide."""
        width = max(round(thickness * self.unit), 1)
        cv2.line(
            self.pixels,
            self._fixed(start),
            self._fixed(end),
            (*colour, 255),
            width,
            cv2.LINE_AA,
            _SHIFT,
        )

    def shade(self, factor: Map) -> None:
        """Multiply the colours by a map that is stretched over the sheet."""
        rows, columns = self.pixels.shape[:2]
        stretched = cv2.resize(factor, (columns, rows), interpolation=cv2.INTER_CUBIC)
        alpha = self.pixels[..., 3:].astype(np.float32)
        shaded = self.pixels[..., :3] * stretched[..., None]
        self.pixels[..., :3] = np.clip(shaded, 0, alpha).astype(np.uint8)

    def layer(self) -> PaintedLayer:
        """The sheet at the canvas's own scale."""
        small = cv2.resize(self.pixels, self._size, interpolation=cv2.INTER_AREA)
        keep = np.repeat(255 - small[..., 3:], 3, axis=2)
        return PaintedLayer(np.ascontiguousarray(small[..., :3]), np.ascontiguousarray(keep), self.top)

    def _fixed(self, point: Point) -> tuple[int, int]:
        scale = self.unit * (1 << _SHIFT)
        x, y = map(float, point)  # NumPy's own numbers would take ten times as long
        return round(x * scale), round(y * scale - self.top * _FINER * (1 << _SHIFT))


def layer_of(colour: Map, alpha: Map | NDArray[np.float64], top: int) -> PaintedLayer:
    """A layer from a colour map (h, w, 3) in 0..255 and an alpha map (h, w) in 0..1."""
    cover: Map = np.clip(alpha, 0, 1)[..., None].astype(np.float32)
    keep = np.repeat(np.round(255 * (1 - cover)), 3, axis=2).astype(np.uint8)
    return PaintedLayer(np.clip(colour * cover, 0, 255).astype(np.uint8), keep, top)


def gradient(stops: Sequence[tuple[float, Colour]], rows: int, columns: int) -> Map:
    """Colours from top to bottom through `(position 0..1, colour)` stops: float32 (rows, columns, 3)."""
    position = np.linspace(0, 1, rows)
    places = [place for place, _ in stops]
    channels = [np.interp(position, places, [colour[i] for _, colour in stops]) for i in range(3)]
    column = np.stack(channels, axis=1).astype(np.float32)
    return np.repeat(column[:, None, :], columns, axis=1)


def noise(seed: int, rows: int, columns: int, cell: float, octaves: int = 4, flat: float = 1.0) -> Map:
    """Smooth noise in about -1..1, float32 (rows, columns), seamless from right to left.

    cell: size of the largest features in pixels; flat: how many times wider than high they are.
    """
    random = np.random.default_rng(seed)
    total = np.zeros((rows, columns), np.float32)
    weight = 1.0
    for octave in range(octaves):
        size = cell / 2**octave
        across, down = max(round(columns / (size * flat)), 2), max(round(rows / size), 2)
        grid = random.uniform(-1, 1, (down + 3, across)).astype(np.float32)
        ring = np.concatenate([grid[:, -2:], grid, grid[:, :2]], axis=1)
        x = (np.arange(columns, dtype=np.float32) * (across / columns) + 2)[None, :]
        y = (np.arange(rows, dtype=np.float32) * (down / rows) + 1)[:, None]
        map_x, map_y = np.repeat(x, rows, axis=0), np.repeat(y, columns, axis=1)
        total += weight * cv2.remap(ring, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        weight *= 0.5
    return total


def ridge(seed: int, width: float, height: float, rough: float, steps: int = 240) -> list[Point]:
    """The outline of hills from left to right: points about `height`, rising and falling by `rough`."""
    line = noise(seed, 8, steps, steps / 4, octaves=5)[4]
    return [(width * i / (steps - 1), height - rough * float(line[i])) for i in range(steps)]


def blend(under: Map, over: Map | Colour, share: Map | NDArray[np.float64]) -> Map:
    """`under` with `share` (h, w) of `over` mixed in."""
    mixed: Map = under + share[..., None].astype(np.float32) * (np.asarray(over, np.float32) - under)
    return mixed


def glow(rows: int, columns: int, centre: Point, radius: float) -> Map:
    """A soft light of 1 at the centre (in pixels) that falls off with the distance."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    squared = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius**2
    light: Map = (1 / (1 + squared)).astype(np.float32)
    return light


def stamp_(canvas: Picture, sprite: Picture, centre: float, top: float) -> None:
    """Blend a premultiplied RGBA sprite, uint8 (h, w, 4), whose middle column is at `centre`; parts outside
    the canvas are left out."""
    rows, columns = sprite.shape[:2]
    left, first = centre - columns / 2, top
    x, y = math.floor(left), math.floor(first)
    move = np.array([[1, 0, left - x], [0, 1, first - y]], np.float32)
    placed = cv2.warpAffine(sprite, move, (columns + 1, rows + 1))
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + columns + 1, width), min(y + rows + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    placed = placed[y0 - y : y1 - y, x0 - x : x1 - x]
    under = canvas[y0:y1, x0:x1]
    keep = cv2.merge([255 - placed[..., 3]] * 3)
    cv2.multiply(under, keep, dst=under, scale=1 / 255)
    cv2.add(under, np.ascontiguousarray(placed[..., :3]), dst=under)


def clouds(seed: int, columns: int, rows: int, unit: int, size: float) -> PaintedLayer:
    """Heaped clouds, lit from above, seamless from right to left."""
    shape = noise(seed, rows, columns, size * unit, octaves=6, flat=1.9)
    middle = np.sin(np.linspace(0.25, 3.1, rows, dtype=np.float32))[:, None] ** 1.2
    density = np.clip((shape + 0.5 * middle - 0.72) * 3.2, 0, 1)
    density *= np.clip(np.linspace(6, 0, rows, dtype=np.float32), 0, 1)[
        :, None
    ]  # no edge where the layer ends
    above = cv2.GaussianBlur(np.roll(density, round(0.035 * unit), axis=0), (0, 0), 0.018 * unit)
    lit = np.clip(1.12 - 0.75 * above + 0.22 * (shape - 0.4), 0, 1)
    colour = blend(np.full((rows, columns, 3), (150, 164, 200), np.float32), (255, 251, 240), lit)
    return layer_of(colour, 0.94 * density**0.8, 0)


def hills(unit: int, world: float, foot: float, ranges: Sequence[Range], grain: Map) -> PaintedLayer:
    """Ranges of hills, the farthest first, down to height `foot`; grain: lightness to add, around 0."""
    sheet = Sheet(unit, world, foot - 0.3 + 0.01, 0.3)
    for seed, top, rough, colour in ranges:
        sheet.polygon([(0, 1), *ridge(seed, world, top, rough), (world, 1)], colour)
    sheet.shade(1 + grain)
    return sheet.layer()
