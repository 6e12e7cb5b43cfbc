"""Work of cameras and editors: changes of the *input*, on which no alarm may sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from streamstyle.bench.injections import Film, gained
from streamstyle.types import Picture


@dataclass(frozen=True)
class Scene:
    """A change of the input that is not an anomaly."""

    name: str
    """Name for the tables."""
    apply: Callable[[Film, Film, np.random.Generator], Film]
    """Makes the changed film of a film, another one of the same size and a generator."""


def _each(change: Callable[[int, Picture], Picture]) -> Callable[[Film, Film, np.random.Generator], Film]:
    return lambda film, _other, _rng: [change(i, x) for i, x in enumerate(film)]


def _shake(film: Film, _other: Film, rng: np.random.Generator) -> Film:
    """A hand-held camera: a shift of some pixels each frame, from a slightly enlarged picture."""
    height, width = film[0].shape[:2]
    shifts = np.cumsum(rng.normal(0, 2.0, (len(film), 2)), axis=0)
    shifts -= np.linspace(0, 1, len(film))[:, None] * shifts[-1]
    shaken = []
    for x, (dx, dy) in zip(film, shifts.clip(-16, 16), strict=True):
        move = np.array([[1.1, 0, -0.05 * width + dx], [0, 1.1, -0.05 * height + dy]], np.float64)
        moved = cv2.warpAffine(x, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        shaken.append(np.asarray(moved, np.uint8))
    return shaken


def _zoom(film: Film, _other: Film, _rng: np.random.Generator) -> Film:
    height, width = film[0].shape[:2]
    zoomed = []
    for index, x in enumerate(film):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 0.1 * index, 1 + 0.006 * index)
        moved = cv2.warpAffine(x, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
        zoomed.append(np.asarray(moved, np.uint8))
    return zoomed


def _cuts(film: Film, other: Film, _rng: np.random.Generator) -> Film:
    return [film[i] if i // 18 % 2 == 0 else other[i] for i in range(len(film))]


def _dissolve(film: Film, other: Film, _rng: np.random.Generator) -> Film:
    shares = np.clip((np.arange(len(film)) - 30) / 20, 0, 1)
    return [
        np.asarray(cv2.addWeighted(a, 1 - s, b, s, 0), np.uint8)
        for a, b, s in zip(film, other, shares, strict=True)
    ]


def _pumping(film: Film, _other: Film, _rng: np.random.Generator) -> Film:
    """A low bit rate: every twelfth frame sharp, blocks grow until the next."""

    def packed(index: int, x: Picture) -> Picture:
        quality = 85 - 6 * (index % 12)
        _, data = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return [packed(i, x) for i, x in enumerate(film)]


def _still(film: Film, _other: Film, rng: np.random.Generator) -> Film:
    """A tripod before a still scene: sensor noise alone, sigma 2/255."""
    x = film[len(film) // 2].astype(np.float32)
    return [
        np.rint(np.clip(x + rng.normal(0, 2, x.shape), 0, 255)).astype(np.uint8) for _ in range(len(film))
    ]


def _refocus(film: Film, _other: Film, _rng: np.random.Generator) -> Film:
    """A camera that loses its focus and finds it again, within half a second each."""
    refocused = []
    for index, x in enumerate(film):
        sigma = 5 * max(0.0, 1 - abs(index - 44) / 16)
        refocused.append(np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8) if sigma else x)
    return refocused


def _shadow(film: Film, _other: Film, _rng: np.random.Generator) -> Film:
    """A soft shadow that crosses the picture."""
    width = film[0].shape[1]
    columns = np.arange(width, dtype=np.float32)
    shaded = []
    for index, x in enumerate(film):
        edge = 1 / (1 + np.exp(-(columns - width * (index / len(film))) / 20))
        shaded.append(gained(x, (0.75 + 0.25 * edge.astype(np.float32))[None, :, None]))
    return shaded


SCENES: tuple[Scene, ...] = (
    Scene("clean", _each(lambda _i, x: x)),
    Scene("exposure ramp", _each(lambda i, x: gained(x, 1 + 0.3 * np.sin(i / 24)))),
    Scene("exposure steps", _each(lambda i, x: gained(x, (1.0, 1.12, 0.9)[i // 16 % 3]))),
    Scene("strobe", _each(lambda i, x: gained(x, 1.3 if i % 5 < 2 else 0.9))),
    Scene("shake", _shake),
    Scene("zoom", _zoom),
    Scene("cuts", _cuts),
    Scene("dissolve", _dissolve),
    Scene("fade", _each(lambda i, x: gained(x, float(np.clip(abs(i - 44) / 20, 0, 1))))),
    Scene("refocus", _refocus),
    Scene("lightning", _each(lambda i, x: gained(x, 1.6 if i in {33, 34, 60} else 1.0))),
    Scene("shadow", _shadow),
    Scene("pumping", _pumping),
    Scene("still", _still),
)
