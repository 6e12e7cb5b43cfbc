"""The last good frame, warped along the input's motion, for repairs that need pixels of the past.

Only pixels that the input explains are taken from it, and never for more than a few frames: no ghosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import warp
from streamstyle.types import AnomalyMap, Picture

Weights = NDArray[np.uint8]
"""Shares of pixels (H, W); 255 is 1."""

_LIKE = np.rint(255 * np.clip((12 - np.arange(256)) / 6, 0, 1)).astype(np.uint8)
"""Trust by the difference in levels of luma between a pixel of the input and its past: none from 12 on."""


@dataclass
class _Scratch:
    """Full-size memory that is reused: allocating it for every frame takes longer than the computation."""

    flow: NDArray[np.float32] | None = None
    positions: NDArray[np.float32] | None = None
    packed: NDArray[np.uint8] | None = None
    sampled: NDArray[np.uint8] | None = None
    moved: NDArray[np.uint8] | None = None
    trust: NDArray[np.uint8] | None = None


class ReferenceFrame:
    """Keeps one frame, RGB uint8 (H, W, 3), as it left."""

    def __init__(self) -> None:
        self._frame: Picture | None = None
        self._source: Picture | None = None
        self._grid = np.zeros((0, 0, 2), np.float32)
        self._colours: tuple[Any, Any] | None = None
        self._scratch = _Scratch()

    def keep(self, frame: Picture, source: Picture | None) -> None:
        """Keep a copy of this frame, and its input, which must not be changed."""
        self._source = source
        if self._frame is None or self._frame.shape != frame.shape:
            self._frame = frame.copy()
        else:
            np.copyto(self._frame, frame)

    def forget(self) -> None:
        """Drop the frame."""
        self._frame = self._source = self._colours = None

    def note_colours(self) -> None:
        """Keep the colours of the current frame, before patched frames follow."""
        self._colours = None
        if self._frame is not None:
            self._colours = cv2.meanStdDev(cv2.cvtColor(self._frame, cv2.COLOR_RGB2YCrCb))

    def recoloured(self, source: Picture) -> Picture | None:
        """A picture in the colours of `note_colours`: mean and deviation of each YCrCb channel are matched
        (Reinhard et al. 2001, eq. 10 and 11). None without colours, or for another size.

        YCrCb and not Lab: OpenCV's Lab would stop a live stream for a sixth of a second to fill its tables.
        """
        if self._frame is None or self._colours is None or self._frame.shape != source.shape:
            return None
        ours = cv2.cvtColor(source, cv2.COLOR_RGB2YCrCb)
        (mean, spread), (to_mean, to_spread) = cv2.meanStdDev(ours), self._colours
        gain = np.clip(to_spread / np.maximum(spread, 1.0), 0.2, 3.0)
        table = np.arange(256)[:, None] * gain.T + (to_mean - gain * mean).T
        mapped = cv2.LUT(ours, np.rint(np.clip(table, 0, 255)).astype(np.uint8).reshape(1, 256, 3))
        return np.asarray(cv2.cvtColor(mapped, cv2.COLOR_YCrCb2RGB), np.uint8)

    def warped(self, anomaly: AnomalyMap, *, closely: bool = False) -> tuple[Picture, Weights] | None:
        """The reference frame warped to the present, (H, W, 3), and the trust in each pixel. Both are valid
        until the next call.

        closely: compare every pixel of the input with its past as well; the detector's small pictures are too
        coarse where half of the mix would show as a ghost. None without a reference frame, or if the detector
        has none.
        """
        if self._frame is None or anomaly.flow is None or anomaly.trust is None:
            return None
        scratch = self._scratch
        # With the fourth channel the input's luma comes along for nothing.
        packed = scratch.packed = _bytes(cv2.cvtColor(self._frame, cv2.COLOR_RGB2RGBA, dst=scratch.packed))
        before = self._source if closely and anomaly.source is not None else None
        if before is not None:
            cv2.insertChannel(_luma(before), packed, 3)
        positions = self._positions(anomaly.flow, self._frame.shape[:2])
        scratch.sampled = warp(packed, positions, scratch.sampled)
        scratch.moved = _bytes(cv2.cvtColor(scratch.sampled, cv2.COLOR_RGBA2RGB, dst=scratch.moved))
        # Trust shrinks by a pixel and fades out, so that no edge of the mask shows.
        sure = cv2.erode(anomaly.trust, np.ones((3, 3), np.uint8))
        trust = cv2.resize(sure, self._frame.shape[1::-1], dst=scratch.trust, interpolation=cv2.INTER_LINEAR)
        scratch.trust = _bytes(trust)
        if before is not None and anomaly.source is not None:
            apart = cv2.absdiff(_luma(anomaly.source), cv2.extractChannel(scratch.sampled, 3))
            like = cv2.LUT(cv2.dilate(apart, np.ones((3, 3), np.uint8)), _LIKE)
            cv2.multiply(trust, like, dst=trust, scale=1 / 255)
        return scratch.moved, scratch.trust

    def _positions(self, flow: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Previous position of every pixel, (H, W, 2), size = (H, W), from the flow (h, w, 2) of the analysis
        pictures."""
        height, width = size
        if self._grid.shape[:2] != (height, width):
            rows, columns = np.mgrid[:height, :width]
            self._grid = np.stack([columns, rows], axis=-1).astype(np.float32)
        scratch = self._scratch
        if flow.shape[:2] != size:
            flow = flow * np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
            wide = cv2.resize(flow, (width, height), dst=scratch.flow, interpolation=cv2.INTER_LINEAR)
            flow = scratch.flow = np.asarray(wide, np.float32)
        scratch.positions = np.asarray(cv2.add(flow, self._grid, dst=scratch.positions), np.float32)
        return scratch.positions


def _luma(picture: Picture) -> NDArray[np.uint8]:
    return _bytes(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def _bytes(picture: Any) -> NDArray[np.uint8]:
    return np.asarray(picture, np.uint8)


def mix_(picture: Picture, past: Picture, share: Weights) -> None:
    """`(1 - share) picture + share past` in place; share 0 keeps the bytes. `past` is overwritten."""
    weight = _bytes(cv2.merge([share] * 3))
    cv2.multiply(past, weight, dst=past, scale=1 / 255)
    cv2.multiply(picture, cv2.bitwise_not(weight, dst=weight), dst=picture, scale=1 / 255)
    cv2.add(picture, past, dst=picture)


def mean_share(share: Weights) -> float:
    """Mean of the shares, 0..1."""
    return cv2.mean(share)[0] / 255


def mean_detail(picture: Picture) -> float:
    """Mean |Laplacian| of luma of an RGB picture (H, W, 3), in levels."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.norm(cv2.Laplacian(luma, cv2.CV_16S), cv2.NORM_L1)) / luma.size


def sharpen_(picture: Picture, detail: float) -> None:
    """Unsharp masking in place that restores a `mean_detail` from before mixing; at most 1.5 times."""
    gain = min(detail / max(mean_detail(picture), 1e-3), 1.5)
    if gain > 1:
        blurred = cv2.GaussianBlur(picture, (3, 3), 0)
        # The Laplacian measures about half of what a 3x3 blur removes.
        amount = 2 * (gain - 1)
        cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0, dst=picture)
