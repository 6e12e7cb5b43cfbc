"""The demo scene's first view: a village and a lighthouse by the sea, with a boat and gulls."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np

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
from streamstyle.types import Picture

SHORE = 0.62  # where land meets water
PAN = 0.035  # picture heights that the nearest land slides in a second

_HILLS: tuple[Range, ...] = (
    (21, 0.47, 0.07, (140, 160, 196)),
    (22, 0.53, 0.05, (112, 146, 172)),
    (23, 0.575, 0.025, (96, 146, 140)),
)
_SKY = ((0.0, (38, 104, 178)), (0.3, (94, 164, 214)), (0.5, (186, 214, 222)), (0.62, (255, 222, 176)))
_WATER = ((0.0, (120, 178, 186)), (0.35, (42, 128, 152)), (1.0, (10, 62, 104)))
_WALLS: tuple[Colour, ...] = (
    (250, 240, 220),
    (244, 214, 160),
    (226, 160, 120),
    (236, 236, 240),
    (238, 196, 196),
)
_ROOFS: tuple[Colour, ...] = ((196, 62, 42), (214, 96, 40), (150, 44, 50), (70, 92, 140), (180, 76, 60))


class Seaside:
    """Draws the view at any time; layers are painted once, on construction."""

    def __init__(self, width: int, height: int, seconds: float) -> None:
        self._unit = height
        self._width = width
        world = width / height + PAN * seconds + 0.1
        self._sun = (0.62 * width, 0.3 * height)
        self._sky = _sky(width, height, self._sun)
        self._clouds = (
            clouds(11, round(1.6 * width), round(0.46 * height), height, 0.13).endless(width),
            clouds(6, round(1.9 * width), round(0.36 * height), height, 0.22).endless(width),
        )
        self._land = (
            (0.15, hills(height, world, SHORE, _HILLS, 0.05 * noise(24, 60, 300, 20))),
            (0.4, _fields(height, world)),
            (1.0, _village(height, world, width / height)),
        )
        self._bank = _bank(height, world + PAN * seconds)
        self._boat = _boat(height)
        self._water = _Water(width, height, self._sun)

    def draw(self, time: float) -> Picture:
        """The picture at `time` seconds: a new array (height, width, 3)."""
        canvas = self._sky.copy()
        unit = self._unit
        for speed, layer in zip((0.010, 0.022), self._clouds, strict=True):
            layer.lay_(canvas, speed * unit * time % (layer.colour.shape[1] - self._width - 1))
        for nearness, layer in self._land:
            layer.lay_(canvas, PAN * nearness * unit * time)
        self._water.reflect_(canvas, time)
        self._sail_(canvas, time)
        self._gulls_(canvas, time)
        self._bank.lay_(canvas, PAN * 1.8 * unit * time)
        return canvas

    def _sail_(self, canvas: Picture, time: float) -> None:
        """The boat drifts to the right and rocks; below it hangs its wavering mirror image."""
        unit = self._unit
        x = 0.16 * self._width + 0.045 * unit * time
        y = 0.745 * unit + 0.004 * unit * math.sin(1.7 * time)
        angle = 2.2 * math.sin(1.3 * time)
        size = self._boat.shape[0]
        for upright in (False, True):
            turn = cv2.getRotationMatrix2D((size / 2, size * 0.86), angle if upright else -angle, 1.0)
            sprite = cv2.warpAffine(self._boat, turn, (size, size))
            if not upright:
                sprite = cv2.resize(cv2.flip(sprite, 0), (size, size * 2 // 3)) // 3
            top = y - size * 0.86 if upright else y - size * 0.095
            stamp_(canvas, np.asarray(sprite, np.uint8), x, top)

    def _gulls_(self, canvas: Picture, time: float) -> None:
        unit = self._unit
        for i in range(5):
            x = (0.1 * i + 0.32 + 0.05 * time) * unit + 8 * math.sin(time + i)
            y = (0.2 + 0.035 * ((i * 7) % 4) + 0.01 * math.sin(0.9 * time + 2 * i)) * unit
            span = (0.024 - 0.002 * i) * unit
            lift = span * 0.55 * math.sin(7 * time + 1.3 * i)
            wings = [(x - span, y - lift), (x - span / 2, y - span * 0.35 - lift / 3), (x, y)]
            wings += [(x + span / 2, y - span * 0.35 - lift / 3), (x + span, y - lift)]
            points = np.round(np.array(wings) * 16).astype(np.int32)
            thickness = max(round(unit / 240), 1)
            cv2.polylines(canvas, [points], False, (52, 56, 74), thickness, cv2.LINE_AA, 4)


class _Water:
    """Mirrors what stands above the shore into the rows below it."""

    def __init__(self, width: int, height: int, sun: tuple[float, float]) -> None:
        self._shore = round(SHORE * height)
        rows = height - self._shore
        self._x, self._y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(rows, dtype=np.float32))
        self._near = (np.arange(rows, dtype=np.float32) / rows)[:, None]
        self._tint = np.clip(gradient(_WATER, rows, width), 0, 255).astype(np.uint8)
        self._ripple = noise(3, 2 * rows, width, 10, octaves=2, flat=5)
        path = np.exp(-(((self._x - sun[0]) / (width * (0.05 + 0.10 * self._near))) ** 2))
        self._glitter = (path * 300).astype(np.float32)
        self._unit = height

    def reflect_(self, canvas: Picture, time: float) -> None:
        """Fill the rows below the shore."""
        rows = len(self._x)
        scroll = (7.0 * time) % rows
        first = int(scroll)
        part = scroll - first
        wave = (1 - part) * self._ripple[first : first + rows] + part * self._ripple[
            first + 1 : first + rows + 1
        ]
        if len(wave) < rows:
            wave = self._ripple[:rows]
        swing = np.sin(self._y * (42.0 / rows) / (0.25 + self._near) + 2.6 * time).astype(np.float32)
        bend = (0.012 * self._unit) * (0.15 + self._near) * (wave + 0.6 * swing)
        source_y = np.maximum(self._shore - 2 - 1.25 * self._y + 1.5 * bend, 0).astype(np.float32)
        source_x = (self._x + bend).astype(np.float32)
        mirror = cv2.remap(canvas, source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        band = canvas[self._shore :]
        cv2.addWeighted(mirror, 0.52, self._tint, 0.5, 0, dst=band)
        sparkle = np.clip(wave + 0.35 * swing - 0.35, 0, 1) * self._glitter
        light = np.clip(sparkle, 0, 255).astype(np.uint8)
        cv2.add(
            band,
            cv2.merge([light, (light * 0.9).astype(np.uint8), (light * 0.62).astype(np.uint8)]),
            dst=band,
        )
        foam = np.clip(wave - 0.85, 0, 1) * (90 * self._near)
        cv2.add(band, cv2.merge([foam.astype(np.uint8)] * 3), dst=band)


def _sky(width: int, height: int, sun: tuple[float, float]) -> Picture:
    sky = gradient([*_SKY, (1.0, (255, 222, 176))], height, width)
    sky = blend(sky, (255, 236, 190), 0.9 * glow(height, width, sun, 0.16 * height))
    disc = np.clip(0.055 * height - np.sqrt(1 / glow(height, width, sun, 1.0) - 1) + 0.5, 0, 1)
    return np.clip(blend(sky, (255, 252, 232), disc), 0, 255).astype(np.uint8)


def _fields(unit: int, world: float) -> PaintedLayer:
    """Rolling fields in patches, with hedges and clumps of trees."""
    random = np.random.default_rng(31)
    sheet = Sheet(unit, world, SHORE - 0.4 + 0.01, 0.4)
    outline = ridge(32, world, 0.545, 0.035)
    greens: tuple[Colour, ...] = (
        (116, 164, 72),
        (158, 186, 82),
        (208, 196, 92),
        (86, 140, 70),
        (178, 200, 110),
    )
    bounds = range(0, len(outline), 12)
    for number, (a, b) in enumerate(pairwise([*bounds, len(outline) - 1])):
        top = outline[a : b + 1]
        slant = 0.06 * float(random.uniform(-1, 1))
        foot = [(top[-1][0] + slant, SHORE + 0.01), (top[0][0] + slant, SHORE + 0.01)]
        sheet.polygon([*top, *foot], greens[number % len(greens)])
        sheet.line(top[0], foot[1], 0.004, (60, 104, 58))
    sheet.shade(1 + 0.10 * noise(33, 120, 800, 24))
    for i in range(60):
        x, y = outline[int(random.integers(len(outline)))]
        tree(
            sheet,
            x + 0.01 * i % 0.05,
            y + float(random.uniform(0.01, 0.05)),
            float(random.uniform(0.008, 0.017)),
            i,
        )
    return sheet.layer()


def tree(sheet: Sheet, x: float, y: float, size: float, seed: int) -> None:
    """A round tree that stands at (x, y): dark mass, lit leaves up and to the right."""
    random = np.random.default_rng(1000 + seed)
    sheet.line((x, y), (x, y - size), size * 0.25, (84, 62, 44))
    for colour, shift, count in (((34, 78, 50), 0.0, 9), ((62, 118, 54), 0.22, 9), ((128, 168, 68), 0.46, 7)):
        for _ in range(count):
            dx, dy = random.normal(0, 0.42, 2) * size * (1 - 0.4 * shift)
            centre = (x + float(dx) + shift * size * 0.6, y - 1.7 * size + float(dy) - shift * size * 0.7)
            sheet.disc(centre, size * float(random.uniform(0.28, 0.5)) * (1 - 0.5 * shift), colour)


def _village(unit: int, world: float, aspect: float) -> PaintedLayer:
    """The near shore: a headland with the lighthouse, and houses, a church and trees along the quay."""
    random = np.random.default_rng(41)
    sheet = Sheet(unit, world, SHORE - 0.1 + 0.012, 0.1)
    right = aspect * 1.02
    slope = [
        (0.62 * aspect, SHORE + 0.02),
        (0.68 * aspect, 0.6),
        (0.76 * aspect, 0.565),
        (0.84 * aspect, 0.535),
    ]
    slope += [(0.94 * aspect, 0.53), (right, 0.55), (world, 0.56), (world, SHORE + 0.02)]
    sheet.polygon(slope, (104, 150, 70))
    quay = [
        (-0.1, SHORE + 0.02),
        (-0.1, 0.588),
        (0.2 * aspect, 0.58),
        (0.5 * aspect, 0.6),
        (0.56 * aspect, SHORE + 0.02),
    ]
    sheet.polygon(quay, (150, 158, 92))
    sheet.shade(1 + 0.14 * noise(42, 200, 800, 30))
    cliff = [(0.66 * aspect, SHORE + 0.02), (0.70 * aspect, 0.598), (world, 0.6), (world, SHORE + 0.02)]
    sheet.polygon(cliff, (150, 122, 98))
    for i in range(46):
        x = 0.67 * aspect + (world - 0.67 * aspect) * i / 45
        sheet.line((x, 0.6), (x + float(random.uniform(-0.012, 0.012)), SHORE + 0.02), 0.003, (112, 88, 76))
    for i in range(26):
        tree(
            sheet,
            float(random.uniform(0.0, 0.5)) * aspect,
            0.595,
            float(random.uniform(0.018, 0.03)),
            100 + i,
        )
    for back in (True, False):
        x = 0.03 * aspect + (0.03 if back else 0.0)
        while x < 0.5 * aspect:
            width = float(random.uniform(0.05, 0.085))
            house(sheet, x, (0.585 if back else 0.61), width, float(random.uniform(0.05, 0.08)), random)
            x += width * float(random.uniform(1.0, 1.5))
    _church(sheet, 0.27 * aspect)
    _lighthouse(sheet, 0.885 * aspect)
    for i in range(14):
        tree(
            sheet,
            float(random.uniform(0.74, 1.3)) * aspect,
            0.575,
            float(random.uniform(0.014, 0.024)),
            200 + i,
        )
    sheet.box(-0.1, SHORE - 0.008, 0.555 * aspect, SHORE + 0.02, (128, 116, 108))
    return sheet.layer()


def house(
    sheet: Sheet, x: float, foot: float, width: float, tall: float, random: np.random.Generator
) -> None:
    """A house that stands at `foot` between x and x + width: lit front, roof, chimney, windows, door."""
    wall = _WALLS[int(random.integers(len(_WALLS)))]
    roof = _ROOFS[int(random.integers(len(_ROOFS)))]
    eaves, peak = foot - tall, foot - tall - 0.55 * width
    dark: Colour = (roof[0] * 2 // 3, roof[1] * 2 // 3, roof[2] * 2 // 3)
    sheet.box(x, eaves, x + width, foot, wall)
    sheet.box(x + 0.72 * width, eaves - 0.48 * width, x + 0.82 * width, eaves, (140, 84, 70))
    sheet.polygon([(x - 0.08 * width, eaves), (x + 0.5 * width, peak), (x + 1.08 * width, eaves)], roof)
    sheet.polygon([(x - 0.08 * width, eaves), (x + 0.5 * width, peak), (x + 0.3 * width, eaves)], dark)
    shutter = _ROOFS[int(random.integers(len(_ROOFS)))]
    for row in range(max(int(tall / 0.032), 1)):
        for column in (0.2, 0.62):
            left, top = x + column * width, eaves + 0.01 + 0.03 * row
            sheet.box(left - 0.05 * width, top, left + 0.25 * width, top + 0.016, shutter)
            sheet.box(left, top, left + 0.2 * width, top + 0.016, (64, 76, 98))
    sheet.box(x + 0.42 * width, foot - 0.022, x + 0.58 * width, foot, (96, 62, 48))


def _church(sheet: Sheet, x: float) -> None:
    sheet.box(x, 0.47, x + 0.09, 0.6, (238, 226, 204))
    sheet.polygon([(x - 0.008, 0.47), (x + 0.045, 0.425), (x + 0.098, 0.47)], (168, 66, 50))
    sheet.box(x - 0.045, 0.40, x, 0.6, (246, 236, 216))
    sheet.box(x - 0.016, 0.40, x, 0.6, (206, 192, 178))
    sheet.polygon([(x - 0.052, 0.40), (x - 0.0225, 0.29), (x + 0.007, 0.40)], (72, 98, 134))
    sheet.disc((x - 0.0225, 0.43), 0.012, (60, 70, 96))
    for i in range(3):
        sheet.box(x + 0.012 + 0.027 * i, 0.50, x + 0.024 + 0.027 * i, 0.54, (70, 84, 120))


def _lighthouse(sheet: Sheet, x: float) -> None:
    foot, top, wide, slim = 0.545, 0.24, 0.036, 0.022
    bands = 7
    for i in range(bands):
        y0, y1 = foot + (top - foot) * i / bands, foot + (top - foot) * (i + 1) / bands
        w0, w1 = wide + (slim - wide) * i / bands, wide + (slim - wide) * (i + 1) / bands
        light: Colour = (212, 44, 46) if i % 2 == 0 else (250, 246, 238)
        shade: Colour = (150, 28, 42) if i % 2 == 0 else (196, 196, 208)
        sheet.polygon([(x - w0, y0), (x + w0, y0), (x + w1, y1), (x - w1, y1)], light)
        sheet.polygon([(x - w0, y0), (x - 0.3 * w0, y0), (x - 0.3 * w1, y1), (x - w1, y1)], shade)
    sheet.box(x - 0.032, top - 0.008, x + 0.032, top, (60, 60, 72))
    sheet.box(x - 0.018, top - 0.048, x + 0.018, top - 0.008, (255, 226, 120))
    for i in range(4):
        sheet.line(
            (x - 0.018 + 0.012 * i, top - 0.048), (x - 0.018 + 0.012 * i, top - 0.008), 0.002, (60, 60, 72)
        )
    sheet.polygon([(x - 0.026, top - 0.048), (x, top - 0.085), (x + 0.026, top - 0.048)], (176, 34, 40))
    for y in (0.32, 0.42, 0.5):
        sheet.box(x + 0.002, y, x + 0.012, y + 0.02, (56, 64, 90))


def _bank(unit: int, world: float) -> PaintedLayer:
    """Grass and poppies right before the eye."""
    random = np.random.default_rng(51)
    sheet = Sheet(unit, world, 0.2, 0.8)
    outline = ridge(52, world, 0.965, 0.018)
    sheet.polygon([(0, 1.1), *outline, (world, 1.1)], (44, 84, 44))
    blades: tuple[Colour, ...] = ((58, 112, 48), (92, 148, 56), (38, 82, 46), (136, 176, 70))
    for i in range(round(300 * world)):
        x = float(random.uniform(0, world))
        tip = (x + float(random.normal(0, 0.014)), 0.95 - float(random.uniform(0, 0.05)))
        sheet.line((x, 1.0), tip, 0.004, blades[i % len(blades)])
    petals: tuple[Colour, ...] = (
        (226, 48, 36),
        (240, 84, 44),
        (250, 214, 72),
        (236, 236, 250),
        (190, 30, 50),
    )
    for i in range(round(34 * world)):
        x, y = float(random.uniform(0, world)), float(random.uniform(0.905, 0.985))
        sheet.line((x, 1.0), (x, y), 0.003, (70, 124, 52))
        size = float(random.uniform(0.007, 0.013))
        sheet.disc((x, y), size, petals[i % len(petals)])
        sheet.disc((x, y + 0.15 * size), 0.35 * size, (70, 26, 30))
    return sheet.layer()


def _boat(unit: int) -> Picture:
    """A little sailing boat as a square premultiplied RGBA sprite; the waterline is at .86 of its side."""
    side = 0.26
    sheet = Sheet(unit, side, side)
    sheet.line((0.128, 0.03), (0.128, 0.20), 0.004, (110, 76, 48))
    sheet.polygon([(0.133, 0.035), (0.218, 0.178), (0.133, 0.19)], (250, 246, 232))
    sheet.polygon([(0.133, 0.105), (0.176, 0.108), (0.195, 0.14), (0.133, 0.137)], (226, 96, 44))
    sheet.polygon([(0.122, 0.05), (0.122, 0.188), (0.05, 0.186)], (232, 222, 200))
    sheet.polygon([(0.128, 0.03), (0.16, 0.038), (0.128, 0.046)], (214, 40, 50))
    sheet.polygon([(0.03, 0.198), (0.232, 0.198), (0.205, 0.232), (0.058, 0.232)], (38, 66, 116))
    sheet.polygon([(0.03, 0.198), (0.232, 0.198), (0.229, 0.206), (0.036, 0.206)], (244, 240, 230))
    sheet.polygon([(0.051, 0.224), (0.211, 0.224), (0.205, 0.232), (0.058, 0.232)], (196, 52, 44))
    rows, columns = sheet.pixels.shape[:2]
    return cv2.resize(sheet.pixels, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
