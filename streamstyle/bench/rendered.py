"""A rendered film, whose motion is known and not estimated: cut-outs over a wide view.

Every layer moves by its own affine map. A pixel belongs to the topmost layer at its place. Its past position
follows from that layer's map; it was uncovered if another layer was on top there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.ghosts import Uncovered
from streamstyle.bench.injections import Film
from streamstyle.media.scene.film import SceneSource
from streamstyle.metrics.warp_error import FlowMatch

_CUT_OUTS = 5
_EDGE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class RenderedFilm:
    """A drawn film with the true motion of its pixels."""

    frames: Film
    """RGB uint8 (H, W, 3)."""
    matches: list[FlowMatch]
    """The match of each frame with the previous one; of the first with itself. A pixel at an edge is a
    mix of two layers: it counts neither as visible nor as uncovered."""
    uncovered: list[Uncovered]
    """The pixels that each frame uncovers."""


@dataclass(frozen=True)
class _Layer:
    """picture: RGB float32, 0..255. cover: float32 0..1 of its size. start: centre (x, y) on the screen and
    scale. pace: pixels (x, y), degrees and share of the scale a frame."""

    picture: NDArray[np.float32]
    cover: NDArray[np.float32]
    start: tuple[float, float, float]
    pace: tuple[float, float, float, float]

    def placed(self, time: float) -> NDArray[np.float64]:
        """Layer pixels to the screen, 3x3."""
        height, width = self.cover.shape
        x, y, size = self.start
        dx, dy, turn, growth = self.pace
        scale = size * (1 + growth * time)
        placed = np.eye(3)
        placed[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), turn * time, scale)
        placed[:2, 2] += np.array([x + dx * time - width / 2, y + dy * time - height / 2])
        return placed


def render(frames: int, size: tuple[int, int], *, seed: int = 0, noise: float = 1.0) -> RenderedFilm:
    """A film of `frames` at (width, height). noise: of a sensor, standard deviation in levels."""
    rng = np.random.default_rng(seed)
    layers = _layers(size, frames, rng)
    made = RenderedFilm([], [], [])
    owner_before = None
    for index in range(frames):
        picture, owner, pure = _drawn(layers, index, size)
        grain = rng.normal(0, noise, picture.shape)
        made.frames.append(np.rint(np.clip(picture + grain, 0, 255)).astype(np.uint8))
        positions = _positions(layers, index, max(index - 1, 0), owner)
        seen = _seen(positions, owner, owner if owner_before is None else owner_before)
        made.matches.append(FlowMatch(positions, seen & pure))
        made.uncovered.append(Uncovered(positions, ~seen & pure))
        owner_before = owner
    return made


def _layers(size: tuple[int, int], frames: int, rng: np.random.Generator) -> list[_Layer]:
    """A wide view that pans slowly, and pieces of it and of another view before it."""
    width, height = size
    wide = (2 * width, 2 * height)
    with SceneSource(2, wide, 1) as source:
        back, front = (frame.pixels for frame in source)
    whole = np.ones(back.shape[:2], np.float32)
    layers = [
        _Layer(
            back.astype(np.float32),
            whole,
            (width / 2, height / 2, 0.7),
            (1.2 * 48 / frames, 0.3, 0.02, 0.0005),
        )
    ]
    for number in range(_CUT_OUTS):
        side = int(rng.integers(height // 4, height // 2))
        top, left = rng.integers(0, wide[1] - side), rng.integers(0, wide[0] - side)
        piece = np.ascontiguousarray((front if number % 2 else back)[top : top + side, left : left + side])
        mask = np.zeros((side, side), np.uint8)
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 9))))
        corners = side / 2 + 0.48 * side * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [corners.round().astype(np.int32)], 255)
        cover = cv2.GaussianBlur(mask, (0, 0), 1).astype(np.float32) / np.float32(255)
        start = (rng.uniform(0.15, 0.85) * width, rng.uniform(0.2, 0.8) * height, 1.0)
        pace = (rng.uniform(-5, 5), rng.uniform(-2, 2), rng.uniform(-0.6, 0.6), rng.uniform(-0.002, 0.004))
        layers.append(_Layer(piece.astype(np.float32), cover, start, pace))
    return layers


def _drawn(
    layers: Sequence[_Layer], index: int, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture, float32 (H, W, 3); the number of the layer of each pixel; whether it is of that alone."""
    picture = np.zeros((size[1], size[0], 3), np.float32)
    owner = np.zeros((size[1], size[0]), np.uint8)
    for number, layer in enumerate(layers):
        place = layer.placed(index)[:2]
        border = cv2.BORDER_REFLECT if number == 0 else cv2.BORDER_CONSTANT
        drawn = cv2.warpAffine(layer.picture, place, size, borderMode=border)
        cover = cv2.warpAffine(layer.cover, place, size, borderMode=border)
        picture += cover[..., None] * (drawn - picture)
        owner[cover > 0.5] = number
    pure = cv2.dilate(owner, _EDGE) == cv2.erode(owner, _EDGE)
    return picture, owner, np.asarray(pure, np.bool_)


def _positions(
    layers: Sequence[_Layer], index: int, before: int, owner: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Positions of the pixels of frame `index` in frame `before`, float32 (H, W, 2)."""
    height, width = owner.shape
    rows, columns = np.mgrid[:height, :width]
    here = np.stack([columns, rows, np.ones_like(rows)], axis=-1).astype(np.float64)
    positions = np.empty((height, width, 2), np.float32)
    for number, layer in enumerate(layers):
        back = layer.placed(before) @ np.linalg.inv(layer.placed(index))
        mine = owner == number
        positions[mine] = here[mine] @ back[:2].T
    return positions


def _seen(
    positions: NDArray[np.float32], owner: NDArray[np.uint8], owner_before: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Mask of the pixels whose own layer lay on top where it was before, inside the picture; bool (H, W)."""
    height, width = owner.shape
    inside = ((positions >= 0) & (positions <= (width - 1, height - 1))).all(axis=-1)
    columns, rows = np.moveaxis(np.rint(positions).astype(np.int64), -1, 0)
    same = owner_before[rows.clip(0, height - 1), columns.clip(0, width - 1)] == owner
    return np.asarray(inside & same, np.bool_)
