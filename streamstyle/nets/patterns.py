"""Patterns at half the size of the frame that stand still on the screen: dots and lines for prints, cells for
facets and tiles, brush strokes.

A small network cannot invent straight joints, round dots or bristles on a plain wall, but it can mix them
into its features where a style asks for them. Fewer rows or columns give the top left part of each.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

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
_BAND = 64  # rows of strokes that are drawn at once


def cells(rows: int, columns: int, side: int, seed: int) -> NDArray[np.float32]:
    """Voronoi cells of about `side` x `side` positions (Worley 1996, A cellular texture basis function).

    float32 (4, rows, columns): distance to the nearest joint in positions; two numbers that each cell has for
    its own; and the first of them shaded, as a cubist's facets are, in a direction that the second one tells.
    Mean 0, deviation 1, but for the distance.
    """
    margin = _AROUND * side
    down, across = (-(-(size + 2 * margin) // side) for size in (rows, columns))
    drawn = _uniform(seed, down, across)
    y, x = np.mgrid[:down, :across] * side + side / 2
    at = np.stack([y, x], axis=2) + _JITTER * side * drawn[..., :2]
    points = at.round().astype(int).reshape(-1, 2)
    empty = np.full((down * side, across * side), 255, np.uint8)
    empty[points[:, 0], points[:, 1]] = 0
    labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    tone, other = drawn[..., 2:].reshape(-1, 2).T * math.sqrt(3)
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
    y, x = (np.float32(4 * math.pi / DOT_PITCH) * at.astype(np.float32) for at in np.ogrid[:rows, :columns])
    sine, cosine = np.float32(math.sin(DOT_ANGLE)), np.float32(math.cos(DOT_ANGLE))
    wave: NDArray[np.float32] = np.cos(x * cosine + y * sine) + np.cos(y * cosine - x * sine)
    return wave


def lines(moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """Carved or hatched lines that rise to the right. Mean 0, deviation 1.

    moved: how far each position is moved across the lines, in pixels (rows, columns).
    """
    y, x = (at.astype(np.float32) for at in np.ogrid[: moved.shape[0], : moved.shape[1]])
    across = 2 * (0.6 * x + 0.8 * y) + moved
    wave: NDArray[np.float32] = math.sqrt(2) * np.cos(2 * math.pi / LINE_PITCH * across)
    return wave.astype(np.float32)


def strokes(
    white: NDArray[np.float32], angle: NDArray[np.float32], reach: int, around: int
) -> NDArray[np.float32]:
    """Noise summed along the streamlines of a field of directions, `reach` positions to both sides (line
    integral convolution, Cabral and Leedom 1993). Deviation about 1 for white noise.

    white, angle (radians): (rows, columns), and `around` positions more on every side, which are cut off.
    """
    rows, columns = (side - 2 * around for side in white.shape)
    total = np.empty((rows, columns), np.float32)

    def draw(top: int) -> None:
        band = slice(around + top, around + min(top + _BAND, rows)), slice(around, around + columns)
        sums, starts = total[top : top + _BAND], np.mgrid[band].astype(np.float32)
        sums[:] = white[band]
        one = np.ones_like(sums)
        for move in (cv2.add, cv2.subtract):
            (y, x), along = starts.copy(), angle[band]
            for _ in range(reach):
                cosine, sine = cv2.polarToCart(one, along)
                move(x, cosine, dst=x)
                move(y, sine, dst=y)
                along = _sampled(angle, x, y)
                cv2.accumulate(_sampled(white, x, y), sums)
        sums /= math.sqrt(2 * reach + 1)

    # In bands, which stay in a core's own cache, on all processors: OpenCV's own threads are off during runs.
    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(0, rows, _BAND)))
    return total


def _sampled(
    field: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.astype(np.float32, copy=False)


def _uniform(seed: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Uniform in -1..1, four a point: (rows, columns, 4); fewer rows or columns give the top left part."""
    field = np.empty((rows, columns, 4), np.float32)
    for row in range(rows):
        field[row] = np.random.default_rng([seed, 1000, row]).random((columns, 4), dtype=np.float32)
    return 2 * field - 1
