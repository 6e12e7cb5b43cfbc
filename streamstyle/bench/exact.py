"""The cost of estimated flow: the same film tested and scored with the motion that it was drawn with."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.injections import Film
from streamstyle.bench.rendered import RenderedFilm
from streamstyle.bench.runs import Method
from streamstyle.metrics.warp_error import FlowMatch, correspondence, pair_error
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.motion import BackwardFlow, analysis_picture, luma_of

EXACT = "exact flow"


class ExactFlow(BackwardFlow):
    """The motion of a rendered film at the size of the analysis pictures; knows frames by their luma."""

    def __init__(self, size: tuple[int, int], film: RenderedFilm) -> None:
        super().__init__(size)
        self._size = size
        self._film = film
        lumas = (luma_of(analysis_picture(frame, size)) for frame in film.frames)
        self._index = {luma.tobytes(): index for index, luma in enumerate(lumas)}

    def estimate(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `BackwardFlow`. Raises KeyError for pictures that are not two neighbours of the film."""
        index = self._index[now.tobytes()]
        if self._index[before.tobytes()] != index - 1:
            raise KeyError("the pictures are not neighbours in the film")
        positions = self._film.matches[index].positions
        height, width = positions.shape[:2]
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        flow = positions - np.stack([columns, rows], axis=-1)
        # Nearest: the mean of two motions belongs to neither pixel.
        small = cv2.resize(flow, (self._size[1], self._size[0]), interpolation=cv2.INTER_NEAREST)
        return np.asarray(small * np.float32(self._size[1] / width), np.float32)


def exact_method(film: RenderedFilm) -> Method:
    """The product with exact flow instead of estimated flow."""
    return Method(EXACT, lambda: ResidualDetector(flow=lambda size: ExactFlow(size, film)))


def warp_errors(film: RenderedFilm, painted: Film, *, step: int = 3) -> dict[str, dict[str, float]]:
    """Warping error of the film and of the painted one by exact and by estimated flow, and by exact flow on
    the pixels that the estimate keeps; every `step`-th pair. The estimate is the one of `metrics.warp_error`.
    """
    errors: dict[str, list[tuple[float, float]]] = {"exact": [], "estimated": [], "exact, same pixels": []}
    seen: dict[str, list[float]] = {name: [] for name in errors}
    for index in range(1, len(painted), step):
        exact = film.matches[index]
        estimated = correspondence(film.frames[index], film.frames[index - 1])
        shared = FlowMatch(exact.positions, exact.visible & estimated.visible)
        for name, match in zip(errors, (exact, estimated, shared), strict=True):
            pairs = ((x[index], x[index - 1]) for x in (film.frames, painted))
            source, styled = (pair_error(*pair, match) for pair in pairs)
            errors[name].append((source, styled))
            seen[name].append(float(match.visible.mean()))
    return {name: _means(found, seen[name]) for name, found in errors.items()}


def _means(errors: Sequence[tuple[float, float]], seen: Sequence[float]) -> dict[str, float]:
    source, styled = np.mean(errors, axis=0).tolist()
    return {"source": round(source, 6), "painted": round(styled, 6), "pixels": round(float(np.mean(seen)), 4)}
