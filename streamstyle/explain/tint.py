"""Anomalies painted over the picture: tinted tiles, and outlines of flagged ones."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import AnomalyMap, Kind, Picture

_MIN_EXCESS = 0.004  # excess below a level of 255 counts as unchanged

_STEPS = (Kind.FLICKER, Kind.POP)
_CALM, _FULL = 0.5, 2.0  # excess against its threshold from which a tile is tinted, and fully so
_FLAGGED, _OTHERS = (0.4, 0.75), 0.25  # opacity of a flagged tile, and the most of any other
_SCORED_TILES = 4  # tiles that make the detector's local score
_WIDTH = 320  # of a picture whose outline is one pixel wide


def _duotone(hue: tuple[int, int, int]) -> Picture:
    """Each grey as a shade of `hue` of about its relative luminance, uint8 (256, 1, 3) RGB.

    A tint that keeps the luminance hides no detail, and causes no flash when it appears or disappears.
    """
    weights = np.array([0.2126, 0.7152, 0.0722])
    grey = (np.arange(256)[:, None] / 255) ** 2.2
    full = (np.array(hue) / 255) ** 2.2
    luminance = float(full @ weights)
    darker = full * grey / luminance
    lighter = full + (1 - full) * (grey - luminance) / (1 - luminance)
    shades = np.where(grey < luminance, darker, lighter) ** (1 / 2.2)
    return np.rint(shades * 255).astype(np.uint8)[:, None]


WARM, COOL, OTHER = (255, 112, 16), (48, 136, 255), (250, 215, 40)
"""Colours for: brighter than the input explains, darker, changed otherwise. RGB; colour-blind people can tell
orange from blue."""

_HUES = {sign: _duotone(hue) for sign, hue in ((1, WARM), (-1, COOL), (0, OTHER))}


def tint_(picture: Picture, anomaly: AnomalyMap) -> None:
    """Tint the tiles of RGB uint8 (H, W, 3) in place; bit for bit the identity if nothing is flagged."""
    opacity = _opacity(anomaly)
    if not opacity.any():
        return
    signs = _signs(anomaly)
    tops, lefts = _edges(picture.shape[0], opacity.shape[0]), _edges(picture.shape[1], opacity.shape[1])
    for row, (top, bottom) in enumerate(pairwise(tops)):
        if top == bottom or not opacity[row].any():
            continue
        grey = cv2.cvtColor(picture[top:bottom], cv2.COLOR_RGB2GRAY)
        for column, (left, right) in enumerate(pairwise(lefts)):
            share = float(opacity[row, column])
            if share and left < right:
                tile = picture[top:bottom, left:right]
                shade = cv2.applyColorMap(grey[:, left:right], _HUES[int(signs[row, column])])
                cv2.addWeighted(tile, 1 - share, shade, share, 0, tile)


def outline_(picture: Picture, anomaly: AnomalyMap, visible: int | None = None) -> None:
    """Draw around the flagged tiles, or around a picture that was flagged as a whole, in place.

    visible: rows of the picture that stay uncovered; the outline keeps to them.
    """
    if not anomaly.flagged:
        return
    height, width = picture.shape[:2]
    line = max(1, round(width / _WIDTH / 2))
    tiles = anomaly.tiles if anomaly.tiles.any() else np.ones_like(anomaly.tiles)
    inset = (line * 3) // 2
    right, bottom = width - 1 - inset, (visible or height) - 1 - inset
    rows = np.clip(_edges(height, tiles.shape[0]), inset, max(bottom, inset))
    columns = np.clip(_edges(width, tiles.shape[1]), inset, max(right, inset))
    framed = np.pad(tiles, 1)
    across, down = framed[1:, 1:-1] != framed[:-1, 1:-1], framed[1:-1, 1:] != framed[1:-1, :-1]
    segments = [((columns[x], rows[y]), (columns[x + 1], rows[y])) for y, x in np.argwhere(across)]
    segments += [((columns[x], rows[y]), (columns[x], rows[y + 1])) for y, x in np.argwhere(down)]
    # White on black shows on any picture.
    for colour, thickness in (((0, 0, 0), 3 * line), ((255, 255, 255), line)):
        for start, end in segments:
            cv2.line(picture, tuple(map(int, start)), tuple(map(int, end)), colour, thickness)


def _signs(anomaly: AnomalyMap) -> NDArray[np.int8]:
    """(rows, cols): 1 brighter, -1 darker, 0 unchanged, or not flagged for a step."""
    score = anomaly.tile_score if _stepped(anomaly) else np.zeros_like(anomaly.tile_score)
    return np.where(np.abs(score) < _MIN_EXCESS, 0, np.sign(score)).astype(np.int8)


def _opacity(anomaly: AnomalyMap) -> NDArray[np.float32]:
    """Opacity of the tint, float32 (rows, cols), 0 .. 0.75: 0 in calm tiles, and if nothing is flagged.

    It grows with the residual over the residual that would just have been flagged: the mean of the four worst
    tiles divided by the frame's score (the local score of docs/temporal.md, solved for its threshold).
    """
    if not _stepped(anomaly):
        return np.where(anomaly.tiles & anomaly.flagged, _FLAGGED[1], 0).astype(np.float32)
    size = np.abs(anomaly.tile_score)
    ratio = max(anomaly.scores[kind] / anomaly.thresholds[kind] for kind in _STEPS)
    worst = float(np.partition(size.ravel(), -_SCORED_TILES)[-_SCORED_TILES:].mean())
    level = max(worst / max(ratio, 1.0), 2 * _MIN_EXCESS)
    share = np.clip((size / level - _CALM) / (_FULL - _CALM), 0, 1)
    # If the whole frame steps, tiles are flagged that did nothing themselves.
    moved = (size >= _MIN_EXCESS) | np.any(anomaly.chroma_offset != 0, axis=-1)
    least = np.where(anomaly.tiles & moved, _FLAGGED[0], 0)
    most = np.where(anomaly.tiles, _FLAGGED[1], _OTHERS)
    return np.maximum(least, most * share).astype(np.float32)


def _stepped(anomaly: AnomalyMap) -> bool:
    return any(kind in anomaly.kinds for kind in _STEPS)


def _edges(length: int, count: int) -> NDArray[np.int64]:
    """First pixel of each tile, as the detector divides a picture, and the end."""
    return -(-np.arange(count + 1) * length // count)
