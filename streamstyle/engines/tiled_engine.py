"""An engine that wraps another one: paints frames that do not fit into memory in tiles, without seams.

The network normalises with statistics of the whole frame; tiles with statistics of their own would all look
different. Therefore the statistics come first, and every tile is painted with the same ones, frozen. A pixel
then depends on nothing outside the network's receptive radius: tiles overlap by twice that radius, and their
inner parts equal the whole frame, painted with these statistics.

The statistics of the frame reduced to a tile are those of another scale, up to 8 dB off (docs/sizes.md).
Their change with scale is measured on five places of the frame, each at its own size and reduced by as much,
mirrored to fill a tile. The first frame measures all five, every further one the next of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.norm_stats import NormState, StatefulEngine, as_stateful
from streamstyle.engines.padding import Padding
from streamstyle.engines.request import EngineOpener, EngineRequest
from streamstyle.engines.upsampling import reduced
from streamstyle.errors import EngineError, EngineMemoryError
from streamstyle.nets.layout import CodeLayout, GeneratorConfig
from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import Engine, EngineSpec, FramePart, InferenceFuture, Picture, StyleCondition

_MIN_DEVIATION = 1e-3
_MIN_STEP = 64
_CUTS = (2, 3, 4, 6, 8, 12, 16)


@dataclass(frozen=True)
class Tile:
    """A tile along one side of the frame."""

    start: int
    """Its first pixel in the frame."""
    kept: slice
    """The pixels of the frame that are taken from it."""


def tiles_along(length: int, tile: int, receptive_radius: int) -> Iterator[Tile]:
    """Tiles that cover `length` pixels and keep `receptive_radius` away from their borders inside the frame;
    all multiples of 8. tile: the length, or less but above 2 * receptive_radius."""
    step = tile - 2 * receptive_radius
    first = 0
    for start in (*range(0, length - tile, step), length - tile):
        last = length if start == length - tile else start + tile - receptive_radius
        yield Tile(start, slice(first, last))
        first = last


class TiledEngine:
    """Implements `StatefulEngine` for frames of `height` x `width` in tiles of the size that `inner` paints.

    tile: (height, width) of the inner engine, multiples of 8, no more than those of the frame.
    receptive_radius: see `GeneratorConfig.receptive_radius`. Paints in the call of `start`.
    """

    def __init__(
        self, inner: StatefulEngine, height: int, width: int, tile: tuple[int, int], receptive_radius: int
    ) -> None:
        self._inner = inner
        self._tile = tile
        self._padding = Padding.to_multiple(height, width, SIZE_MULTIPLE)
        rows, columns = self._padding.padded_size
        self._tiles = [
            (y, x)
            for y in tiles_along(rows, tile[0], receptive_radius)
            for x in tiles_along(columns, tile[1], receptive_radius)
        ]
        self._state = NormState(inner.norms)
        self._deviations = _deviations(inner.norms)
        self._measured: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._codes: NDArray[np.float32] | None = None
        self._next = 0

    @property
    def spec(self) -> EngineSpec:
        """Spec of the inner engine, with the number of tiles."""
        return replace(self._inner.spec, tiles=len(self._tiles), in_flight=0)

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`."""
        return self._inner.busy_seconds

    @property
    def norms(self) -> CodeLayout:
        """See `StatefulEngine`."""
        return self._inner.norms

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """See `StatefulEngine`."""
        return self._state.norm_stats

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        self._state.norm_stats = value

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        picture = self._padding.pad(pixels)
        mask = None if condition.mask is None else self._padding.pad(condition.mask)
        past = self._state.norm_stats
        if past is None or condition.ema_decay < 1:
            own = self._own_norm_stats(picture, mask, condition)
            ema_decay = 0.0 if past is None else condition.ema_decay
            past = own if past is None else (ema_decay * past + (1 - ema_decay) * own).astype(np.float32)
            self._state.norm_stats = past
        self._inner.norm_stats = past
        painted = np.empty_like(picture)
        for y, x in self._tiles:
            part = slice(y.start, y.start + self._tile[0]), slice(x.start, x.start + self._tile[1])
            under = None if mask is None else mask[part]
            at = FramePart(self._padding.padded_size, (y.start, x.start))
            frozen = replace(condition, mask=under, ema_decay=1.0, part=at)
            styled = self._inner.start(np.ascontiguousarray(picture[part]), frozen).result()
            painted[y.kept, x.kept] = styled[_shifted(y), _shifted(x)]
        result = self._padding.crop(painted)
        return InferenceFuture(lambda: result)

    def _own_norm_stats(
        self, picture: Picture, mask: NDArray[np.uint8] | None, condition: StyleCondition
    ) -> NDArray[np.float32]:
        """Statistics of the whole frame at its own scale: those of the reduced frame, corrected at five
        places."""
        height, width = self._tile
        # The canvas of the frame, so that no other one has to be drawn.
        whole = replace(condition, ema_decay=0.0, part=FramePart(self._padding.padded_size, (0, 0)))
        if self._codes is None or not np.array_equal(self._codes, condition.codes):
            self._codes, self._measured, self._next = condition.codes, [], 0

        def measured(of: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> NDArray[np.float64]:
            under = None if mask is None else of(mask)
            self._inner.start(of(picture), replace(whole, mask=under)).result()
            norm_stats = self._inner.norm_stats
            assert norm_stats is not None
            return norm_stats.astype(np.float64)

        small = measured(lambda x: reduced(x, height, width))
        places = _places(picture.shape[0] - height, picture.shape[1] - width)
        for i in [self._next] if self._measured else range(len(places)):
            y, x = places[i]
            part = slice(y, y + height), slice(x, x + width)
            own = measured(lambda x, part=part: np.ascontiguousarray(x[part]))  # type: ignore[misc]
            coarse = measured(lambda x, part=part: _mirrored(x[part], x.shape))  # type: ignore[misc]
            self._measured[i : i + 1] = [(own, coarse)]
        self._next = (self._next + 1) % len(places)
        fine, coarse = (_joined([pair[k] for pair in self._measured], self._deviations) for k in range(2))
        scaled = small * fine / np.maximum(coarse, _MIN_DEVIATION)
        return np.where(self._deviations, scaled, small + fine - coarse).astype(np.float32)

    def close(self) -> None:
        """Close the inner engine."""
        self._inner.close()


def _shifted(tile: Tile) -> slice:
    return slice(tile.kept.start - tile.start, tile.kept.stop - tile.start)


def _places(rows: int, columns: int) -> list[tuple[int, int]]:
    """Places of the five tiles that statistics are compared at: the middle and the corners."""
    return [(rows // 2, columns // 2), (0, 0), (0, columns), (rows, 0), (rows, columns)]


def _mirrored(part: NDArray[np.uint8], frame: tuple[int, ...]) -> NDArray[np.uint8]:
    """A tile reduced as much as a frame of this shape is for it, mirrored at its borders to its own size."""
    height, width = part.shape[:2]
    h, w = max(2, round(height * height / frame[0])), max(2, round(width * width / frame[1]))
    small = reduced(np.ascontiguousarray(part), h, w)
    return np.asarray(cv2.copyMakeBorder(small, 0, height - h, 0, width - w, cv2.BORDER_REFLECT), np.uint8)


def _deviations(norms: CodeLayout) -> NDArray[np.bool_]:
    """bool (norms.size,): which statistics are deviations; the others are means."""
    return np.concatenate([np.repeat([True, False], count) for count in norms.channels])


def _joined(parts: list[NDArray[np.float64]], deviations: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The statistics of parts of equal size taken together."""
    table = np.stack(parts)
    means, spreads = table[:, ~deviations], table[:, deviations]
    mean = means.mean(axis=0)
    joined = np.empty(table.shape[1])
    joined[~deviations] = mean
    joined[deviations] = np.sqrt((spreads**2 + means**2).mean(axis=0) - mean**2)
    return joined


def open_tiled(opener: EngineOpener, request: EngineRequest, tile: tuple[int, int], radius: int) -> Engine:
    """An engine for the request's frames in tiles of at most `tile` (height, width).

    opener: gives an engine that keeps statistics. radius: see `GeneratorConfig.receptive_radius`. Raises
    EngineError where the statistics cannot be set, and for tiles too small for the network; and what `opener`
    raises.
    """
    frame = Padding.to_multiple(request.height, request.width, SIZE_MULTIPLE).padded_size
    rows, columns = (min(a, b // SIZE_MULTIPLE * SIZE_MULTIPLE) for a, b in zip(frame, tile, strict=True))
    least = 2 * radius + _MIN_STEP
    if (rows < frame[0] and rows < least) or (columns < frame[1] and columns < least):
        raise EngineError(
            f"tiles of {tile[1]}x{tile[0]} are too small for this network: it needs {least} pixels a side"
        )
    inner = opener.open(replace(request, height=rows, width=columns, stateful=True, halvings=0))
    stateful = as_stateful(inner)
    if stateful is None:
        name = inner.spec.name
        inner.close()
        raise EngineError(f"the {name} engine cannot paint in tiles; take --engine openvino or a --size")
    return TiledEngine(stateful, request.height, request.width, (rows, columns), radius)


def open_fitting(opener: EngineOpener, request: EngineRequest, radius: int) -> Engine:
    """An engine for whole frames where that fits into memory, else one in tiles, as large as do.

    Raises EngineMemoryError where none does, and what the openers raise.
    """
    try:
        return opener.open(request)
    except EngineMemoryError as error:
        height, width = request.height, request.width
        for cuts in _CUTS:
            rows, columns = (max(side // cuts, _MIN_STEP) + 2 * radius for side in (height, width))
            tile = min(rows, height), min(columns, width)
            if tile != (height, width):
                with suppress(EngineMemoryError):
                    return open_tiled(opener, request, tile, radius)
        raise error


@dataclass(frozen=True)
class TilingOpener:
    """Implements `EngineOpener` around one of networks: cuts frames into tiles of `request.tile`, or, without
    that, where memory lacks."""

    inner: EngineOpener

    def open(self, request: EngineRequest) -> Engine:
        """See `EngineOpener`."""
        tile = request.tile
        if tile is not None and tile[0] >= request.height and tile[1] >= request.width:
            return self.inner.open(request)
        radius = GeneratorConfig.from_json(request.given_network.architecture).receptive_radius
        if tile is None:
            return open_fitting(self.inner, request, radius)
        return open_tiled(self.inner, request, tile, radius)
