"""The worst that happened, as pictures: an anomaly that was missed, an alarm that was false."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from streamstyle.explain.tint import COOL, WARM, outline_, tint_
from streamstyle.files.page import small_picture
from streamstyle.types import AnomalyMap, Picture

MISSED, FALSE_ALARM = "missed", "false alarm"


@dataclass(frozen=True)
class Example:
    """A frame of the benchmark that shows a miss or a false alarm."""

    what: str
    """MISSED or FALSE_ALARM."""
    name: str
    """Name of the injection or scene."""
    clip: str
    style: str
    frame: int
    score: float
    """Score over its threshold."""
    words: str
    """Names of the kinds that were found; empty without findings."""
    pictures: tuple[tuple[str, Picture], ...]
    """(caption, RGB uint8 about 320 pixels wide) of each picture."""


def worst(examples: Iterable[Example], what: str, count: int) -> list[Example]:
    """The missed of the lowest score, or the false alarms of the highest, at most `count`: one for each name,
    two for each clip."""
    sign = 1 if what == MISSED else -1
    ordered = sorted((e for e in examples if e.what == what), key=lambda e: sign * e.score)
    found: list[Example] = []
    for example in ordered:
        clips = [other.clip for other in found]
        if clips.count(example.clip) < 2 and example.name not in [other.name for other in found]:
            found.append(example)
    return found[:count]


def pictures(
    before: tuple[tuple[str, Picture], ...], anomaly: AnomalyMap, after: Picture | None
) -> tuple[tuple[str, Picture], ...]:
    """Pictures of an example. before: with captions, the last as the detector saw it. after: as it left."""
    shown = [(caption, small_picture(picture)) for caption, picture in before]
    heat = shown[-1][1].copy()
    if anomaly.flagged:
        tint_(heat, anomaly)
        outline_(heat, anomaly)
        shown.append(("flagged", heat))
    else:
        shown.append(("excess, not flagged", _excess(heat, anomaly)))
    if after is not None:
        shown.append(("after", small_picture(after)))
    return tuple(shown)


def _excess(picture: Picture, anomaly: AnomalyMap) -> Picture:
    """The signed excess of all tiles over the picture in grey, strongest where it is largest."""
    score = anomaly.tile_score
    share = 0.8 * np.abs(score) / max(float(np.abs(score).max()), 1 / 255)
    colour = np.where((score > 0)[..., None], WARM, COOL).astype(np.float32)
    size = picture.shape[1::-1]
    opacity = cv2.resize(share.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)[..., None]
    tint = cv2.resize(colour, size, interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    return np.rint(grey + opacity * (tint - grey)).astype(np.uint8)
