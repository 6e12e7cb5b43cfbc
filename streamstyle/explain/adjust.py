"""Style adjustment (`--turn`): scale a style's difference from the average style, by group.

A group is a set of layers. Every layer belongs to one group, so one factor for all groups adjusts the whole
style. A group is named after what it changes most:

texture   down1, down2, the blocks and merge: strokes and how edges are drawn; the mean colour stays
contrast  up1, the last normalised layer: how far light and dark, and the colours, lie apart
colour    detail, the offset of the output: the tint of the whole picture
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import ConfigError, nearest
from streamstyle.nets.layout import CodeLayout, GeneratorConfig
from streamstyle.styles.bundle import StyleBundle
from streamstyle.styles.mix import StyleAdjustment

GROUPS = ("texture", "contrast", "colour")
MAX_ADJUSTMENT = 3.0  # beyond that the codes are outside the training range, and the network paints noise
_LATE = {"up1": "contrast", "detail": "colour"}


def group_of(layer: str) -> str:
    """The group that a conditional layer belongs to."""
    return _LATE.get(layer, "texture")


def entries(layout: CodeLayout) -> dict[tuple[str, str], slice]:
    """{(layer, "scale" or "shift"): its numbers in a flat code}, in the code's order."""
    places: dict[tuple[str, str], slice] = {}
    start = 0
    for layer, channels in zip(layout.names, layout.channels, strict=True):
        for part in ("scale", "shift"):
            places[layer, part] = slice(start, start + channels)
            start += channels
    return places


def adjust(
    code: NDArray[np.float32],
    layout: CodeLayout,
    mean: NDArray[np.float32],
    factors: Mapping[str, float],
) -> NDArray[np.float32]:
    """Move each group of `code` along (code - mean): code + (factor - 1) * (code - mean).

    code: (size,). mean: (size,), of the codes of all styles without `original`. factors: {group: 0..3},
    1 for groups that are not named; 0 gives the average style there, above 1 exaggerates. With all
    factors 1 the result equals `code` bit for bit. Raises ConfigError for another group or factor.
    """
    for group, factor in factors.items():
        _check(group, factor)
    adjusted = code.copy()
    for (layer, _part), where in entries(layout).items():
        extra = np.float32(factors.get(group_of(layer), 1.0) - 1)
        adjusted[where] += extra * (code[where] - mean[where])
    return adjusted


def parse_adjustments(text: str) -> dict[str, float]:
    """`texture=1.4,colour=0.8` to {group: factor}. Raises ConfigError."""
    factors: dict[str, float] = {}
    for part in text.split(","):
        group, equals, number = part.strip().partition("=")
        try:
            factor = float(number) if equals else math.nan
        except ValueError:
            factor = math.nan
        if not math.isfinite(factor) or not group or group in factors:
            raise ConfigError(f"cannot read '{text}': write GROUP=FACTOR, as in texture=1.4,colour=0.8")
        _check(group, factor)
        factors[group] = factor
    return factors


def adjuster(bundle: StyleBundle, factors: Mapping[str, float]) -> StyleAdjustment:
    """A function that adjusts codes of a bundle by `factors`, for `styles.mix.style_code`."""
    layout = GeneratorConfig.from_json(bundle.manifest.architecture).layout
    return lambda code: adjust(code, layout, bundle.mean, factors)


def _check(group: str, factor: float) -> None:
    if group not in GROUPS:
        raise ConfigError(f"unknown group '{group}'{nearest(group, GROUPS)}: use {', '.join(GROUPS)}")
    if not 0 <= factor <= MAX_ADJUSTMENT:
        raise ConfigError(f"{group} can be turned by a factor of 0 to {MAX_ADJUSTMENT:g}, not {factor:g}")
