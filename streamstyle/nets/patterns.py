"""Patterns at half the size of the frame: dots and lines for prints, cells for facets and tiles, brush
strokes.

A small network cannot invent straight joints, round dots or bristles on a plain wall, but it can mix them
into its features where a style asks for them. All are seamless: the right edge continues at the left one, and
the lower edge at the upper one.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

DOT_PITCH = 8.0
"""Pixels from one dot to the next."""
DOT_ANGLE = 0.32
"""Turn of the rows of dots, in radians."""
LINE_PITCH = 7.2
"""Pixels from one line to the next."""

_JITTER = 0.42  # of a cell's side, to both sides
_JOINT = 0.8  # half the width of a joint, in positions
_FACET_DEVIATION = 0.32  # of positions in a cell along any direction, over its side; measured
_AROUND = 3  # cells drawn around the field
_COVERAGE = 3.0  # strokes over a place
_BENDS = 2  # of a stroke, to each side of its middle
_TONES, _LAYERS = 16, 8  # of strokes
_RIDGE = 38  # how much lighter it is, of 255
_STROKES_MEAN, _STROKES_DEVIATION = 141.0, 67.0  # of 255; measured
_FRACTION_BITS = 4  # of OpenCV's coordinates


def cells(rows: int, columns: int, side: int, seed: int) -> NDArray[np.float32]:
    """Voronoi cells of about `side` x `side` positions (Worley 1996, A cellular texture basis function).

    float32 (4, rows, columns): distance to the nearest joint in positions; two numbers that each cell has for
    its own; and the first of them shaded, as a cubist's facets are, in a direction that the second one tells.
    Mean 0, deviation 1, but for the distance.
    """
    margin = _AROUND * side
    size = np.array([rows, columns])
    drawn, pitch = _uniform(seed, size, side)
    places = np.moveaxis(np.indices(drawn.shape[:2]), 0, 2) + 0.5 + _JITTER * drawn[..., :2]
    points, of_point = _repeated((places * pitch).reshape(-1, 2).astype(int), size, margin)
    tone, other = (math.sqrt(3) * drawn[..., 2:].reshape(-1, 2)[of_point]).T
    empty = np.full(size + 2 * margin, 255, np.uint8)
    empty[points[:, 0], points[:, 1]] = 0
    labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    direction, slope = other * (math.pi / math.sqrt(3)), 0.66 / (_FACET_DEVIATION * side)
    down_by, right_by = slope * np.sin(direction), slope * np.cos(direction)
    start = 0.75 * tone - (down_by * points[:, 0] + right_by * points[:, 1])
    of_label = np.zeros((5, len(points) + 1), np.float32)
    of_label[:, labels[points[:, 0], points[:, 1]]] = tone, other, start, down_by, right_by
    apart = np.ones(labels.shape, np.uint8)  # from a joint
    apart[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    apart[1:] &= labels[1:] == labels[:-1]
    distance = cv2.distanceTransform(apart, cv2.DIST_L2, 5)
    inside = slice(margin, margin + rows), slice(margin, margin + columns)
    tone, other, shaded, down_by, right_by = (own[labels[inside]] for own in of_label)
    y, x = np.ogrid[inside]
    shaded += down_by * y.astype(np.float32) + right_by * x.astype(np.float32)
    return np.stack([distance[inside], tone, other, shaded])


def overlaid(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """The planes of two fields of `cells` (4, rows, columns), one over the other, as cubists paint them:
    cells of all sizes with sharp corners."""
    nearest: NDArray[np.float32] = np.minimum(one[0], other[0])
    return np.stack([nearest, *(one[1:] + other[1:]) / np.float32(math.sqrt(2))])


def joints(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lines along the joints of cells, from the distance to them in positions: 1 there, 0 elsewhere."""
    line: NDArray[np.float32] = np.clip(_JOINT - distance + 0.5, 0, 1)
    return line


def dots(rows: int, columns: int) -> NDArray[np.float32]:
    """A printer's screen: a wave along each of two turned axes, added. Mean 0, deviation 1."""
    sine, cosine = (2 / DOT_PITCH * turn(DOT_ANGLE) for turn in (math.sin, math.cos))
    return np.cos(_phase(rows, columns, sine, cosine)) + np.cos(_phase(rows, columns, cosine, -sine))


def lines(moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """Carved or hatched lines that rise to the right. Mean 0, deviation 1.

    moved: how far each position is moved across the lines, in pixels (rows, columns).
    """
    phase = _phase(len(moved), moved.shape[1], 1.6 / LINE_PITCH, 1.2 / LINE_PITCH)
    wave: NDArray[np.float32] = np.cos(phase + np.float32(2 * math.pi / LINE_PITCH) * moved)
    return np.float32(math.sqrt(2)) * wave


def _phase(rows: int, columns: int, down: float, right: float) -> NDArray[np.float32]:
    """Phase in radians of a wave of about so many cycles a position, whole ones over rows and columns."""
    y, x = (np.float32(2 * math.pi / size) * np.arange(size, dtype=np.float32) for size in (rows, columns))
    return np.float32(round(rows * down)) * y[:, None] + np.float32(round(columns * right)) * x


def strokes(angle: NDArray[np.float32], width: int, length: int, seed: int) -> NDArray[np.float32]:
    """Brush strokes along a field of directions, one over the other, each of a tone of its own with a
    lighter ridge along it (after Hertzmann 1998, Painterly rendering with curved brush strokes of multiple
    sizes). Mean near 0, deviation near 1.

    angle: radians (rows, columns). width, length: of a stroke, in positions.
    """
    size = np.array(angle.shape)
    around = length + 2 * width
    drawn, pitch = _uniform(seed, size, math.sqrt(width * length / _COVERAGE))
    places = (np.moveaxis(np.indices(drawn.shape[:2]), 0, 2) + 0.5 * drawn[..., :2]) * pitch
    wide = np.pad(angle, around, mode="wrap")
    middles = np.ascontiguousarray(places[..., ::-1] + around, np.float32)
    curves = _streamlines(wide, middles, length / (2 * _BENDS)).reshape(-1, 2 * _BENDS + 1, 2)
    at, of_stroke = _repeated(places.reshape(-1, 2), size, around)
    curves = curves[of_stroke] + (at[:, ::-1] - middles.reshape(-1, 2)[of_stroke])[:, None]
    run = curves[:, -1] - curves[:, 0]
    aside = np.stack([-run[:, 1], run[:, 0]], axis=1) * (0.25 * width / length)
    both = [np.round(2**_FRACTION_BITS * x).astype(np.int32) for x in (curves, curves + aside[:, None])]
    numbers = drawn[..., 2:].reshape(-1, 2)[of_stroke]
    tone, layer = (((1 + numbers) / 2) * (_TONES, _LAYERS)).astype(int).T
    # Strokes of one layer and tone are drawn at once, so that a repeated stroke lies over and under the same
    # ones. Tones are shuffled, so that light strokes do not lie on dark ones more often.
    turn = layer * _TONES + 7 * tone % _TONES
    order = np.argsort(turn, kind="stable")
    ends = np.searchsorted(turn[order], np.arange(1, _LAYERS * _TONES))
    picture = np.full(wide.shape, 128, np.uint8)
    thicknesses = width, max(1, width // 2)
    for number, some in enumerate(np.split(order, ends)):
        level = 255 * (7 * number % _TONES + 0.5) / _TONES  # 7 * 7 is 1 modulo _TONES
        for lines, lighter, thick in zip(both, (0, _RIDGE), thicknesses, strict=True):
            lit = min(level + lighter, 255)
            cv2.polylines(picture, list(lines[some]), False, lit, thick, cv2.LINE_AA, _FRACTION_BITS)
    inside = picture[around:-around, around:-around].astype(np.float32)
    return (inside - _STROKES_MEAN) / np.float32(_STROKES_DEVIATION)


def _streamlines(angle: NDArray[np.float32], places: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Curves along a field of directions through places (..., 2), x and y: their points, _BENDS steps to both
    sides, (..., 2 * _BENDS + 1, 2)."""
    points = [places]
    for sign in (1, -1):
        at = places
        for _ in range(_BENDS):
            along = _sampled(angle, at[..., 0], at[..., 1])
            move = sign * step * np.stack([np.cos(along), np.sin(along)], axis=-1)
            at = (at + move).astype(np.float32)
            points.insert(0 if sign < 0 else len(points), at)
    return np.stack(points, axis=-2)


def _sampled(
    field: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.astype(np.float32, copy=False)


def _uniform(
    seed: int, size: NDArray[np.int_], side: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Uniform in -1..1, four numbers for each square of about `side` x `side` positions that `size` (rows,
    columns) is divided into, (down, across, 4); and the sides of these squares."""
    count = np.maximum(1, np.round(size / side)).astype(int)
    field = np.random.default_rng([seed, 1000]).random((*count, 4), dtype=np.float32)
    return 2 * field - 1, size / count


def _repeated(
    points: NDArray[Any], size: NDArray[np.int_], margin: int
) -> tuple[NDArray[Any], NDArray[np.int_]]:
    """Points (N, 2) of a seamless field of this size (rows, columns) and their copies up to `margin` beyond
    its edges, counted from the margin's corner; and the index of each one's original."""
    reach = -(-margin // size)
    shifts = [(y, x) for y in range(-reach[0], reach[0] + 1) for x in range(-reach[1], reach[1] + 1)]
    copies = points + (size * shifts)[:, None].astype(points.dtype) + points.dtype.type(margin)
    found = ((copies >= 0) & (copies < size + 2 * margin)).all(axis=2)
    return copies[found], np.nonzero(found)[1]
