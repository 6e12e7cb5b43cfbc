"""Stabilise mode, `--consistency`: the gain in stability of the clean film, and its price."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from streamstyle.bench.flashes import new_flashes
from streamstyle.bench.injections import Film
from streamstyle.bench.subjects import StabiliseResult, Subject
from streamstyle.metrics.comparison import FEATURES_EVERY, LONG_GAP
from streamstyle.metrics.similarity import contrast_ratio, sharpness_ratio
from streamstyle.metrics.warp_error import WarpError
from streamstyle.types import Picture


def stabilised(
    subject: Subject, plain: Film, consistencies: Sequence[float], fails: NDArray[np.bool_]
) -> list[StabiliseResult]:
    """Paint and compare; plain: the film painted frame by frame, not repaired. fails: bool (n,), frames of
    the film that fail the general-flash test. Empty where the painter cannot stabilise, no distance is known,
    or the plain film does not change at all.

    The flow is that of `metrics.warp_error`, found once for all settings; over LONG_GAP frames it is taken of
    every LONG_GAP-th pair.
    """
    stabilise, distance = subject.painter.stabilise, subject.distance
    if stabilise is None or distance is None or not consistencies:
        return []
    films = [stabilise(subject.film, subject.fps, consistency) for consistency in consistencies]
    near, far = WarpError(), WarpError()
    for index, pictures in enumerate(zip(subject.film, plain, *films, strict=True)):
        near.add(*pictures)
        if index % LONG_GAP == 0:
            far.add(*pictures)
    if not (near.means() and far.means() and near.means()[1] and far.means()[1]):
        return []
    (source, raw, *errors), (_, raw_far, *errors_far) = near.means(), far.means()
    return [
        StabiliseResult(
            consistency,
            1 - error / raw,
            1 - error_far / raw_far,
            (source, raw, error),
            _mean(distance, film[::FEATURES_EVERY], plain[::FEATURES_EVERY]),
            _mean(sharpness_ratio, film, plain),
            _mean(contrast_ratio, film, plain),
            new_flashes(fails, plain, film, subject.fps),
        )
        for consistency, film, error, error_far in zip(consistencies, films, errors, errors_far, strict=True)
    ]


def _mean(of: Callable[[Picture, Picture], float], film: Film, plain: Film) -> float:
    """Ratios of pairs of frames; a ratio to a flat frame, which is infinite, is left out."""
    values = [of(picture, other) for picture, other in zip(film, plain, strict=True)]
    return float(np.mean([value for value in values if math.isfinite(value)]))
