"""Training pictures: folders of images in memory, cropped and varied from a seed.

Every draw is a function of (seed, step), so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamstyle.errors import ConfigError

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class PictureFolder:
    """Decoded pictures and what was left out.

    pictures: RGB uint8 (H, W, 3) each; names: file names in the same order; skipped: {file: reason}.
    """

    pictures: tuple[NDArray[np.uint8], ...]
    names: tuple[str, ...]
    skipped: dict[str, str]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode one picture to RGB uint8 (H, W, 3). Raises ConfigError."""
    try:
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ConfigError(f"cannot read picture {path}: {error.strerror}") from error
    bgr = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    if bgr is None:
        raise ConfigError(f"{path} is not a picture that OpenCV can decode")
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)


def resize_to_area(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize, aspect kept, to about `side`^2 pixels; never enlarges by more than a factor of 2."""
    h, w = picture.shape[:2]
    scale = min(2.0, side / math.sqrt(h * w))
    size = (max(64, round(w * scale)), max(64, round(h * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, size, interpolation=interpolation)
    return resized.astype(np.uint8, copy=False)


def read_folder(folder: Path, *, min_side: int) -> PictureFolder:
    """Read every picture of a folder in name order; bad and too small files are listed, not fatal.

    Raises ConfigError where nothing usable is left.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder of pictures")
    pictures: list[NDArray[np.uint8]] = []
    names: list[str] = []
    skipped: dict[str, str] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES):
        try:
            picture = read_picture(path)
        except ConfigError as error:
            skipped[path.name] = str(error)
            continue
        if min(picture.shape[:2]) < min_side:
            skipped[path.name] = f"short side below {min_side} pixels"
            continue
        pictures.append(picture)
        names.append(path.name)
    if not pictures:
        raise ConfigError(f"{folder} holds no picture with a short side of {min_side} pixels or more")
    return PictureFolder(tuple(pictures), tuple(names), skipped)


def to_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """RGB uint8 (H, W, 3) to float (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def random_crop(
    picture: NDArray[np.uint8], crop: int, rng: np.random.Generator, *, max_zoom: float
) -> NDArray[np.uint8]:
    """A random square of the picture, zoomed out by up to `max_zoom`, flipped half of the time.

    Returns RGB uint8 (crop, crop, 3). The picture's short side must be at least `crop`.
    """
    h, w = picture.shape[:2]
    side = int(rng.uniform(crop, max(crop, min(h, w, crop * max_zoom)) + 1))
    side = min(side, h, w)
    y, x = int(rng.integers(0, h - side + 1)), int(rng.integers(0, w - side + 1))
    cut = picture[y : y + side, x : x + side]
    if side != crop:
        cut = cv2.resize(cut, (crop, crop), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cut[:, ::-1] if rng.random() < 0.5 else cut


def center_squares(photos: PictureFolder, count: int, side: int) -> list[NDArray[np.uint8]]:
    """`count` photos spread over the folder, cut square and resized: RGB uint8 (side, side, 3)."""
    squares = []
    for i in np.linspace(0, len(photos.pictures) - 1, count).round().astype(int):
        h, w = photos.pictures[i].shape[:2]
        cut = min(h, w)
        top, left = (h - cut) // 2, (w - cut) // 2
        square = photos.pictures[i][top : top + cut, left : left + cut]
        resized = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
        squares.append(resized.astype(np.uint8, copy=False))
    return squares


@dataclass(frozen=True)
class Batch:
    """One step's input: photos and paintings (B, 3, S, S) in [0, 1], style indices (B,)."""

    content: Tensor
    painting: Tensor
    style: Tensor


def draw_batch(
    photos: PictureFolder,
    paintings: tuple[NDArray[np.uint8], ...],
    *,
    size: int,
    crop: int,
    rng: np.random.Generator,
) -> Batch:
    """Draw `size` photos, and for each a style (balanced) and a crop of that painting.

    Style index `len(paintings)` stands for `original`, whose painting is the photo itself.
    """
    styles = rng.permutation(len(paintings) + 1)[:size]
    if size > len(styles):
        styles = np.concatenate([styles, rng.integers(0, len(paintings) + 1, size - len(styles))])
    content = [
        random_crop(photos.pictures[i], crop, rng, max_zoom=1.6)
        for i in rng.integers(0, len(photos.pictures), size)
    ]
    painting = [
        random_crop(paintings[s], crop, rng, max_zoom=1.2) if s < len(paintings) else content[k]
        for k, s in enumerate(styles)
    ]
    return Batch(
        torch.stack([to_tensor(c) for c in content]),
        torch.stack([to_tensor(p) for p in painting]),
        torch.from_numpy(styles.astype(np.int64)),
    )


@dataclass(frozen=True)
class Motion:
    """A synthetic camera motion: sampling grid (B, H, W, 2) and where it stays inside (B, 1, H, W)."""

    grid: Tensor
    mask: Tensor

    def warp(self, x: Tensor) -> Tensor:
        """Sample (B, C, H, W) along the motion, bilinear, edge replicated."""
        return F.grid_sample(x, self.grid, mode="bilinear", padding_mode="border", align_corners=False)


def draw_motion(batch: int, side: int, rng: np.random.Generator) -> Motion:
    """Small random shift (up to 6 %), rotation (2 degrees) and zoom (4 %), exact by construction."""
    angle = np.radians(rng.uniform(-2, 2, batch))
    zoom = rng.uniform(0.96, 1.04, batch)
    shift = rng.uniform(-0.06, 0.06, (batch, 2))
    theta = np.zeros((batch, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom * np.cos(angle)
    theta[:, 0, 1], theta[:, 1, 0] = -zoom * np.sin(angle), zoom * np.sin(angle)
    theta[:, :, 2] = shift
    grid = F.affine_grid(torch.from_numpy(theta), [batch, 1, side, side], align_corners=False)
    inside = (grid.abs() < 1).all(dim=-1, keepdim=True).permute(0, 3, 1, 2)
    return Motion(grid, inside.float())
