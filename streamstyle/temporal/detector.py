"""The signed-excess detector: compares each styled frame with the one that left before it.

Everything is judged against the input (docs/temporal.md), on analysis pictures of about 320x180, without
looking ahead. The steps live in their own files: `motion`, `excess`, `judgement`, `threshold`, `cuts`,
`drift`; this one keeps the state and puts the verdict together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.colour import chroma_of_shift, mean_rgb, small_lab
from streamstyle.temporal.content import Content, ContentConfig, ContentWatch
from streamstyle.temporal.cuts import is_cut, is_return, small_luma
from streamstyle.temporal.drift import Drift, DriftConfig, DriftWatch
from streamstyle.temporal.excess import Change, Correspondence
from streamstyle.temporal.judgement import ExcessConfig, Judge, Verdict
from streamstyle.temporal.motion import BackwardFlow, analysis_picture, analysis_size
from streamstyle.temporal.remedy import Remedy, RemedyConfig
from streamstyle.temporal.tiles import COLUMNS, ROWS, TileGrid
from streamstyle.types import AnomalyMap, Kind, Picture


@dataclass(frozen=True)
class DetectorConfig:
    """tolerance: levels of 0..255 that a pixel may differ from its warped past, local brightness taken
    off, and still correspond. flicker_frames: a step that follows another within so many frames is
    flicker, else it is a pop.
    """

    tolerance: float = 20.0
    flicker_frames: int = 15
    excess: ExcessConfig = field(default_factory=ExcessConfig)
    remedy: RemedyConfig = field(default_factory=RemedyConfig)
    drift: DriftConfig = field(default_factory=DriftConfig)
    content: ContentConfig = field(default_factory=ContentConfig)


@dataclass(frozen=True)
class Past:
    """What the next frame is compared with: analysis pictures of the input, of the frame that left, and of it
    as it was painted."""

    source: Picture
    styled: Picture
    small: NDArray[np.float32]
    painted: Picture | None


@dataclass(frozen=True)
class Pending:
    """A frame between `detect` and `commit`. styled: its uncorrected analysis picture, once compared."""

    source: Picture
    small: NDArray[np.float32]
    styled: Picture | None
    past: Past | None
    matched: Correspondence | None
    change: Change | None
    verdict: Verdict | None
    drift: Drift | None
    content: Content | None
    labs: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    chroma: NDArray[np.float32]
    kind: Kind | None
    cut: bool
    flash: bool

    @property
    def flagged(self) -> set[Kind]:
        """The kinds that were found, which the corrector may have changed the frame for."""
        found = {self.kind} if self.kind else set()
        if self.drift is not None and self.drift.share > 0:
            found.add(Kind.DRIFT)
        if self.verdict is not None and self.verdict.texture > 1:
            found.add(Kind.TEXTURE)
        if self.content is not None and self.content.repeated:
            found.add(Kind.DUPLICATE)
        elif self.content is not None and self.content.loss > 1:
            found.add(Kind.DISTORTION)
        return found


@dataclass
class Steps:
    """Tells flicker from pops. age: frames since the last onset of a step; sign: of the step being
    followed, 0 when the last frame had none."""

    age: int = 1 << 30
    sign: int = 0
    kind: Kind = Kind.POP

    def judge(self, sign: int, window: int) -> Kind:
        """Kind of a step of this sign in the next frame."""
        if sign == self.sign:
            return self.kind
        return Kind.FLICKER if self.age <= window else Kind.POP

    def learn(self, sign: int, kind: Kind | None) -> None:
        """Take the frame in; sign 0 and kind None where nothing was flagged."""
        onset = sign not in (0, self.sign)
        self.age = 1 if onset else self.age + 1
        self.sign = sign
        self.kind = kind or self.kind


class SignedExcessDetector:
    """Implements `Detector`: `detect` has no effect until `commit` takes the same frame in.

    Scores and thresholds of flicker, pop and texture are ratios to the learned normal level of the style and
    scene, so their threshold is 1 (see `Judge`); drift is in dE of (a, b). The first frame after a start,
    a cut or a `reset` is never flagged. A frame of another size resets by itself. What was learned about
    the style survives cuts and is forgotten by `reset`.
    """

    def __init__(self, config: DetectorConfig = DetectorConfig()) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._size = (0, 0)
        self._past: Past | None = None
        self._before_cut: Past | None = None
        self._pending: Pending | None = None
        self._judge = Judge(self._config.excess)
        self._remedy = Remedy(self._config.remedy)
        self._drift = DriftWatch(self._config.drift)
        self._steps = Steps()

    def detect(self, source: Picture, styled: Picture) -> AnomalyMap:
        """Judge the next frame. Both pictures (H, W, 3) RGB; neither is kept or changed."""
        size = analysis_size(*source.shape[:2])
        if size != self._size:
            self.reset()
            self._size, self._grid, self._flow = size, TileGrid(size), BackwardFlow(size)
            self._content = ContentWatch(size, self._config.content)
        now = analysis_picture(source, size)
        small = small_luma(now)
        past, flash = self._past, False
        if past is not None and self._before_cut is not None:
            flash = is_return(small, past.small, self._before_cut.small)
            past = self._before_cut if flash else past
        if past is None:
            self._pending = self._blank(now, small, None, cut=False, flash=False)
            return neutral()
        matched = Correspondence(self._grid, self._flow, now, past.source, self._config.tolerance)
        if is_cut(float(matched.trust.mean()), small, small_luma(matched.warped)):
            self._pending = self._blank(now, small, past, cut=True, flash=flash)
            return neutral(cut=True)
        self._pending = pending = self._compare(now, small, past, matched, styled, flash)
        return self._map(pending)

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """Take the frame as it leaves as the new past; returns its scores, measured as `detect` did.

        Raises RuntimeError without a `detect` before it.
        """
        pending = self._pending
        if pending is None:
            raise RuntimeError("commit needs the detect of the same frame before it")
        self._pending = None
        judged = None if touched else pending.styled
        left = analysis_picture(styled, self._size) if judged is None else judged
        scores: dict[Kind, float] = dict.fromkeys(Kind, 0.0)
        if pending.matched and pending.change and pending.verdict and pending.past and pending.drift:
            after, content = pending.verdict, pending.content
            if left is not pending.styled:
                change = pending.matched.styled(left, pending.past.styled)
                after = self._judge.verdict(pending.matched, change)
                content = self._content.judge(pending.source, left, pending.past.source, pending.past.painted)
            if content is not None and pending.content is not None:
                scores[Kind.DISTORTION], scores[Kind.DUPLICATE] = content.loss, 2.0 * content.repeated
                self._content.learn(pending.content)
            scores[pending.kind or Kind.POP] = after.step
            scores[Kind.TEXTURE] = after.texture
            scores[Kind.DRIFT] = pending.drift.level * (1 - pending.drift.share)
            self._learn(pending, pending.matched, pending.change, pending.verdict)
        if self._before_cut is not None and not pending.flash:
            self._drift.restart()
            self._content.restart()
        if pending.labs and pending.drift:
            self._drift.learn(*pending.labs, pending.drift)
        self._before_cut = pending.past if pending.cut else None
        self._past = Past(pending.source, left, pending.small, pending.styled)
        return scores

    def _blank(
        self, now: Picture, small: NDArray[np.float32], past: Past | None, *, cut: bool, flash: bool
    ) -> Pending:
        none = np.zeros(2, np.float32)
        return Pending(now, small, None, past, None, None, None, None, None, None, none, None, cut, flash)

    def _compare(
        self,
        now: Picture,
        small: NDArray[np.float32],
        past: Past,
        matched: Correspondence,
        styled: Picture,
        flash: bool,
    ) -> Pending:
        raw = analysis_picture(styled, self._size)
        labs = (small_lab(now), small_lab(raw))
        drift = self._drift.judge(*labs)
        chroma = np.zeros(2, np.float32)
        if drift.share > 0:
            chroma = chroma_of_shift(mean_rgb(raw), -drift.shift)
        # The re-match will take the drift off this frame as it was taken off the last: no step of its own.
        change = matched.styled(raw, past.styled).offset(chroma / np.float32(255))
        verdict = self._judge.verdict(matched, change)
        content = self._content.judge(now, raw, past.source, past.painted)
        kind = self._steps.judge(verdict.sign, self._config.flicker_frames) if verdict.sign else None
        return Pending(
            now, small, raw, past, matched, change, verdict, drift, content, labs, chroma, kind, False, flash
        )

    def _learn(self, pending: Pending, matched: Correspondence, change: Change, verdict: Verdict) -> None:
        self._remedy.learn(verdict)
        self._steps.learn(verdict.sign, pending.kind)
        self._judge.learn(matched, change, verdict)

    def _map(self, pending: Pending) -> AnomalyMap:
        matched, change, verdict, drift = pending.matched, pending.change, pending.verdict, pending.drift
        assert matched is not None
        assert change is not None
        assert verdict is not None
        assert drift is not None
        content = pending.content
        assert content is not None
        step_kind = pending.kind or Kind.POP
        flag = self._config.drift.flag
        scores = {**dict.fromkeys(Kind, 0.0), step_kind: verdict.step, Kind.TEXTURE: verdict.texture}
        scores[Kind.DRIFT] = drift.level
        scores[Kind.DISTORTION], scores[Kind.DUPLICATE] = content.loss, 2.0 * content.repeated
        thresholds = {**dict.fromkeys(Kind, 1.0), Kind.DRIFT: flag}
        gain, offset = self._remedy.tiles(matched, change, verdict, self._judge.gain)
        worst = sorted(pending.flagged, key=lambda kind: -scores[kind] / thresholds[kind])
        return AnomalyMap(
            scores=scores,
            thresholds=thresholds,
            kinds=tuple(worst),
            tiles=verdict.tiles | content.tiles if Kind.DISTORTION in worst else verdict.tiles,
            tile_score=np.ascontiguousarray(verdict.excess.signed[..., 0]),
            luma_gain=gain,
            chroma_offset=offset,
            drift=drift.shift,
            event=verdict.excess.event,
            flow=matched.flow,
            trust=matched.mask,
        )


class SilentDetector:
    """Implements `Detector`: finds nothing, for runs that are guarded and not repaired."""

    def detect(self, source: Picture, styled: Picture) -> AnomalyMap:  # noqa: ARG002
        """Nothing."""
        return neutral()

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:  # noqa: ARG002
        """Nothing."""
        return dict.fromkeys(Kind, 0.0)

    def reset(self) -> None:
        """Nothing to forget."""


def neutral(*, cut: bool = False) -> AnomalyMap:
    """The map of a frame with nothing to say."""
    return AnomalyMap(
        scores=dict.fromkeys(Kind, 0.0),
        thresholds={**dict.fromkeys(Kind, 1.0), Kind.DRIFT: DriftConfig().flag},
        kinds=(),
        tiles=np.zeros((ROWS, COLUMNS), np.bool_),
        tile_score=np.zeros((ROWS, COLUMNS), np.float32),
        luma_gain=np.ones((ROWS, COLUMNS), np.float32),
        chroma_offset=np.zeros((ROWS, COLUMNS, 2), np.float32),
        drift=np.zeros(2, np.float32),
        cut=cut,
    )
