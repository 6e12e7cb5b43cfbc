"""Repairs of flicker by others, re-made from their formulas to be compared with.

Scores take the input and the styled film and give a number per frame. Repairs take both and give a film.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.injections import Film
from streamstyle.media.deflicker import deflicker
from streamstyle.temporal.motion import (
    BackwardFlow,
    analysis_picture,
    analysis_size,
    luma_of,
    photometric_mask,
    warp,
)
from streamstyle.types import Picture

Score = Callable[[Film, Film], NDArray[np.float64]]
FilmRepair = Callable[[Film, Film], Film]


def mean_luma_difference(_source: Film, styled: Film) -> NDArray[np.float64]:
    """|mean Y_t - mean Y_t-1| of the styled film alone, the measure of deflickering filters."""
    means = [float(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).mean()) for x in styled]
    return np.abs(np.diff(means, prepend=means[0])) / 255


def warped_residual(source: Film, styled: Film) -> NDArray[np.float64]:
    """Mean m |O_t - W O_t-1|, W along the flow of the input: unsigned, not referenced to the input."""
    size = analysis_size(*source[0].shape[:2])
    flow, scores = BackwardFlow(size), [0.0]
    pictures = [
        (analysis_picture(a, size), analysis_picture(b, size)) for a, b in zip(source, styled, strict=True)
    ]
    for (before, painted_before), (now, painted) in pairwise(pictures):
        positions = flow.positions(flow.estimate(luma_of(now), luma_of(before)))
        mask = photometric_mask(luma_of(now), luma_of(warp(before, positions)), positions, 20.0) > 0
        rest = cv2.absdiff(luma_of(painted), luma_of(warp(painted_before, positions)))
        scores.append(float(rest[mask].mean()) / 255 if mask.any() else 0.0)
    return np.array(scores)


SCORES: dict[str, Score] = {
    "mean luma difference": mean_luma_difference,
    "warped residual": warped_residual,
}


def mean_of_time(_source: Film, styled: Film, weight: float = 0.6) -> Film:
    """Plain running mean of frames: `O_t = w O_t-1 + (1 - w) P_t`."""
    return _blended(styled, lambda past, _index: past, weight)


def flow_mean(source: Film, styled: Film, weight: float = 0.6) -> Film:
    """The same along the flow of the input, where it can be trusted (Lai et al. 2018 compare with it)."""
    flow = _FullFlow(source)
    return _blended(styled, flow.warped, weight, flow.mask)


def screened_poisson(source: Film, styled: Film, weight: float = 4.0) -> Film:
    """min |grad O - grad P|^2 + w exp(-a |I - W I|^2) |O - W O_t-1|^2, w constant here, by Fourier transform.

    The screened Poisson equation of Bonneel et al. 2015 (Blind video temporal consistency, eq. 2 and 3), with
    the confidence folded into the target so that it can be solved exactly under periodic borders.
    """
    flow = _FullFlow(source)
    height, width = styled[0].shape[:2]
    frequencies = [2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(n)) for n in (height, width)]
    laplace = (frequencies[0][:, None] + frequencies[1][None, : width // 2 + 1])[..., None].astype(np.float32)
    screen = np.float32(weight / max(height, width))
    left = [styled[0].copy()]
    for index in range(1, len(styled)):
        now = styled[index].astype(np.float32)
        target = now + flow.mask(index)[..., None] * (flow.warped(left[-1], index) - now)
        spectrum = laplace * np.fft.rfft2(now, axes=(0, 1)) + screen * np.fft.rfft2(target, axes=(0, 1))
        solved = np.fft.irfft2(spectrum / (laplace + screen), (height, width), axes=(0, 1))
        left.append(np.rint(np.clip(solved, 0, 255)).astype(np.uint8))
    return left


REPAIRS: dict[str, FilmRepair] = {
    "ffmpeg deflicker": lambda _source, styled: deflicker(styled),
    "running mean": mean_of_time,
    "flow running mean": flow_mean,
    "screened Poisson": screened_poisson,
}


class _FullFlow:
    """Backward flow of the input at full size, DIS "fast", and where it holds."""

    def __init__(self, source: Film) -> None:
        self._lumas = [np.asarray(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), np.uint8) for x in source]
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        height, width = self._lumas[0].shape
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        self._grid = np.stack([columns, rows], axis=-1)
        self._index, self._at = -1, self._grid

    def _positions(self, index: int) -> NDArray[np.float32]:
        if index != self._index:
            flow = self._search.calc(self._lumas[index], self._lumas[index - 1], None)  # type: ignore[call-overload]
            self._index, self._at = index, np.asarray(flow + self._grid, np.float32)
        return self._at

    def warped(self, past: Picture, index: int) -> NDArray[np.float32]:
        """The past (H, W, ...) on frame `index`, float32."""
        at = self._positions(index)
        columns, rows = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
        moved = cv2.remap(past, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return moved.astype(np.float32)

    def mask(self, index: int) -> NDArray[np.float32]:
        """exp(-|I - W I|^2 / (2 * 10^2)), float32 (H, W), levels of 0..255."""
        rest = self._lumas[index].astype(np.float32) - self.warped(self._lumas[index - 1], index)
        return np.exp(-(rest**2) / 200).astype(np.float32)


def _blended(
    styled: Film,
    past: Callable[[Picture, int], NDArray[np.generic]],
    weight: float,
    trust: Callable[[int], NDArray[np.float32]] | None = None,
) -> Film:
    left = [styled[0].copy()]
    for index in range(1, len(styled)):
        now = styled[index].astype(np.float32)
        share: NDArray[np.float32] | float = weight
        if trust is not None:
            share = np.float32(weight) * trust(index)[..., None]
        left.append(np.rint(now + share * (past(left[-1], index).astype(np.float32) - now)).astype(np.uint8))
    return left
