"""The signed-excess detector: compares each styled frame with the one that left before it.

Everything is judged against the input (docs/temporal.md), on analysis pictures of about 320x180, without
looking ahead. The steps live in their own files: `motion`, `excess`, `judgement`, `threshold`, `cuts`,
`drift`; this one keeps the state and puts the verdict together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.colour import chroma_of_shift, mean_rgb, shift_of_chroma, small_lab
from streamstyle.temporal.content import Content, ContentConfig, ContentWatch
from streamstyle.temporal.cuts import CutConfig, is_cut, is_return, small_luma
from streamstyle.temporal.drift import STEADY, Drift, DriftConfig, DriftWatch
from streamstyle.temporal.excess import Change, Correspondence
from streamstyle.temporal.judgement import MEDIUM, ExcessConfig, Judge, Verdict
from streamstyle.temporal.motion import BackwardFlow, analysis_picture, analysis_size
from streamstyle.temporal.remedy import Remedy, RemedyConfig
from streamstyle.temporal.tiles import COLUMNS, ROWS, TileGrid, Tiles
from streamstyle.types import AnomalyMap, Kind, Picture


@dataclass(frozen=True)
class DetectorConfig:
    """tolerance: levels of 0..255 that a pixel may differ from its warped past, local brightness taken
    off, and still correspond. flicker_frames: a step that follows another within so many frames is
    flicker, else it is a pop.
    """

    tolerance: float = 20.0
    flicker_frames: int = 15
    cut: CutConfig = field(default_factory=CutConfig)
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
class Compared:
    """What was found of a frame that has a past. styled: its analysis picture as painted. chroma: (Cr, Cb)
    levels that the colour re-match adds. kind: of the step that is flagged or being let go. gain, offset: see
    `Remedy.tiles`. touched: bool (9, 12), tiles where they change something."""

    past: Past
    styled: Picture
    matched: Correspondence
    change: Change
    verdict: Verdict
    drift: Drift
    content: Content
    labs: tuple[NDArray[np.float32], NDArray[np.float32]]
    chroma: NDArray[np.float32]
    kind: Kind | None
    gain: Tiles
    offset: Tiles

    @property
    def touched(self) -> NDArray[np.bool_]:
        """See the class."""
        return np.asarray((self.gain != 1) | (self.offset != 0).any(axis=-1), np.bool_)

    @property
    def flagged(self) -> set[Kind]:
        """The kinds that were found, which the corrector may have changed the frame for."""
        found = {self.kind} if self.kind else set()
        if self.drift.share > 0:
            found.add(Kind.DRIFT)
        if self.verdict.texture > 1:
            found.add(Kind.TEXTURE)
        if self.content.repeated:
            found.add(Kind.DUPLICATE)
        elif self.content.loss > 1:
            found.add(Kind.DISTORTION)
        return found


@dataclass(frozen=True)
class Pending:
    """A frame between `detect` and `commit`. past: what came before, compared with or not."""

    source: Picture
    small: NDArray[np.float32]
    past: Past | None
    compared: Compared | None = None
    cut: bool = False
    flash: bool = False


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

    def __init__(
        self,
        config: DetectorConfig = DetectorConfig(),
        flow: Callable[[tuple[int, int]], BackwardFlow] = BackwardFlow,
    ) -> None:
        """flow: what follows the motion in analysis pictures of a size (h, w)."""
        self._config = config
        self._open_flow = flow
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
        self._chroma = np.zeros(2, np.float32)
        self._applied = np.ones((ROWS, COLUMNS), np.float32)

    def detect(self, source: Picture, styled: Picture) -> AnomalyMap:
        """Judge the next frame. Both pictures (H, W, 3) RGB; neither is kept or changed."""
        size = analysis_size(*source.shape[:2])
        if size != self._size:
            self.reset()
            self._size, self._grid, self._flow = size, TileGrid(size), self._open_flow(size)
            self._content = ContentWatch(size, self._config.content)
        now = analysis_picture(source, size)
        small = small_luma(now)
        past, flash = self._past, False
        if past is not None and self._before_cut is not None:
            flash = is_return(small, past.small, self._before_cut.small, self._config.cut)
            past = self._before_cut if flash else past
        if past is None:
            self._pending = Pending(now, small, None)
            return neutral()
        matched = Correspondence(self._grid, self._flow, now, past.source, self._config.tolerance)
        if is_cut(float(matched.trust.mean()), small, small_luma(matched.warped), self._config.cut):
            self._pending = Pending(now, small, past, cut=True, flash=flash)
            return neutral(cut=True)
        compared = self._compare(now, past, matched, styled, new_shot=self._new_shot(flash=flash))
        self._pending = Pending(now, small, past, compared, flash=flash)
        return self._map(compared)

    def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
        """Take the frame as it leaves as the new past; returns its scores, measured as `detect` did.

        Raises RuntimeError without a `detect` before it.
        """
        pending = self._pending
        if pending is None:
            raise RuntimeError("commit needs the detect of the same frame before it")
        self._pending = None
        found = pending.compared
        painted = None if found is None else found.styled
        left = painted
        if touched or left is None:
            left = analysis_picture(styled, self._size)
        scores: dict[Kind, float] = dict.fromkeys(Kind, 0.0)
        if self._new_shot(flash=pending.flash):
            self._drift.restart()
            self._content.restart()
        if found is not None:
            scores |= self._scores_left(pending.source, found, left)
            self._learn(found, touched=touched)
        self._before_cut = pending.past if pending.cut else None
        self._past = Past(pending.source, left, pending.small, painted)
        return scores

    def _new_shot(self, *, flash: bool) -> bool:
        """Is this the first frame that shows that the last one was a cut?"""
        return self._before_cut is not None and not flash

    def _compare(
        self, now: Picture, past: Past, matched: Correspondence, styled: Picture, *, new_shot: bool
    ) -> Compared:
        raw = analysis_picture(styled, self._size)
        labs = (small_lab(now), small_lab(raw))
        drift = STEADY if new_shot else self._drift.judge(*labs)
        chroma = np.zeros(2, np.float32)
        if drift.share > 0:
            chroma = chroma_of_shift(mean_rgb(raw), -drift.shift)
        # The re-match will take the drift off this frame as it was taken off the last: no step of its own.
        change = matched.styled(raw, past.styled).offset(chroma / np.float32(255))
        verdict = self._judge.verdict(matched, change)
        content = self._content.judge(now, raw, past.source, past.painted, new_shot=new_shot)
        gain, offset = self._remedy.tiles(matched, change, verdict, self._judge.gain)
        kind = None
        if verdict.sign:
            kind = self._steps.judge(verdict.sign, self._config.flicker_frames)
        elif (gain != 1).any() or offset.any():
            kind = self._steps.kind
        return Compared(past, raw, matched, change, verdict, drift, content, labs, chroma, kind, gain, offset)

    def _scores_left(self, source: Picture, found: Compared, left: Picture) -> dict[Kind, float]:
        after, content = found.verdict, found.content
        if left is not found.styled:
            change = found.matched.styled(left, found.past.styled)
            after = self._judge.verdict(found.matched, change)
            content = self._content.judge(source, left, found.past.source, found.past.painted)
        return {
            found.kind or Kind.POP: after.step,
            Kind.TEXTURE: after.texture,
            Kind.DRIFT: found.drift.level * (1 - found.drift.share),
            Kind.DISTORTION: content.loss,
            Kind.DUPLICATE: 2.0 * content.repeated,
        }

    def _learn(self, found: Compared, *, touched: bool) -> None:
        self._content.learn(found.content)
        self._drift.learn(*found.labs, found.drift, self._colour_step(found))
        self._chroma = found.chroma
        self._judge.learn(found.matched, found.change, found.verdict, self._applied)
        self._remedy.learn(found.verdict, found.touched)
        self._steps.learn(found.verdict.sign, found.kind)
        self._applied = found.gain if touched else np.ones_like(found.gain)

    def _colour_step(self, found: Compared) -> NDArray[np.float32]:
        """(a, b) by which the colours of the frame moved as it was painted; 0 where it flickered."""
        if found.touched.any():
            return np.zeros(2, np.float32)
        moved = np.float32(255 * MEDIUM) * found.verdict.steps.common[1:]
        return shift_of_chroma(mean_rgb(found.styled), moved - found.chroma + self._chroma)

    def _map(self, found: Compared) -> AnomalyMap:
        verdict, drift, content = found.verdict, found.drift, found.content
        step_kind = found.kind or Kind.POP
        scores = {**dict.fromkeys(Kind, 0.0), step_kind: verdict.step, Kind.TEXTURE: verdict.texture}
        scores[Kind.DRIFT] = drift.level
        scores[Kind.DISTORTION], scores[Kind.DUPLICATE] = content.loss, 2.0 * content.repeated
        thresholds = {**dict.fromkeys(Kind, 1.0), Kind.DRIFT: self._config.drift.flag}
        worst = sorted(found.flagged, key=lambda kind: -scores[kind] / thresholds[kind])
        tiles = verdict.tiles | found.touched
        return AnomalyMap(
            scores=scores,
            thresholds=thresholds,
            kinds=tuple(worst),
            tiles=tiles | content.tiles if Kind.DISTORTION in worst else tiles,
            tile_score=np.ascontiguousarray(verdict.excess.signed[..., 0]),
            luma_gain=found.gain,
            chroma_offset=found.offset,
            drift=drift.shift,
            event=verdict.excess.event,
            flow=found.matched.flow,
            trust=found.matched.mask,
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
