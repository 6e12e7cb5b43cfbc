"""Attribution of regions to the photo or the style."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.explain.picture import to_lab
from streamstyle.types import Picture

_WINDOW = 1 / 24  # sigma of a region, as a share of the short side
_EDGE_FLOOR = 1e-4  # squared luma gradient below which a region holds no edge
_SAMPLES = 10  # the swatch is sampled on a grid of this many rows and columns


@dataclass(frozen=True)
class Attribution:
    """Three maps float32 (H, W) in 0..1, over Gaussian windows G with a sigma of 1/24 of the short side.

    edges: how much of the photo's drawing is left, (2 G(p o) + c) / (G(p^2 + o^2) + c) with p, o the
    gradient magnitudes of the photo's and the output's luma (the structure term of SSIM, Wang et al. 2004,
    on gradients). 1: the same edges as strong; 0: edges gone, or strokes where the photo has none.

    colour, texture: the style's share, d_photo / (d_photo + d_style). d_photo is the distance of the
    window's statistics from those of the photo at the same place, d_style from the nearest of 100 windows
    of the style's swatch. Statistics of colour: the mean Lab. Of texture: the Gram matrix of the luma's
    derivatives (Gxx, Gyy, Gxy) at full and at half size, in signed square roots. 0: as in the photo;
    1: as in the swatch.
    """

    edges: NDArray[np.float32]
    colour: NDArray[np.float32]
    texture: NDArray[np.float32]


def attribute(photo: Picture, styled: Picture, swatch: Picture) -> Attribution:
    """Compare the output with the photo and the style. RGB uint8 (H, W, 3); `swatch` of any size."""
    sigma = min(photo.shape[:2]) * _WINDOW
    labs = [to_lab(picture) for picture in (photo, styled, swatch)]
    colours = [_mean(lab, sigma) for lab in labs]
    lumas = [lab[..., 0] / np.float32(100) for lab in labs]
    textures = [_texture(luma, sigma) for luma in lumas]
    p, o = (np.hypot(*_derivatives(luma)) for luma in lumas[:2])
    edges = (2 * _mean(p * o, sigma) + _EDGE_FLOOR) / (_mean(p * p + o * o, sigma) + _EDGE_FLOOR)
    return Attribution(edges, _share(*colours), _share(*textures))


def _mean(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _derivatives(luma: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    along_x = cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8)
    along_y = cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(along_x, np.float32), np.asarray(along_y, np.float32)


def _texture(luma: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Statistics of texture, float32 (H, W, 6); see `Attribution`."""
    height, width = luma.shape
    channels = []
    for scale in (1, 2):
        small = cv2.resize(
            luma, (max(1, width // scale), max(1, height // scale)), interpolation=cv2.INTER_AREA
        )
        x, y = _derivatives(np.asarray(small, np.float32))
        for product in (x * x, y * y, x * y):
            smooth = _mean(product, sigma / scale)
            rooted = np.sign(smooth) * np.sqrt(np.abs(smooth))
            channels.append(cv2.resize(rooted, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.stack(channels, axis=2).astype(np.float32)


def _share(
    photo: NDArray[np.float32], styled: NDArray[np.float32], swatch: NDArray[np.float32]
) -> NDArray[np.float32]:
    """d_photo / (d_photo + d_style) for statistics (H, W, C) and those of the swatch, of another size."""
    rows, columns = (np.linspace(0, n - 1, _SAMPLES).round().astype(int) for n in swatch.shape[:2])
    samples = swatch[np.ix_(rows, columns)].reshape(-1, swatch.shape[2])
    to_photo = np.linalg.norm(styled - photo, axis=2)
    to_style = np.full_like(to_photo, np.inf)
    for sample in samples:
        np.minimum(to_style, np.linalg.norm(styled - sample, axis=2), out=to_style)
    share: NDArray[np.float32] = to_photo / np.maximum(to_photo + to_style, np.float32(1e-9))
    return share
