"""Detection of lost content: black, broken, blurred, bent or repeated frames.

A stylizer keeps edges of its input. How many it keeps depends on the style; a sudden loss of edges in one
place does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.motion import Analysis
from streamstyle.temporal.threshold import RunningThreshold
from streamstyle.temporal.tiles import COLUMNS, ROWS, TileGrid, Tiles, strongest

_MIN_EDGES = 90.0  # levels squared: below such gradients a tile has no content to lose (c of the similarity)


@dataclass(frozen=True)
class ContentConfig:
    """Settings of `ContentTest`."""

    floor: float = 8.0
    """`floor` of the `RunningThreshold` of the loss."""
    multiple: float = 5.0
    """`multiple` of the `RunningThreshold` of the loss."""
    reluctance: int = 8
    """`reluctance` of the `RunningThreshold` of the loss."""
    rate: float = 0.15
    """Weight of the newest frame in a tile's normal share of kept edges."""
    spread_rate: float = 0.05
    """Weight of the newest frame in the variation of that share."""
    spread: float = 0.06
    """Variation at first."""
    min_spread: float = 0.02
    """Least variation."""
    luma_step: float = 0.5
    """Share of a relative change of light that adds to the variation."""
    top: int = 4
    """Number of worst tiles that make the score."""
    least: float = 4.0
    """Loss, in variations, from which a tile is flagged."""
    still: float = 0.02
    """Mean difference in levels below which two pictures are the same."""
    moved: float = 0.6
    """Mean difference of two inputs above which they are not."""


@dataclass(frozen=True)
class ContentResult:
    """Result for one frame."""

    loss: float
    """Score over threshold."""
    tiles: NDArray[np.bool_]
    """(9, 12): where content was lost."""
    repeated: bool
    """True if the previous frame was shown again."""
    kept: Tiles
    """(9, 12), see `edges_kept`."""
    measure: float
    """The score before its threshold."""


def edges_kept(grid: TileGrid, source: Analysis, styled: Analysis) -> Tiles:
    """Share of the input's edges that the styled picture has, per tile: float32 (9, 12), 0..1.

    `sum(2 g_I g_O + c) / sum(g_I^2 + g_O^2 + c)`, that is `1 - sum((g_I - g_O)^2) / sum(g_I^2 + g_O^2 + c)`,
    with g the gradient of luma: the gradient similarity of Liu, Lin and Narwaria 2012 (eq. 3) pooled over a
    tile.
    """
    apart = grid.mean_square(np.asarray(cv2.absdiff(source.gradient, styled.gradient), np.uint8))
    return 1 - apart / (source.edges(grid) + styled.edges(grid) + np.float32(_MIN_EDGES))


class ContentTest:
    """Follows one video. `evaluate` has no effect; `learn` takes the same frame in."""

    def __init__(self, size: tuple[int, int], config: ContentConfig) -> None:
        """size: (h, w) of the analysis pictures."""
        self._config = config
        self._grid = TileGrid(size)
        self._threshold = RunningThreshold(config.floor, config.multiple, config.reluctance)
        self.restart()

    def restart(self) -> None:
        """Start a new shot: learn the normal level of the tiles again."""
        self._normal: Tiles | None = None
        self._before = np.ones((ROWS, COLUMNS), np.float32)
        self._spread = np.full((ROWS, COLUMNS), self._config.spread, np.float32)

    def evaluate(
        self,
        source: Analysis,
        styled: Analysis,
        source_before: Analysis,
        styled_before: Analysis | None,
        *,
        luma_step: Tiles,
        new_shot: bool = False,
    ) -> ContentResult:
        """Test a frame by analysis pictures; `styled_before` is the previous one as it was painted.
        luma_step: float32 (9, 12), relative change of the input's brightness, which changes edge similarity.
        new_shot: True if the learnt normal level belongs to another shot."""
        config = self._config
        kept = edges_kept(self._grid, source, styled)
        repeated = (
            styled_before is not None
            and _difference(styled, styled_before) < config.still
            and _difference(source, source_before) > config.moved
        )
        if self._normal is None or new_shot:
            return ContentResult(0.0, np.zeros((ROWS, COLUMNS), np.bool_), repeated, kept, 0.0)
        lost = np.maximum(np.minimum(self._normal, self._before) - kept, 0) / (
            self._spread + config.luma_step * luma_step
        )
        measure = strongest(np.asarray(lost, np.float32), config.top)
        loss = measure / self._threshold.value
        return ContentResult(loss, np.asarray(lost > config.least, np.bool_), repeated, kept, measure)

    def learn(self, content: ContentResult) -> None:
        """Take the frame in. Lost content does not become normal."""
        config = self._config
        self._threshold.learn(content.measure)
        if self._normal is None:
            self._normal = self._before = content.kept
        elif content.loss <= 1 and not content.repeated:
            away = np.maximum(np.abs(content.kept - self._normal), np.float32(config.min_spread))
            self._spread = self._spread + np.float32(config.spread_rate) * (away - self._spread)
            self._normal = self._normal + np.float32(config.rate) * (content.kept - self._normal)
            self._before = content.kept


def _difference(one: Analysis, other: Analysis) -> float:
    return float(cv2.norm(one.pixels, other.pixels, cv2.NORM_L1)) / one.pixels.size
