"""The residual detector: compares each styled frame with the one that left before it.

Everything is judged relative to the input (docs/temporal.md), on analysis pictures of about 160x90, without
lookahead. The steps have their own files: `motion`, `residual`, `step_test`, `threshold`, `cuts`, `drift`.
This file keeps the state and combines the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.content import ContentConfig, ContentTest
from streamstyle.temporal.correction_plan import CorrectionPlanConfig, CorrectionPlanner
from streamstyle.temporal.cuts import CutConfig, is_cut, is_return, small_luma
from streamstyle.temporal.detected_frame import DetectedFrame, FrameComparison, History
from streamstyle.temporal.drift import NO_DRIFT, DriftConfig, DriftTest, LabPair
from streamstyle.temporal.lab import chroma_of_shift, mean_rgb, shift_of_chroma, small_lab
from streamstyle.temporal.motion import (
    Analysis,
    BackwardFlow,
    analysis_picture,
    analysis_size,
    fine_luma,
    halved,
    photometric_mask,
    warp,
)
from streamstyle.temporal.residual import MEDIUM, Correspondence, StepTestConfig
from streamstyle.temporal.step_classifier import StepClassifier
from streamstyle.temporal.step_test import StepTest
from streamstyle.temporal.style import StyleConfig, StyleTest
from streamstyle.temporal.tiles import COLUMNS, ROWS, TileGrid
from streamstyle.types import AnalysisPair, AnomalyMap, Kind, Picture


@dataclass(frozen=True)
class DetectorConfig:
    """Settings of `ResidualDetector`."""

    tolerance: float = 20.0
    """Levels of 0..255 by which a pixel may differ from its warped past, after removal of local brightness,
    and still correspond."""
    fine_tolerance: float = 40.0
    """The same if every frame is smoothed."""
    flicker_frames: int = 15
    """A step within so many frames of another is flicker, else it is a pop."""
    cut: CutConfig = field(default_factory=CutConfig)
    step_test: StepTestConfig = field(default_factory=StepTestConfig)
    correction: CorrectionPlanConfig = field(default_factory=CorrectionPlanConfig)
    drift: DriftConfig = field(default_factory=DriftConfig)
    content: ContentConfig = field(default_factory=ContentConfig)
    style: StyleConfig = field(default_factory=StyleConfig)


@dataclass
class SizedState:
    """State of the detector that depends on the size of the analysis pictures."""

    size: tuple[int, int]
    """(h, w)."""
    grid: TileGrid
    flow: BackwardFlow
    content: ContentTest
    fine: BackwardFlow | None = None
    """Flow of `fine_luma` pictures; None until the first one is needed."""


class ResidualDetector:
    """Implements `Detector`: `detect` has no effect until `commit` takes the same frame in.

    Scores of flicker, pop and texture are ratios to the learnt normal level of style and scene, so their
    threshold is 1 (see `StepTest`); drift is in dE of (a, b). The first frame after a start, a cut or a
    `reset` is never flagged. A frame of another size resets the detector. Knowledge of the style survives
    cuts, but not `reset`.
    """

    def __init__(
        self,
        config: DetectorConfig = DetectorConfig(),
        flow: Callable[[tuple[int, int]], BackwardFlow] = BackwardFlow,
    ) -> None:
        """flow: estimates motion in analysis pictures of a size (h, w)."""
        self._config = config
        self._open_flow = flow
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._sized: SizedState | None = None
        self._history: History | None = None
        self._before_cut: History | None = None
        self._pending: DetectedFrame | None = None
        self._step_test = StepTest(self._config.step_test)
        self._planner = CorrectionPlanner(self._config.correction)
        self._drift = DriftTest(self._config.drift)
        self._style = StyleTest(self._config.style)
        self._step_classifier = StepClassifier()
        self._walked = np.zeros(2, np.float32)

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        """Examine the next frame. Both pictures (H, W, 3) RGB; neither is kept or changed."""
        size = analysis_size(*source.shape[:2])
        sized = self._sized
        if sized is None or size != sized.size:
            self.reset()
            content = ContentTest(size, self._config.content)
            sized = self._sized = SizedState(size, TileGrid(size), self._open_flow(size), content)
        shrunk = halved(source if analysis is None else analysis[0], size)
        now = Analysis(analysis_picture(shrunk, size))
        luma = small_luma(now.luma)
        fine = fine_luma(source) if self._config.correction.smoothing else None
        history, flash = self._history, False
        if history is not None and self._before_cut is not None:
            flash = is_return(luma, history.thumbnail, self._before_cut.thumbnail, self._config.cut)
            history = self._before_cut if flash else history
        if history is None:
            self._pending = DetectedFrame(now, luma, fine, None)
            return neutral()
        matched = Correspondence(sized.grid, sized.flow, now, history.source, self._config.tolerance)
        if is_cut(float(matched.trust.mean()), luma, small_luma(matched.warped.luma), self._config.cut):
            self._pending = DetectedFrame(now, luma, fine, history, cut=True, flash=flash)
            return neutral(cut=True)
        painted = halved(styled if analysis is None else analysis[1], size)
        raw = Analysis(analysis_picture(painted, size))
        compared = self._compare(now, history, matched, raw, new_shot=self._new_shot(flash=flash))
        self._pending = DetectedFrame(now, luma, fine, history, compared, flash=flash)
        found = replace(self._map(compared), source=source, analysis=(shrunk, painted))
        if fine is None or history.fine is None:
            return found
        flow, trust = self._fine_motion(sized, fine, history.fine)
        return replace(found, flow=flow, trust=trust)

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """Take the frame as it leaves as the new history; returns its scores, measured as `detect` does.

        Raises RuntimeError without a `detect` before it.
        """
        pending = self._pending
        if pending is None or self._sized is None:
            raise RuntimeError("commit needs the detect of the same frame before it")
        self._pending = None
        found = pending.compared
        painted = None if found is None else found.styled
        left = painted
        if touched or left is None:
            left = Analysis(analysis_picture(styled, self._sized.size))
        scores, means = dict[Kind, float].fromkeys(Kind, 0.0), left.mean
        if self._new_shot(flash=pending.flash):
            self._drift.restart()
            self._content.restart()
            self._style.restart()
        if found is not None:
            scores |= self._scores_left(pending.source, found, left)
            means = self._step_test.settle(found.change, found.result, found.stepped)
            self._learn(found)
        self._before_cut = pending.history if pending.cut else None
        self._history = History(pending.source, left, means, pending.thumbnail, painted, pending.fine)
        return scores

    @property
    def _content(self) -> ContentTest:
        assert self._sized is not None, "there was a frame"
        return self._sized.content

    def _new_shot(self, *, flash: bool) -> bool:
        """True for the first frame that confirms that the previous one was a cut."""
        return self._before_cut is not None and not flash

    def _compare(
        self, now: Analysis, history: History, matched: Correspondence, raw: Analysis, *, new_shot: bool
    ) -> FrameComparison:
        labs = _labs(now, raw) if new_shot or self._drift.due else None
        drift = NO_DRIFT if new_shot else self._drift.evaluate(labs)
        painted = matched.styled(raw, history.styled)
        if drift.share > 0:
            # The re-match removes the drift from this frame as from the last one, so it adds no step.
            painted = painted.offset(chroma_of_shift(mean_rgb(raw.pixels), -drift.shift) / np.float32(255))
        change = painted.since(history.means)
        result = stepped = self._step_test.evaluate(matched, change)
        if history.painted is not None and (history.painted is not history.styled or self._step_test.holds):
            painted = matched.styled(raw, history.painted)
            stepped = self._step_test.evaluate(matched, painted)
            # Texture that was mixed is a past that no frame matches: only what also was painted anew is.
            result = replace(result, texture=min(result.texture, stepped.texture))
        luma_step = matched.source.relative_step
        content = self._content.evaluate(
            now, raw, history.source, history.painted, luma_step=luma_step, new_shot=new_shot
        )
        plan = self._planner.plan(change, result, stepped.tiles)
        kind = None
        if result.sign:
            kind = self._step_classifier.classify(result.sign, self._config.flicker_frames)
        elif not self._config.correction.smoothing and plan.touched.any():
            kind = self._step_classifier.kind
        examined = labs
        if labs is None and (kind or content.loss > 1 or self._style.active):
            examined = _labs(now, raw)
        style = self._style.evaluate(examined, new_shot=new_shot)
        return FrameComparison(
            *(history, raw, matched, change, result, painted, stepped),
            *(drift, content, style, labs, kind, plan),
        )

    def _fine_motion(
        self, sized: SizedState, now: NDArray[np.uint8], before: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Flow and trust as `AnomalyMap` has them, of `fine_luma` pictures."""
        if sized.fine is None:
            sized.fine = self._open_flow((now.shape[0], now.shape[1]))
        flow = sized.fine.estimate(now, before)
        positions = sized.fine.positions(flow)
        return flow, photometric_mask(now, warp(before, positions), positions, self._config.fine_tolerance)

    def _scores_left(self, source: Analysis, found: FrameComparison, left: Analysis) -> dict[Kind, float]:
        after, content, style = found.result, found.content, found.style
        if left is not found.styled:
            change = found.matched.styled(left, found.history.styled).since(found.history.means)
            after = self._step_test.evaluate(found.matched, change)
            luma_step = found.matched.source.relative_step
            content = self._content.evaluate(
                source, left, found.history.source, found.history.painted, luma_step=luma_step
            )
            if style.ratio > 1:
                style = self._style.evaluate(_labs(source, left))
        return {
            found.kind or Kind.POP: after.step,
            Kind.TEXTURE: after.texture,
            Kind.DRIFT: found.drift.level * (1 - found.drift.share),
            Kind.DISTORTION: content.loss,
            Kind.STYLE: style.ratio,
            Kind.DUPLICATE: 2.0 * content.repeated,
        }

    def _learn(self, found: FrameComparison) -> None:
        self._content.learn(found.content)
        self._style.learn(found.style)
        self._drift.learn(found.labs, found.drift, self._colour_step(found))
        self._step_test.learn(found.matched, found.painted, found.stepped, found.result.tiles)
        self._planner.learn(found.result, found.stepped.tiles, found.plan)
        self._step_classifier.learn(found.result.sign, found.kind)

    def _colour_step(self, found: FrameComparison) -> NDArray[np.float32]:
        """(a, b) by which the painted colours moved since drift was last examined, without frames that
        flickered; 0 until drift is due again."""
        if not found.stepped.sign:
            self._walked = self._walked + np.float32(255 * MEDIUM) * found.stepped.window_steps.whole[1:]
        if found.labs is None:
            return np.zeros(2, np.float32)
        walked, self._walked = self._walked, np.zeros(2, np.float32)
        return shift_of_chroma(mean_rgb(found.styled.pixels), walked)

    def _map(self, found: FrameComparison) -> AnomalyMap:
        result, drift, content = found.result, found.drift, found.content
        step_kind = found.kind or Kind.POP
        scores = {**dict.fromkeys(Kind, 0.0), step_kind: result.step, Kind.TEXTURE: result.texture}
        scores[Kind.DRIFT] = drift.level
        scores[Kind.DISTORTION], scores[Kind.DUPLICATE] = content.loss, 2.0 * content.repeated
        scores[Kind.STYLE] = found.style.ratio
        thresholds = {**dict.fromkeys(Kind, 1.0), Kind.DRIFT: self._config.drift.flag}
        worst = sorted(found.flagged, key=lambda kind: -scores[kind] / thresholds[kind])
        tiles = result.tiles if self._config.correction.smoothing else result.tiles | found.plan.touched
        unrecoverable = np.zeros_like(tiles)
        for where, kind in ((content.tiles, Kind.DISTORTION), (found.style.tiles, Kind.STYLE)):
            unrecoverable = unrecoverable | where if kind in worst else unrecoverable
        return AnomalyMap(
            scores=scores,
            thresholds=thresholds,
            kinds=tuple(worst),
            tiles=tiles | unrecoverable,
            unrecoverable=unrecoverable,
            tile_score=np.ascontiguousarray(result.residual.signed[..., 0]),
            luma_gain=found.plan.gain,
            chroma_offset=found.plan.offset,
            drift=drift.shift,
            event=result.residual.event,
            flow=found.matched.flow,
            trust=found.matched.mask,
            frame_step=result.frame,
            smoothing=self._config.correction.smoothing,
        )


def _labs(source: Analysis, styled: Analysis) -> LabPair:
    return LabPair(small_lab(source.pixels), small_lab(styled.pixels))


class NullDetector:
    """Implements `Detector`: finds nothing, for runs that limit flashes and repair nothing."""

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:  # noqa: ARG002
        """Return an empty map."""
        return neutral()

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:  # noqa: ARG002
        """All scores 0."""
        return dict.fromkeys(Kind, 0.0)

    def reset(self) -> None:
        """Do nothing: there is no past to forget."""


def neutral(*, cut: bool = False) -> AnomalyMap:
    """The map of a frame without findings."""
    return AnomalyMap(
        scores=dict.fromkeys(Kind, 0.0),
        thresholds={**dict.fromkeys(Kind, 1.0), Kind.DRIFT: DriftConfig().flag},
        kinds=(),
        tiles=np.zeros((ROWS, COLUMNS), np.bool_),
        unrecoverable=np.zeros((ROWS, COLUMNS), np.bool_),
        tile_score=np.zeros((ROWS, COLUMNS), np.float32),
        luma_gain=np.ones((ROWS, COLUMNS), np.float32),
        chroma_offset=np.zeros((ROWS, COLUMNS, 2), np.float32),
        drift=np.zeros(2, np.float32),
        cut=cut,
    )
