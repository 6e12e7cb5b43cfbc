"""Training pictures: folders of images in memory, cropped and varied from a seed.

Every draw is a function of (seed, step), so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamstyle.errors import ConfigError
from streamstyle.files import read_picture
from streamstyle.nets.noise import (
    CELL_CHANNELS,
    PATTERN_KINDS,
    PATTERN_SCALE,
    SIZE_MULTIPLE,
    WOVEN_CHANNELS,
    canvas,
    coloured_noise,
)

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class PictureFolder:
    """Decoded pictures and what was left out.

    pictures: RGB uint8 (H, W, 3) each; names: file names in the same order; skipped: {file: reason}.
    """

    pictures: tuple[NDArray[np.uint8], ...]
    names: tuple[str, ...]
    skipped: dict[str, str]


def resize_to_area(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize, aspect kept, to about `side`^2 pixels; never enlarges by more than a factor of 2."""
    h, w = picture.shape[:2]
    scale = min(2.0, side / math.sqrt(h * w))
    size = (max(64, round(w * scale)), max(64, round(h * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, size, interpolation=interpolation)
    return resized.astype(np.uint8, copy=False)


def part_of(picture: NDArray[np.uint8], part: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """A part of a picture (H, W, 3), given by left, top, right and bottom as shares of its sides.

    Raises ConfigError where less than 64 pixels to a side would be left.
    """
    h, w = picture.shape[:2]
    left, top, right, bottom = (round(x * side) for x, side in zip(part, (w, h, w, h), strict=True))
    if right - left < 64 or bottom - top < 64:
        raise ConfigError(f"the part {list(part)} of a painting of {w}x{h} is smaller than 64x64 pixels")
    return picture[top:bottom, left:right]


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


def hold_out(photos: PictureFolder, count: int) -> tuple[PictureFolder, PictureFolder]:
    """Split off `count` photos, spread evenly over the names: (to train on, to measure with).

    Raises ConfigError where one of both would be empty.
    """
    if not 1 <= count < len(photos.names):
        raise ConfigError(
            f"held_out is {count}, but {len(photos.names)} usable photos allow 1 to {len(photos.names) - 1}"
        )
    kept = set(np.linspace(0, len(photos.names) - 1, count).round().astype(int).tolist())

    def chosen(indices: Sequence[int], skipped: dict[str, str]) -> PictureFolder:
        pictures = tuple(photos.pictures[i] for i in indices)
        return PictureFolder(pictures, tuple(photos.names[i] for i in indices), skipped)

    rest = [i for i in range(len(photos.names)) if i not in kept]
    return chosen(rest, photos.skipped), chosen(sorted(kept), {})


def to_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """RGB uint8 (H, W, 3) to float (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def random_crop(
    picture: NDArray[np.uint8],
    crop: int,
    rng: np.random.Generator,
    *,
    max_zoom: float,
    max_angle: float = 0.0,
) -> NDArray[np.uint8]:
    """A random square of the picture, zoomed out by up to `max_zoom`, flipped half of the time, and half of
    the time turned by up to `max_angle` degrees.

    Returns RGB uint8 (crop, crop, 3). The picture's short side must be at least `crop`.
    """
    h, w = picture.shape[:2]
    side = int(rng.uniform(crop, max(crop, min(h, w, crop * max_zoom)) + 1))
    side = min(side, h, w)
    y, x = int(rng.integers(0, h - side + 1)), int(rng.integers(0, w - side + 1))
    cut = picture[y : y + side, x : x + side]
    if max_angle and rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-max_angle, max_angle), 1.0)
        turned = cv2.warpAffine(cut, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
        cut = turned.astype(np.uint8, copy=False)
    if side != crop:
        cut = cv2.resize(cut, (crop, crop), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cut[:, ::-1] if rng.random() < 0.5 else cut


def vary_colour(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, saturation and white balance changed a little, contrast down to a quarter; half of the time
    nothing."""
    if rng.random() < 0.5:
        return picture
    x = picture.astype(np.float32)
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(0.5, 1.4)
    mean = float(x.mean())
    x = (x - mean) * rng.uniform(0.25, 1.2) + mean + rng.uniform(-30, 30)
    balanced: NDArray[np.float32] = x * rng.uniform(0.93, 1.07, 3).astype(np.float32)
    return balanced.clip(0, 255).astype(np.uint8)


def center_square(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The largest square in the middle, resized: RGB uint8 (side, side, 3)."""
    h, w = picture.shape[:2]
    cut = min(h, w)
    top, left = (h - cut) // 2, (w - cut) // 2
    square = picture[top : top + cut, left : left + cut]
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def center_squares(photos: PictureFolder, count: int, side: int) -> list[NDArray[np.uint8]]:
    """`count` photos spread over the folder, cut square and resized: RGB uint8 (side, side, 3)."""
    chosen = np.linspace(0, len(photos.pictures) - 1, count).round().astype(int)
    return [center_square(photos.pictures[i], side) for i in chosen]


@dataclass(frozen=True)
class Batch:
    """One step's input: photos and paintings (B, 3, S, S) in [0, 1], style indices (B,), canvases
    (B, CANVAS_CHANNELS, S/8, S/8); photo (B,): False where `content` is coloured noise; place (2,): where in
    the crops to look at a part, from 0 (top, left) to 1."""

    content: Tensor
    painting: Tensor
    style: Tensor
    canvas: Tensor
    photo: Tensor
    place: Tensor

    def part(self, x: Tensor, side: int) -> Tensor:
        """A square of (B, C, S, S) at `place`; all of it where `side` is 0."""
        if not side or side >= x.shape[-1]:
            return x
        y, left = ((x.shape[-1] - side) * self.place).round().int().tolist()
        return x[..., y : y + side, left : left + side]

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(*(t.to(device) for t in vars(self).values()))


NUMBERS_OF_CELLS = [1, 2, 4, 5]  # channels of `cells_of` that are constant in a cell: two of small, of large


def cells_of(canvases: Tensor) -> Tensor:
    """Channels of canvases (B, CANVAS_CHANNELS, h, w) that tell of cells: (B, 8, h, w), the woven ones and
    the means of both patterns of facets."""
    kinds = patterns_of(canvases)
    facets = torch.cat([kinds["small_facets"], kinds["large_facets"]], dim=1)
    return torch.cat([canvases[:, CELL_CHANNELS], F.avg_pool2d(facets, PATTERN_SCALE)], dim=1)


def patterns_of(canvases: Tensor) -> dict[str, Tensor]:
    """Patterns of canvases (B, CANVAS_CHANNELS, h, w) by their kind, (B, 1 or 2, 4 h, 4 w)."""
    patterns = F.pixel_shuffle(canvases[:, WOVEN_CHANNELS:], PATTERN_SCALE)
    return {kind: patterns[:, at] for kind, at in PATTERN_KINDS.items()}


def draw_batch(
    photos: PictureFolder,
    paintings: tuple[NDArray[np.uint8], ...],
    *,
    size: int,
    crop: int,
    noise_share: float,
    rng: np.random.Generator,
    with_original: bool = True,
) -> Batch:
    """Draw `size` photos, and for each a style (balanced), a crop of that painting and a canvas.

    Style index `len(paintings)` stands for `original`, whose painting is the photo itself; it is left out
    without `with_original`.
    """
    count = len(paintings) + with_original
    styles = rng.permutation(count)[:size]
    if size > len(styles):
        styles = np.concatenate([styles, rng.integers(0, count, size - len(styles))])
    photo = (rng.random(size) >= noise_share) | (styles == len(paintings))
    content = [
        vary_colour(random_crop(photos.pictures[i], crop, rng, max_zoom=1.6, max_angle=8), rng)
        if is_photo
        else coloured_noise(crop, crop, rng, smoothest=3.0)
        for i, is_photo in zip(rng.integers(0, len(photos.pictures), size), photo, strict=True)
    ]
    painting = [
        random_crop(paintings[s], crop, rng, max_zoom=1.2) if s < len(paintings) else content[k]
        for k, s in enumerate(styles)
    ]
    canvases = np.stack([_canvas_crop(crop // SIZE_MULTIPLE, rng) for _ in range(size)])
    return Batch(
        torch.stack([to_tensor(c) for c in content]),
        torch.stack([to_tensor(p) for p in painting]),
        torch.from_numpy(styles.astype(np.int64)),
        torch.from_numpy(canvases),
        torch.from_numpy(photo),
        torch.from_numpy(rng.spawn(1)[0].random(2, np.float32)),  # other draws stay what they were
    )


@functools.cache
def _training_canvas(seed: int) -> NDArray[np.float32]:
    return canvas(2048, 2048, seed)


def _canvas_crop(cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    field = _training_canvas(int(rng.integers(8)))
    y, x = rng.integers(0, field.shape[1] - cells + 1, 2)
    return field[:, y : y + cells, x : x + cells]


@dataclass(frozen=True)
class NextFrame:
    """Differences between the next frame of a synthetic clip and this one: motion, exposure, sensor noise.

    grid: sampling grid (B, H, W, 2) of the camera's motion. mask: (B, 1, H, W), 1 where it stays inside.
    gain: (B, 1, 1, 1) exposure. noise: (B, 3, H, W), added at the end. smear: (B, 1, K, K), the path of a
    point while the shutter is open, with a sum of 1.
    """

    grid: Tensor
    mask: Tensor
    gain: Tensor
    noise: Tensor
    smear: Tensor

    def warp(self, x: Tensor) -> Tensor:
        """Sample (B, C, H, W) along the motion, bilinear, edge replicated."""
        return F.grid_sample(x, self.grid, mode="bilinear", padding_mode="border", align_corners=False)

    def of_moving(self, frame: Tensor) -> Tensor:
        """The frame (B, 3, H, W) after motion, exposure and noise."""
        return (self.warp(frame) * self.gain + self.noise).clamp(0, 1)

    def of_still(self, frame: Tensor) -> Tensor:
        """The frame (B, 3, H, W) after exposure and noise, from a camera at rest."""
        return (frame * self.gain + self.noise).clamp(0, 1)

    def of_shaken(self, frame: Tensor) -> Tensor:
        """The frame (B, 3, H, W) of a camera that is shaken in its place: motion blur, edge replicated."""
        reach = self.smear.shape[-1] // 2
        planes = F.pad(frame, (reach,) * 4, mode="replicate").transpose(0, 1)
        return F.conv2d(planes, self.smear, groups=len(self.smear)).transpose(0, 1)

    def to(self, device: torch.device) -> NextFrame:
        """The same on `device`."""
        return NextFrame(*(t.to(device) for t in vars(self).values()))


def draw_next_frame(batch: int, side: int, rng: np.random.Generator) -> NextFrame:
    """Shift up to 6 %, rotation 2 degrees, zoom 4 %, exposure 10 % (half of the time), noise up to 4/255; a
    shake smears straight lines of 4 to 24 pixels.

    The flow is exact by construction.
    """
    angle = np.radians(rng.uniform(-2, 2, batch))
    zoom = rng.uniform(0.96, 1.04, batch)
    shift = rng.uniform(-0.06, 0.06, (batch, 2))
    theta = np.zeros((batch, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom * np.cos(angle)
    theta[:, 0, 1], theta[:, 1, 0] = -zoom * np.sin(angle), zoom * np.sin(angle)
    theta[:, :, 2] = shift
    grid = F.affine_grid(torch.from_numpy(theta), [batch, 1, side, side], align_corners=False)
    inside = (grid.abs() < 1).all(dim=-1, keepdim=True).permute(0, 3, 1, 2)
    gain = np.where(rng.random(batch) < 0.5, rng.uniform(0.9, 1.1, batch), 1.0).astype(np.float32)
    sigma = rng.uniform(0, 4 / 255, (batch, 1, 1, 1))
    noise = (sigma * rng.standard_normal((batch, 3, side, side))).astype(np.float32)
    smear = np.stack([_line(rng.uniform(4, 24), rng.uniform(0, np.pi)) for _ in range(batch)])
    return NextFrame(
        grid,
        inside.float(),
        torch.from_numpy(gain)[:, None, None, None],
        torch.from_numpy(noise),
        torch.from_numpy(smear)[:, None],
    )


def _line(length: float, angle: float, side: int = 27) -> NDArray[np.float32]:
    """A straight line of `length` pixels through the middle, anti-aliased; (side, side), with a sum of 1."""
    along = np.linspace(-length / 2, length / 2, 4 * side)
    y, x = side // 2 + along * np.sin(angle), side // 2 + along * np.cos(angle)
    line = np.zeros((side, side), np.float32)
    for dy in (0, 1):
        for dx in (0, 1):
            rows, columns = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            np.add.at(line, (rows, columns), (1 - abs(y - rows)) * (1 - abs(x - columns)))
    line /= line.sum()
    return line
