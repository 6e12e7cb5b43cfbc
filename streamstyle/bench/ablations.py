"""The product without one of its ideas, to measure the idea's value.

The unsigned score needs no separate run: it is the texture score, evaluated for steps (`figures`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.runs import Method
from streamstyle.temporal.cuts import CutConfig
from streamstyle.temporal.detector import DetectorConfig, ResidualDetector
from streamstyle.temporal.motion import BackwardFlow
from streamstyle.temporal.residual import StepTestConfig
from streamstyle.types import AnalysisPair, AnomalyMap, Kind, Picture

ALWAYS_ON = "always on"

_MIN_GAIN, _MAX_GAIN = 0.6, 1.6
_DARK = 4 / 255


class NoFlow(BackwardFlow):
    """Motion estimator that sees no motion."""

    def estimate(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.float32]:  # noqa: ARG002
        """Zeros, float32 (h, w, 2)."""
        return np.zeros((*now.shape, 2), np.float32)


class AlwaysOn:
    """Implements `Detector`: the findings of the inner detector, but with the gain that removes the excess of
    every tile in every frame, flagged or not."""

    def __init__(self) -> None:
        self._inside = ResidualDetector()

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """See `Detector`."""
        found = self._inside.detect(source, styled, analysis)
        rows, columns = found.tiles.shape
        grey = cv2.cvtColor(styled, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        luma = np.maximum(cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA), _DARK)
        gain = np.clip(1 - found.tile_score / luma, _MIN_GAIN, _MAX_GAIN).astype(np.float32)
        kinds = found.kinds if Kind.FLICKER in found.kinds else (*found.kinds, Kind.FLICKER)
        gain = np.where(found.tiles, found.luma_gain, gain)
        return replace(found, kinds=kinds, tiles=np.ones_like(found.tiles), luma_gain=gain)

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """See `Detector`."""
        return self._inside.commit(styled, touched=touched)

    def reset(self) -> None:
        """See `Detector`."""
        self._inside.reset()


def _unreferenced() -> ResidualDetector:
    nothing = (0.0, 0.0)
    step_test = StepTestConfig(
        event=math.inf,
        relative_event=math.inf,
        gain_limits=nothing,
        gain_error=0.0,
        step_share=0.0,
        frame_limits=nothing,
        frame_error=0.0,
    )
    return ResidualDetector(DetectorConfig(step_test=step_test))


def _uncut() -> ResidualDetector:
    return ResidualDetector(DetectorConfig(cut=CutConfig(trust=-1.0, likeness=-2.0)))


ABLATIONS: tuple[Method, ...] = (
    Method("not input-referenced", _unreferenced),
    Method("no motion compensation", lambda: ResidualDetector(flow=NoFlow)),
    Method("no cut gate", _uncut),
    Method(ALWAYS_ON, AlwaysOn),
)
