"""Style pictures that this code draws: graphic styles without anybody's licence.

Each is a function of a seed: RGB uint8 (SIDE, SIDE, 3). A training names one as `drawn:NAME` where another
style names a file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import ConfigError, nearest
from streamstyle.files import read_picture
from streamstyle.nets.patterns import DOT_ANGLE, DOT_PITCH, LINE_PITCH
from streamstyle.train.synthetic import dead_leaves

SIDE = 640
_PER_PIXEL = 1.25  # pixels of a picture of this size for one of a frame: paintings are learned at 512 x 512
_GLASS = ((20, 60, 150), (35, 120, 190), (165, 25, 40), (225, 150, 30), (240, 205, 90), (25, 115, 75))
_GLASS_LIGHT = ((110, 45, 130), (230, 230, 215), (150, 200, 225))
_COMIC = ((250, 245, 230), (255, 214, 40), (229, 46, 48), (40, 120, 200), (250, 185, 160), (25, 25, 35))
_PRINT = ((238, 226, 200), (214, 160, 92), (172, 62, 44), (62, 96, 92))


def read_style(folder: Path, picture: str) -> NDArray[np.uint8]:
    """The picture `drawn:NAME`, or a file of `folder`: RGB uint8 (H, W, 3). Raises ConfigError."""
    prefix, _, name = picture.rpartition(":")
    return drawn_picture(name) if prefix == "drawn" else read_picture(folder / picture)


def drawn_picture(name: str) -> NDArray[np.uint8]:
    """The picture of a name. Raises ConfigError for an unknown one."""
    if name not in DRAWN:
        raise ConfigError(
            f"there is no drawn style '{name}'{nearest(name, DRAWN)}; there are {', '.join(DRAWN)}"
        )
    return DRAWN[name](np.random.default_rng(7))


def stained_glass(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Panes of coloured glass in dark leads: Voronoi cells (Hoff et al. 1999) with a light of their own."""
    points = rng.uniform(0, SIDE, (260, 2)).astype(np.float32)
    owner, edge = _cells(points)
    palette = np.array(_GLASS + _GLASS_LIGHT, np.float32)
    hue = (_smooth(rng, 60)[points[:, 1].astype(int), points[:, 0].astype(int)] * 3 + 4.5).astype(int)
    which = np.where(
        rng.random(len(points)) < 0.55,
        hue.clip(0, len(palette) - 1),
        rng.integers(0, len(palette), len(points)),
    )
    colour = palette[which] * rng.uniform(0.75, 1.15, (len(points), 1))
    glow = 1 + 0.16 * _smooth(rng, 18) + 0.07 * _smooth(rng, 3)
    x = colour[owner] * glow[..., None]
    lead = np.clip((edge - 2.2) / 1.5, 0, 1)[..., None]
    return _bytes(x * lead + 22 * (1 - lead))


def ink(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pen and ink: hatching in up to three directions on warm paper, the darker the more (Winkenbach and
    Salesin 1994), and outlines."""
    photo = cv2.GaussianBlur(dead_leaves(SIDE, SIDE, rng), (0, 0), 1.5).mean(axis=2) / 255
    tone = np.clip((photo - photo.min()) / np.ptp(photo) * 1.2 + 0.06, 0, 1)
    wobble = 2 * _smooth(rng, 30) + 0.6 * _smooth(rng, 6)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    darkness = np.zeros((SIDE, SIDE))
    for angle, below in ((0.75, 0.78), (-0.65, 0.5), (0.1, 0.28)):
        across = x * np.sin(angle) + y * np.cos(angle) + wobble
        along = x * np.cos(angle) - y * np.sin(angle)
        width = np.clip((below - tone) * 2.2, 0, 0.72) * (0.85 + 0.3 * np.sin(along / 23 + 3 * wobble))
        line = np.abs((across / _PER_PIXEL / LINE_PITCH) % 1 - 0.5) * 2
        darkness = np.maximum(darkness, np.clip((width - line) * 3.2 + 0.5, 0, 1) * (width > 0.02))
    outline = np.clip(_edges(photo) * 9 - 0.35, 0, 1)
    darkness = np.maximum(darkness, outline)[..., None]
    paper = np.array((243, 236, 220)) + 3 * _smooth(rng, 2)[..., None]
    return _bytes(paper * (1 - darkness) + np.array((28, 27, 38)) * darkness)


def halftone(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A printed comic: flat inks, dots on a turned screen for the shades between, thick outlines."""
    photo = cv2.GaussianBlur(dead_leaves(SIDE, SIDE, rng), (0, 0), 2).astype(np.float32)
    lab = cv2.cvtColor(photo / 255, cv2.COLOR_RGB2Lab)
    inks = np.array(_COMIC, np.float32)
    of_inks = cv2.cvtColor(inks[None] / 255, cv2.COLOR_RGB2Lab)[0]
    distance = np.linalg.norm(lab[:, :, None] - of_inks, axis=3)
    order = np.argsort(distance, axis=2)[..., :2]
    near = np.take_along_axis(distance, order, axis=2)
    share = near[..., 0] / near.sum(axis=2)  # 0: one ink, 0.5: as much of the other
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    angle, pitch = DOT_ANGLE, _PER_PIXEL * DOT_PITCH
    u, v = (x * np.cos(angle) + y * np.sin(angle)) / pitch, (y * np.cos(angle) - x * np.sin(angle)) / pitch
    radius = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    dot = np.clip((np.sqrt(share / np.pi) * (share > 0.12) - radius) * pitch + 0.5, 0, 1)[..., None]
    coloured = inks[order[..., 0]] * (1 - dot) + inks[order[..., 1]] * dot
    outline = np.clip(_edges(photo.mean(axis=2) / 255) * 12 - 0.4, 0, 1)[..., None]
    return _bytes(coloured * (1 - outline) + 20 * outline)


def woodcut(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A print from carved blocks: flat colours under black lines that swell where it is dark and bend with
    the form."""
    photo = cv2.GaussianBlur(dead_leaves(SIDE, SIDE, rng), (0, 0), 3).astype(np.float32)
    tone = photo.mean(axis=2) / 255
    tone = np.clip((tone - tone.min()) / np.ptp(tone), 0, 1)
    plates = np.array(_PRINT, np.float32)
    colour = plates[np.clip(((1 - tone) * 4 + 0.5 * _smooth(rng, 40)).astype(int), 0, 3)]
    y, _ = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    phase = (
        y / _PER_PIXEL / LINE_PITCH
        + 2.6 * _smooth(rng, 34)
        + 2.2 * cv2.GaussianBlur(tone, (0, 0), 14).astype(np.float32)
    )
    line = np.abs(phase % 1 - 0.5) * 2
    width = np.clip(0.78 - 1.05 * tone, 0, 0.9) + 0.05 * _smooth(rng, 2.5)
    cut = np.clip((width - line) * 4 + 0.5, 0, 1) * (width > 0.06)
    outline = np.clip(_edges(tone) * 10 - 0.3, 0, 1)
    black = np.maximum(cut, outline)[..., None]
    return _bytes((colour + 5 * _smooth(rng, 1.2)[..., None]) * (1 - black) + np.array((24, 20, 22)) * black)


def _cells(points: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every pixel the nearest point, and the distance to the border with the next one, in pixels."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    first = np.full((SIDE, SIDE), np.inf, np.float32)
    second, owner = first.copy(), np.zeros((SIDE, SIDE), np.int64)
    other = owner.copy()
    for index, (px, py) in enumerate(points):
        distance = (x - px) ** 2 + (y - py) ** 2
        nearer, next_one = distance < first, distance < second
        second = np.where(nearer, first, np.where(next_one, distance, second))
        other = np.where(nearer, owner, np.where(next_one, index, other))
        first, owner = np.where(nearer, distance, first), np.where(nearer, index, owner)
    apart = np.linalg.norm(points[owner] - points[other], axis=2)
    return owner, (second - first) / (2 * np.maximum(apart, 1e-3))


def _smooth(rng: np.random.Generator, sigma: float) -> NDArray[np.float32]:
    """Blurred white noise of deviation 1: (SIDE, SIDE)."""
    field = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE), dtype=np.float32), (0, 0), sigma)
    smooth: NDArray[np.float32] = (field / field.std()).astype(np.float32)
    return smooth


def _edges(grey: NDArray[np.floating]) -> NDArray[np.float32]:
    """Morphological gradient of a picture in 0..1, 3 pixels wide."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    gradient = cv2.morphologyEx(grey.astype(np.float32), cv2.MORPH_GRADIENT, kernel)
    return cv2.GaussianBlur(gradient, (0, 0), 0.7).astype(np.float32)


def _bytes(x: NDArray[np.floating]) -> NDArray[np.uint8]:
    smooth = cv2.GaussianBlur(np.asarray(x, np.float32), (0, 0), 0.6)  # edges as a scan has them
    return smooth.clip(0, 255).astype(np.uint8)


DRAWN: dict[str, Callable[[np.random.Generator], NDArray[np.uint8]]] = {
    "stained-glass": stained_glass,
    "ink": ink,
    "halftone": halftone,
    "woodcut": woodcut,
}
