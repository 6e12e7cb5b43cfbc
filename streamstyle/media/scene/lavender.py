"""The demo scene's second view: lavender at sunset, a windmill, a farm and hot-air balloons."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.media.scene.paint import (
    Colour,
    PaintedLayer,
    Range,
    Sheet,
    blend,
    clouds,
    glow,
    gradient,
    hills,
    noise,
    ridge,
    stamp_,
)
from streamstyle.media.scene.seaside import house, tree
from streamstyle.types import Picture

HORIZON = 0.56
PAN = 0.03  # picture heights per second at the far edge of the field
_NEARER = 5.0  # how much faster the near edge of the field passes

_HILLS: tuple[Range, ...] = (
    (61, 0.42, 0.07, (150, 104, 156)),
    (62, 0.48, 0.05, (116, 78, 136)),
    (63, 0.53, 0.025, (82, 72, 110)),
)
_SKY = (
    (0.0, (58, 62, 132)),
    (0.22, (128, 92, 160)),
    (0.38, (226, 126, 124)),
    (0.5, (252, 176, 104)),
    (0.56, (255, 220, 150)),
    (1.0, (255, 220, 150)),
)
_BALLOONS: tuple[tuple[float, float, float, tuple[Colour, Colour]], ...] = (
    (0.20, 0.20, 0.17, ((214, 48, 52), (250, 206, 84))),
    (0.43, 0.12, 0.11, ((40, 110, 168), (240, 238, 228))),
    (0.60, 0.28, 0.07, ((70, 148, 92), (244, 160, 60))),
)


class Lavender:
    """Draws the view at any time; layers are painted once, on construction."""

    def __init__(self, width: int, height: int, seconds: float) -> None:
        self._unit = height
        self._width = width
        world = width / height + PAN * seconds + 0.1
        self._sky = _sky(width, height)
        self._clouds = _evening(clouds(9, round(1.7 * width), round(0.5 * height), height, 0.12)).endless(
            width
        )
        self._hills = hills(height, world, HORIZON, _HILLS, 0.06 * noise(64, 60, 300, 20))
        self._farm = _farm(height, world)
        self._field = _field(width, height, PAN * seconds * _NEARER)
        self._balloons = [_balloon(height, size, colours) for _, _, size, colours in _BALLOONS]
        self._mill = _mill(height)

    def draw(self, time: float) -> Picture:
        """The picture at `time` seconds: a new array (height, width, 3)."""
        canvas = self._sky.copy()
        unit = self._unit
        self._clouds.lay_(canvas, 0.015 * unit * time % (self._clouds.colour.shape[1] - self._width - 1))
        self._hills.lay_(canvas, 0.4 * PAN * unit * time)
        for (x, y, _, _), sprite in zip(_BALLOONS, self._balloons, strict=True):
            rise = y - 0.006 * time + 0.008 * math.sin(0.8 * time + 9 * x)
            stamp_(canvas, sprite, (x * self._width + 0.012 * unit * time), rise * unit)
        self._cross_(canvas, time)
        self._farm.lay_(canvas, PAN * unit * time)
        self._windmill_(canvas, time)
        return canvas

    def _cross_(self, canvas: Picture, time: float) -> None:
        """The field passes under the eye: its near rows faster than its far ones."""
        first = round(HORIZON * self._unit)
        rows, width = len(canvas) - first, self._width
        far = PAN * self._unit * time
        lean = far * (_NEARER - 1) / rows
        move = np.array([[1, lean, far], [0, 1, 0]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(
            self._field, move, (width, rows), dst=canvas[first:], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )

    def _windmill_(self, canvas: Picture, time: float) -> None:
        unit = self._unit
        x = 0.80 * self._width - PAN * 1.6 * unit * time
        stamp_(canvas, self._mill, x, 0.30 * unit)
        hub = (x, 0.375 * unit)
        for i in range(4):
            angle = 0.9 * time + i * math.pi / 2
            along = np.array([math.cos(angle), math.sin(angle)]) * unit
            across = np.array([-along[1], along[0]])
            sail = [
                0.03 * along,
                0.165 * along,
                0.165 * along + 0.036 * across,
                0.03 * along + 0.028 * across,
            ]
            cv2.fillPoly(canvas, [_points(hub, sail)], (244, 232, 208), cv2.LINE_AA, 4)
            for step in (0.055, 0.08, 0.105, 0.13, 0.155):
                bar = [step * along, step * along + 0.034 * across]
                cv2.polylines(canvas, [_points(hub, bar)], False, (120, 84, 70), 1, cv2.LINE_AA, 4)
            spar = [0 * along, 0.172 * along]
            thick = max(round(unit / 150), 1)
            cv2.polylines(canvas, [_points(hub, spar)], False, (84, 52, 44), thick, cv2.LINE_AA, 4)


def _points(hub: tuple[float, float], offsets: list[NDArray[np.float64]]) -> NDArray[np.int32]:
    return np.round((np.array(offsets) + hub) * 16).astype(np.int32)


def _sky(width: int, height: int) -> Picture:
    sun = (0.66 * width, 0.47 * height)
    sky = blend(gradient(_SKY, height, width), (255, 232, 160), 0.85 * glow(height, width, sun, 0.2 * height))
    disc = np.clip(0.075 * height - np.sqrt(1 / glow(height, width, sun, 1.0) - 1) + 0.5, 0, 1)
    return np.clip(blend(sky, (255, 246, 204), disc), 0, 255).astype(np.uint8)


def _evening(layer: PaintedLayer) -> PaintedLayer:
    """The same clouds in the light of a low sun: rose above, violet below."""
    warm = layer.colour.astype(np.float32) * np.array([1.0, 0.72, 0.7], np.float32)
    return PaintedLayer(np.clip(warm, 0, 255).astype(np.uint8), layer.keep, layer.top)


def _farm(unit: int, world: float) -> PaintedLayer:
    """Draw the far edge of the field: a row of poplars, a farm, round trees."""
    random = np.random.default_rng(71)
    sheet = Sheet(unit, world, HORIZON - 0.3 + 0.02, 0.3)
    sheet.polygon(
        [(0, HORIZON + 0.02), *ridge(72, world, HORIZON - 0.012, 0.006), (world, HORIZON + 0.02)],
        (74, 96, 62),
    )
    for i in range(40):
        tree(
            sheet,
            float(random.uniform(0, world)),
            HORIZON + 0.004,
            float(random.uniform(0.008, 0.018)),
            300 + i,
        )
    for i in range(9):
        _poplar(sheet, 0.1 + 0.055 * i, 0.1 + 0.025 * float(random.uniform(-1, 1)), i)
    for x, width, tall in ((0.68, 0.12, 0.06), (0.79, 0.07, 0.045), (0.88, 0.09, 0.055)):
        house(sheet, x, HORIZON + 0.012, width, tall, random)
    for i in range(5):
        tree(sheet, 0.65 + 0.09 * i, HORIZON + 0.015, 0.02, 400 + i)
    return sheet.layer()


def _poplar(sheet: Sheet, x: float, tall: float, seed: int) -> None:
    """A slim tree, dark with sunlit leaves on its right."""
    random = np.random.default_rng(500 + seed)
    heights = np.linspace(0, 1, 15)
    swell = 0.014 * np.sin(np.pi * (0.92 * heights + 0.08)) ** 0.6
    left = [(x - float(w), HORIZON + 0.01 - tall * float(h)) for w, h in zip(swell, heights, strict=True)]
    right = [(2 * x - px, py) for px, py in left]
    sheet.polygon([*left, *right[::-1]], (34, 58, 56))
    for colour, shift in (((60, 92, 58), 0.25), ((190, 152, 82), 0.7)):
        for _ in range(34 if shift < 0.5 else 16):
            i = int(random.integers(1, 14))
            spread = float(random.uniform(-0.6, 0.25)) + shift
            sheet.disc(
                (x + float(swell[i]) * spread, left[i][1] + float(random.uniform(-0.004, 0.004))),
                0.0032,
                colour,
            )


def _field(width: int, height: int, reach: float) -> Picture:
    """Lavender rows that run to the horizon: (rows, columns, 3), wide enough for the whole pan."""
    rows = height - round(HORIZON * height)
    columns = width + round(reach * height) + 2
    y, x = np.mgrid[: 2 * rows, : 2 * columns].astype(np.float32) / 2
    near = (y + 1.5) / rows
    # The rows lean with the pan, so a row keeps its place in the field while the eye moves.
    across = (x - 0.62 * width) / (height * (1 / _NEARER + (1 - 1 / _NEARER) * near))
    row = across * 5.5
    bump = 0.5 + 0.5 * np.cos(2 * np.pi * row)
    bump += 0.22 * noise(81, 2 * rows, 2 * columns, 14, octaves=4, flat=2.0) * (0.35 + near)
    light = 0.5 + 0.5 * np.sin(2 * np.pi * (row + 0.17))
    colour = np.empty((2 * rows, 2 * columns, 3), np.float32)
    colour[:] = (112, 104, 62)
    colour = blend(colour, (70, 96, 58), np.clip((bump - 0.22) * 6, 0, 1))
    colour = blend(colour, (92, 58, 150), np.clip((bump - 0.4) * 5, 0, 1))
    colour = blend(colour, (150, 98, 204), np.clip((bump - 0.55) * 3, 0, 1) * (0.35 + 0.65 * light))
    blossom = np.clip(noise(82, 2 * rows, 2 * columns, 5, octaves=2) - 0.45, 0, 1) * np.clip(
        bump * 2 - 0.9, 0, 1
    )
    colour = blend(colour, (232, 178, 236), np.clip(1.8 * blossom, 0, 1))
    haze = np.clip(1 - near * 3.2, 0, 1) ** 1.5
    colour = blend(colour, (196, 140, 160), 0.65 * haze)
    colour *= 0.92 + 0.2 * (1 - near[..., None])
    full = np.clip(colour, 0, 255).astype(np.uint8)
    return cv2.resize(full, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _balloon(unit: int, size: float, colours: tuple[Colour, Colour]) -> Picture:
    """A striped balloon as a premultiplied RGBA sprite, `size` picture heights wide."""
    sheet = Sheet(unit, size, 1.45 * size)
    radius, centre = 0.46 * size, 0.5 * size
    turns = np.linspace(0, math.pi, 25)
    for i in range(8):
        edges = [math.sin(math.pi * (k / 8 - 0.5)) for k in (i, i + 1)]
        sides = [[_envelope(edge, float(turn), centre, radius) for turn in turns] for edge in edges]
        colour = colours[i % 2]
        shade = 1.0 if i > 2 else 0.66 + 0.11 * i
        red, green, blue = (round(channel * shade) for channel in colour)
        sheet.polygon([*sides[0], *sides[1][::-1]], (red, green, blue))
    top, foot = 1.12 * size, 1.26 * size
    for side in (-1, 1):
        sheet.line(
            (centre + side * 0.12 * size, 1.02 * size),
            (centre + side * 0.06 * size, foot),
            0.002,
            (60, 40, 40),
        )
    sheet.box(
        centre - 0.075 * size, foot - 0.02 * size, centre + 0.075 * size, foot + 0.1 * size, (132, 84, 46)
    )
    sheet.disc((centre, top), 0.022 * size, (255, 226, 120))
    rows, columns = sheet.pixels.shape[:2]
    return cv2.resize(sheet.pixels, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _envelope(edge: float, turn: float, centre: float, radius: float) -> tuple[float, float]:
    """A point on a balloon's seam: a sphere above, drawn out to a neck below."""
    width = (
        math.sin(turn)
        if turn < math.pi / 2
        else math.sin(turn) * 0.72 + 0.28 * (2 - 2 * turn / math.pi) + 0.0
    )
    width = max(width, 0.26) if turn > math.pi / 2 else width
    down = -math.cos(turn) if turn < math.pi / 2 else -math.cos(turn) * 1.2
    return centre + edge * width * radius, centre + down * radius


def _mill(unit: int) -> Picture:
    """The windmill's tower as a premultiplied RGBA sprite, without sails."""
    sheet = Sheet(unit, 0.2, 0.3)
    sheet.polygon([(0.05, 0.29), (0.15, 0.29), (0.132, 0.075), (0.068, 0.075)], (246, 226, 196))
    sheet.polygon([(0.05, 0.29), (0.085, 0.29), (0.088, 0.075), (0.068, 0.075)], (190, 150, 150))
    sheet.polygon([(0.06, 0.08), (0.1, 0.028), (0.14, 0.08)], (138, 58, 52))
    sheet.polygon([(0.06, 0.08), (0.1, 0.028), (0.09, 0.08)], (98, 40, 50))
    for y in (0.12, 0.18):
        sheet.box(0.103, y, 0.119, y + 0.026, (74, 58, 80))
    sheet.box(0.09, 0.24, 0.114, 0.29, (110, 62, 48))
    sheet.shade(1 + 0.08 * noise(91, 60, 40, 6))
    rows, columns = sheet.pixels.shape[:2]
    return cv2.resize(sheet.pixels, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
