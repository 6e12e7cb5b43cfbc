"""A frame between `detect` and `commit`, and the history that it is compared with. Data only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.content import ContentResult
from streamstyle.temporal.correction_plan import CorrectionPlan
from streamstyle.temporal.drift import DriftState, LabPair
from streamstyle.temporal.motion import Analysis
from streamstyle.temporal.residual import Change, Correspondence
from streamstyle.temporal.step_test import StepResult
from streamstyle.temporal.style import StyleMismatch
from streamstyle.types import Kind


@dataclass(frozen=True)
class History:
    """Data that the next frame is compared with."""

    source: Analysis
    """Analysis picture of the input."""
    styled: Analysis
    """Analysis picture of the frame as it left."""
    means: NDArray[np.float32]
    """See `StepTest.settle`."""
    thumbnail: NDArray[np.float32]
    """Small luma of the input."""
    painted: Analysis | None
    """Analysis picture of the frame as it was painted; None for an unexamined frame."""
    fine: NDArray[np.uint8] | None
    """See `fine_luma`; None unless every frame is smoothed."""


@dataclass(frozen=True)
class FrameComparison:
    """Findings on a frame that has a history."""

    history: History
    styled: Analysis
    matched: Correspondence
    change: Change
    """Change against the history as it left."""
    result: StepResult
    """Result of the step test on `change`."""
    painted: Change
    """Change against the history as it was painted."""
    stepped: StepResult
    """Result of the step test on `painted`."""
    drift: DriftState
    content: ContentResult
    style: StyleMismatch
    labs: LabPair | None
    """Pixels for the drift test, where it is due."""
    kind: Kind | None
    """Kind of the step that is flagged or being released."""
    plan: CorrectionPlan

    @property
    def flagged(self) -> set[Kind]:
        """The kinds that were found, for which the corrector may have changed the frame."""
        found = {self.kind} if self.kind else set()
        if self.drift.share > 0:
            found.add(Kind.DRIFT)
        if self.result.texture > 1:
            found.add(Kind.TEXTURE)
        if self.content.repeated:
            found.add(Kind.DUPLICATE)
        elif self.content.loss > 1:
            found.add(Kind.DISTORTION)
        if self.style.ratio > 1:
            found.add(Kind.STYLE)
        return found


@dataclass(frozen=True)
class DetectedFrame:
    """A frame between `detect` and `commit`."""

    source: Analysis
    thumbnail: NDArray[np.float32]
    fine: NDArray[np.uint8] | None
    history: History | None
    """History of the frame before, compared with or not."""
    compared: FrameComparison | None = None
    cut: bool = False
    flash: bool = False
