"""The last good frame, brought along the input's motion, for the repairs that need pixels of the past.

Only pixels that the input explains are taken from it, and never for more than a few frames: no ghosts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import AnomalyMap, Picture

_LIKE = np.clip((12 - np.arange(256)) / 6, 0, 1).astype(np.float32)
"""Trust by the levels of luma by which a pixel of the input differs from its past: none from 12 on."""


class LastGood:
    """Keeps one frame, RGB uint8 (H, W, 3), as it left."""

    def __init__(self) -> None:
        self._frame: Picture | None = None
        self._source: Picture | None = None
        self._grid = np.zeros((0, 0, 2), np.float32)

    def keep(self, frame: Picture, source: Picture | None) -> None:
        """Remember a copy of this frame, and its input, which nobody changes, as it is."""
        self._source = source
        if self._frame is None or self._frame.shape != frame.shape:
            self._frame = frame.copy()
        else:
            np.copyto(self._frame, frame)

    def forget(self) -> None:
        """There is no past."""
        self._frame = self._source = None

    def recoloured(self, source: Picture) -> Picture | None:
        """A picture in the colours of the frame that is kept: mean and deviation of each channel of CIE Lab
        are made the same (Reinhard et al. 2001, eq. 10 and 11). None without one, or for another size."""
        if self._frame is None or self._frame.shape != source.shape:
            return None
        lab, like = (cv2.cvtColor(x, cv2.COLOR_RGB2Lab) for x in (source, self._frame))
        (mean, spread), (to_mean, to_spread) = cv2.meanStdDev(lab), cv2.meanStdDev(like)
        gain = np.clip(to_spread / np.maximum(spread, 1.0), 0.2, 3.0)
        table = np.arange(256)[:, None] * gain.T + (to_mean - gain * mean).T
        mapped = cv2.LUT(lab, np.rint(np.clip(table, 0, 255)).astype(np.uint8).reshape(1, 256, 3))
        return np.asarray(cv2.cvtColor(mapped, cv2.COLOR_Lab2RGB), np.uint8)

    def brought(
        self, anomaly: AnomalyMap, *, closely: bool = False
    ) -> tuple[Picture, NDArray[np.float32]] | None:
        """The past where its pixels are now, and how far it can be trusted: (H, W, 3), float32 (H, W) 0..1.

        closely: every pixel of the input is compared with its past as well; what the detector's small
        pictures say is too coarse where half of what is mixed would show as a ghost. None without a past, or
        where the detector knows of none.
        """
        if self._frame is None or anomaly.flow is None or anomaly.trust is None:
            return None
        height, width = self._frame.shape[:2]
        if self._grid.shape[:2] != (height, width):
            rows, columns = np.mgrid[:height, :width]
            self._grid = np.stack([columns, rows], axis=-1).astype(np.float32)
        scale = np.array([width / anomaly.flow.shape[1], height / anomaly.flow.shape[0]], np.float32)
        flow = cv2.resize(anomaly.flow * scale, (width, height), interpolation=cv2.INTER_LINEAR)
        positions = np.asarray(cv2.add(flow, self._grid), np.float32)
        moved = _sampled(self._frame, positions)
        # Trust shrinks by a pixel and fades out, so that no edge of the mask shows.
        sure = cv2.erode(anomaly.trust, np.ones((3, 3), np.uint8))
        trust = cv2.resize(sure, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        if closely and self._source is not None and anomaly.source is not None:
            luma, before = (
                np.asarray(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), np.uint8)
                for each in (anomaly.source, self._source)
            )
            apart = cv2.absdiff(luma, _sampled(before, positions))
            trust *= _LIKE[cv2.dilate(apart, np.ones((3, 3), np.uint8))]
        return moved, np.asarray(trust, np.float32)


def _sampled(picture: NDArray[np.uint8], positions: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture (H, W) or (H, W, 3) at positions (H, W, 2), in pixels, bilinearly; edges are replicated."""
    at = cv2.remap(  # type: ignore[call-overload]
        picture, positions, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(at, np.uint8)


def mix_(picture: Picture, past: Picture, share: NDArray[np.float32]) -> None:
    """`(1 - share) picture + share past` in place; share float32 (H, W), 0..1; exactly 0 keeps the bytes."""
    mixed = cv2.blendLinear(past, picture, share, 1 - share)
    np.copyto(picture, np.asarray(mixed, np.uint8), where=(share > 0)[..., None])


def mean_detail(picture: Picture) -> float:
    """Mean |Laplacian| of luma of an RGB picture (H, W, 3), in levels."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.norm(cv2.Laplacian(luma, cv2.CV_16S), cv2.NORM_L1)) / luma.size


def sharpen_(picture: Picture, detail: float) -> None:
    """Unsharp masking in place, as much as gives back a `mean_detail` that mixing took; at most 1.5 times."""
    gain = min(detail / max(mean_detail(picture), 1e-3), 1.5)
    if gain > 1:
        blurred = cv2.GaussianBlur(picture, (3, 3), 0)
        # Of what a 3x3 blur takes away the Laplacian measures about half.
        amount = 2 * (gain - 1)
        cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0, dst=picture)
