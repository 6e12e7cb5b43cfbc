"""Change of each tile of a styled frame, and the part of it that the input does not explain.

Formulas: the signed residual of docs/temporal.md. All levels are 0..1 (one level of 255 is 1/255).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import Analysis, BackwardFlow, photometric_mask
from streamstyle.temporal.tiles import TileGrid, Tiles

DARK = 0.02
"""Luma 0..1 below which a relative step means nothing."""

MEDIUM = 0.4
"""Luma 0..1 against which steps of chroma are counted."""

MIN_TRUST = 0.25
"""Share of its area in correspondence below which a tile is not judged."""


@dataclass(frozen=True)
class Change:
    """Change of one video between two frames, over the trusted pixels of each tile."""

    now: Tiles
    """Mean YCrCb, (9, 12, 3), 0..1."""
    before: Tiles
    """Mean YCrCb of the previous frame, warped onto the present, (9, 12, 3), 0..1."""
    variation: Tiles
    """(9, 12): standard deviation inside the tile of the luma difference."""
    slope: Tiles
    """(9, 12): root mean square of the `Analysis.gradient` of the previous frame."""
    frame: NDArray[np.float32]
    """(2, 3): mean YCrCb of the whole pictures before and now, trusted or not, not warped."""

    @cached_property
    def step(self) -> Tiles:
        """Signed change of the means, (9, 12, 3)."""
        return self.now - self.before

    @cached_property
    def own_step(self) -> Tiles:
        """The step of each tile without its share in the relative step of the frame's mean luma, float32 (9,
        12, 3)."""
        before, now = self.frame[:, 0]
        own = self.step.copy()
        own[..., 0] -= (now - before) / max(before, np.float32(DARK)) * self.before[..., 0]
        return own

    @cached_property
    def relative_step(self) -> Tiles:
        """|step| of luma as a share of the brightness before, float32 (9, 12)."""
        before = np.maximum(self.before[..., 0], np.float32(DARK))
        return np.asarray(np.abs(self.step[..., 0]) / before, np.float32)

    def offset(self, chroma: NDArray[np.float32]) -> Change:
        """The same change with (Cr, Cb) (2,), 0..1, added to the present frame."""
        more = np.array([0, *chroma], np.float32)
        return replace(self, now=self.now + more, frame=self.frame + np.stack([0 * more, more]))

    def since(self, means: NDArray[np.float32]) -> Change:
        """The same change with `means` (3,) as the means of the whole picture before."""
        return replace(self, frame=np.array((means, self.frame[1])))


@dataclass(frozen=True)
class _WarpedPast:
    """A previous analysis picture warped onto the present, with figures that do not depend on the present."""

    picture: Analysis
    """The previous picture itself."""
    warped: Analysis
    means: Tiles
    """Mean colours of the pixels that the mask leaves, float32 (9, 12, 3), 0..1."""
    slope: Tiles
    """See `Change`."""


class Correspondence:
    """The pixels of a frame that are found again in the frame before, and tile statistics over them.

    Made of two analysis pictures of the *input*, luma included, both uint8 YCrCb (h, w, 3).
    flow: float32 (h, w, 2), backward. mask: uint8 (h, w), 255 where pixels correspond.
    trust: float32 (9, 12), share of each tile's pixels that correspond.
    moved: 0..1, mean of min(|flow|, 1): the share of a pixel by which the picture moved. speed: mean of
    min(|flow|, 4), in pixels.
    source: how the input changed. warped: the input's past on the present.
    """

    def __init__(
        self, grid: TileGrid, flow: BackwardFlow, now: Analysis, before: Analysis, tolerance: float
    ) -> None:
        self._grid = grid
        self.flow = flow.estimate(now.luma, before.luma)
        self._positions = flow.positions(self.flow)
        speed = cv2.magnitude(self.flow[..., 0], self.flow[..., 1])
        self.moved, self.speed = (
            cv2.mean(cv2.threshold(speed, limit, 0, cv2.THRESH_TRUNC)[1])[0] for limit in (1, 4)
        )
        self.warped = before.warped(self._positions)
        self.mask = photometric_mask(now.luma, self.warped.luma, self._positions, tolerance)
        self.trust = grid.mean(self.mask) / np.float32(255)
        self._share = np.maximum(self.trust, np.float32(1e-3)) * np.float32(255)
        self._trusted = max(float(self.trust.sum()), 1.0)
        self._styled_past: _WarpedPast | None = None
        self.source = self._change(now, self._past(before, self.warped))

    def styled(self, now: Analysis, before: Analysis) -> Change:
        """Change of the styled video between the same two frames."""
        past = self._styled_past
        if past is None or before is not past.picture:
            past = self._styled_past = self._past(before, before.warped(self._positions))
        return self._change(now, past)

    def mean(self, values: Tiles) -> float:
        """Mean of values (9, 12), weighted by trust."""
        return float(np.vdot(self.trust, values)) / self._trusted

    def _past(self, before: Analysis, warped: Analysis) -> _WarpedPast:
        return _WarpedPast(before, warped, self._means(warped), np.sqrt(before.edges(self._grid)))

    def _change(self, now: Analysis, past: _WarpedPast) -> Change:
        means = self._means(now)
        # The square does not mind the sign that a difference of uint8 loses.
        distance = self._masked(cv2.absdiff(now.luma, past.warped.luma))
        square = self._grid.mean_square(distance) / (self._share * np.float32(255))
        step = means[..., 0] - past.means[..., 0]
        variation = np.sqrt(np.maximum(square - step * step, 0))
        return Change(means, past.means, variation, past.slope, np.array((past.picture.mean, now.mean)))

    def _means(self, picture: Analysis) -> Tiles:
        """Mean of the trusted pixels of each tile, float32 (9, 12, 3), 0..1."""
        return np.asarray(self._grid.mean(self._masked(picture.pixels)) / self._share[..., None], np.float32)

    def _masked(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values (h, w) or (h, w, 3) with 0 outside the mask."""
        return np.asarray(cv2.copyTo(values, self.mask), np.uint8)


@dataclass(frozen=True)
class StepTestConfig:
    """Settings of the residual and of the step test. Luma and steps are in 0..1."""

    event: float = 0.04
    """|step| of the input's luma from which a tile saw a real event and is not judged."""
    relative_event: float = 0.25
    """Step of the input's mean luma, relative to the mean before, from which the frame is not judged."""
    whole: float = 0.25
    """Share of tiles with an event from which the frame is not judged."""
    gain_limits: tuple[float, float] = (0.2, 3.0)
    """Limits of the style gain of luma."""
    memory: float = 0.4
    """Input energy, in tile steps squared, that the style gain remembers."""
    gain_error: float = 1.0
    """Share of the input's mean relative step that an error of the style gain may explain in all tiles."""
    level: float = 0.004
    """Part of a tile's uncertainty that is always there."""
    variation_share: float = 0.3
    """Part of a tile's uncertainty: this share of the spread of the luma difference inside the tile."""
    step_share: float = 0.5
    """Part of a tile's uncertainty: this share of the input's own step."""
    frame_prior: float = 0.0
    """Gain of the whole frame's mean before any evidence. The default, with `frame_limits`, pins it to 0, as
    it is for a network that normalises over the frame; see `UNKNOWN`."""
    frame_limits: tuple[float, float] = (0.0, 0.0)
    """`gain_limits` of the frame's mean."""
    frame_memory: float = 0.01
    """`memory` of the frame's mean."""
    frame_error: float = 0.03
    """`gain_error` of the frame's mean."""
    still: float = 0.5
    """Share of its threshold that applies while a step of the frame lasts."""
    least: float = 0.005
    """Relative step below which nothing is judged."""
    texture_rate: float = 0.05
    """Weight of the newest frame in the gain from the input's variation to the style's."""
    texture_masked: float = 0.2
    """Part of a frame's texture that does not count, per pixel of speed beyond the first."""
    edge: float = 0.4
    """Share of the threshold from which a tile belongs to a step beside it."""
    alike: tuple[float, float] = (0.25, 2.0)
    """Least and largest relative step of such a tile, in shares of that of the strongest window."""
    levels: tuple[tuple[str, float, float, int], ...] = (
        ("common", 3.0, 6.0, 8),
        ("local", 7.0, 4.0, 8),
        ("texture", 0.0145, 3.4, 1),
    )
    """Name, floor, multiple and reluctance of the `RunningThreshold` of each score."""


UNKNOWN = StepTestConfig(frame_prior=1.0, frame_limits=(-0.5, 3.0), frame_error=0.3)
"""Tolerance for unknown stylizers, whose response to the mean of their input is learnt."""


def explained_step(
    source: Change, styled: Change, gain: NDArray[np.float32], frame_gain: NDArray[np.float32]
) -> Tiles:
    """The step (9, 12, 3) of the styled video that the input explains; see `residual`."""
    lit = source.frame[1, 0] - source.frame[0, 0]
    level = max(float(styled.frame[0, 0]), DARK)
    explained = gain * source.own_step
    explained[..., 0] += frame_gain[0] * lit * styled.before[..., 0] / level
    return np.asarray(explained, np.float32)


@dataclass(frozen=True)
class Residual:
    """The step of each tile and of the frame that the input does not explain, and its uncertainty."""

    explained: Tiles
    """The step of (Y, Cr, Cb) that the input explains, (9, 12, 3)."""
    signed: Tiles
    """e_k, the step minus `explained`, (9, 12, 3); 0 in tiles that are not judged."""
    expected: Tiles
    """Luma 0..1 that each tile should have, (9, 12)."""
    weight: Tiles
    """1 / variance of the residual, (9, 12); 0 in tiles that are not judged."""
    uncertainty: float
    """Relative step that an error of the style gain would explain everywhere at once."""
    means: NDArray[np.float32]
    """(Y, Cr, Cb) that the whole frame should have on average, (3,)."""
    common: NDArray[np.float32]
    """The frame's relative residual over `means`, (3,)."""
    common_z: float
    """Significance of `common`."""
    event: bool
    """True if the input itself changed abruptly in some tile."""
    whole: bool
    """True if it did in a large part of the frame, or is black: nothing is judged."""


def residual(
    matched: Correspondence,
    styled: Change,
    gain: NDArray[np.float32],
    frame_gain: NDArray[np.float32],
    held_uncertainty: Tiles,
    held_frame_uncertainty: float,
    config: StepTestConfig,
) -> Residual:
    """The signed residual of every tile and of the whole frame, and how sure it is.

    A network that normalises over the frame answers what one tile does differently from the others, and next
    to nothing of what all do. So luma is explained in two parts; c is the relative step of the frame's mean:
    `kappa (s_I - c Y_I) + kappa_f c Ybar_I Y_O / Ybar_O`.

    gain, frame_gain: float32 (3,), kappa of tiles and of frame means. held_uncertainty: float32 (9, 12),
    summed over the frames for which a correction has been held. held_frame_uncertainty: that of the mean.
    """
    source, trust = matched.source, matched.trust
    # A black input does not determine its painting.
    black = float(source.frame[:, 0].min()) < DARK
    trusted = (trust >= MIN_TRUST) & (not black)
    size = np.abs(source.step[..., 0])
    eventful = trusted & (size > config.event)
    judged = trusted & ~eventful
    explained = explained_step(source, styled, gain, frame_gain)
    signed = np.where(judged[..., None], styled.step - explained, 0).astype(np.float32)
    answer = max(float(gain[0]), 1.0)
    # Normalisation over the whole picture answers relative changes of the input, and everywhere.
    uncertainty = config.gain_error * answer * matched.mean(source.relative_step)
    uncertainty = math.hypot(uncertainty, float(held_uncertainty.mean()) / MEDIUM)
    expected = np.maximum(styled.before[..., 0] + explained[..., 0], np.float32(DARK))
    known = np.float32(config.level**2 + (uncertainty * MEDIUM) ** 2)
    variation, unsure = config.variation_share * styled.variation, config.step_share * answer * size
    variance = known + variation * variation + unsure * unsure + held_uncertainty * held_uncertainty
    weight = np.where(judged, trust / variance, 0).astype(np.float32)
    lit, relit = source.frame[0, 0], source.frame[1] - source.frame[0]
    least_event = min(config.event, config.relative_event * max(float(lit), DARK))
    events = int(np.count_nonzero(eventful))
    whole = black or events > config.whole * eventful.size or abs(float(relit[0])) > least_event
    level = np.array([max(float(styled.frame[0, 0]), DARK), MEDIUM, MEDIUM], np.float32)
    means = styled.frame[0] + frame_gain * relit
    common = (styled.frame[1] - means) / level
    error = math.hypot(held_frame_uncertainty, frame_error(source, frame_gain, config))
    chance = np.array([config.least, *[2 * config.least] * 2], np.float32)
    common_z = float((np.abs(common) / np.hypot(chance, error)).max())
    return Residual(
        *(explained, signed, np.asarray(expected, np.float32), weight, uncertainty),
        *(np.asarray(means, np.float32), np.asarray(common, np.float32), common_z, events > 0, whole),
    )


def frame_error(source: Change, frame_gain: NDArray[np.float32], config: StepTestConfig) -> float:
    """Relative step of the frame's mean that an error of its gain would explain."""
    before, now = source.frame[:, 0]
    answer = max(abs(float(frame_gain[0])), 1.0)
    return config.frame_error * answer * abs(float(now - before)) / max(float(before), DARK)
