"""Repairs of a flagged frame, in place.

Flicker and pops get a tile gain, drift a colour re-match: `RGB' = (1 + gain) RGB + offset` with fields that
are exactly 0 away from the flagged tiles. These copy no pixels of the reference frame: no ghosts, no blur.
Texture that was drawn anew is mixed with the reference frame, warped along the input's motion. A frame that
lost its content is replaced by it, for `CorrectorConfig.fallback_frames` at most; then by the input in the
painting's colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.temporal.lab import CHROMA_TO_RGB, chroma_of_shift
from streamstyle.temporal.reference_frame import ReferenceFrame, mean_detail, mean_share, mix_, sharpen_
from streamstyle.temporal.tiles import Tiles
from streamstyle.types import Action, AnomalyMap, Kind, Picture

NO_ACTION = Action("none")
INPUT_SHOWN = Action("input in the painting's colours")


@dataclass(frozen=True)
class CorrectorConfig:
    """Settings of `RepairCorrector`."""

    texture_share: float = 0.5
    """Largest share of the reference frame in a frame whose texture was drawn anew."""
    texture_rise: float = 0.75
    """Score above the threshold, as a share of it, at which that share is reached; a frame just above the
    threshold is hardly changed."""
    smoothing_share: float = 0.54
    """Share of the reference frame in every frame at full smoothing."""
    fallback_frames: int = 2
    """Consecutive frames for which the reference frame may replace lost content."""
    gone: float = 0.75
    """Share of unrecoverable tiles from which the whole frame is lost; after `fallback_frames` the input
    replaces it."""


@dataclass(frozen=True)
class TileField:
    """Linear change of each tile; exactly 0 leaves it untouched."""

    gain: Tiles
    """(rows, cols), added to 1."""
    offset: Tiles
    """(rows, cols, 3), in RGB levels of 0..255."""

    def __add__(self, other: TileField) -> TileField:
        return TileField(self.gain + other.gain, self.offset + other.offset)

    @property
    def touched(self) -> NDArray[np.bool_]:
        """bool (rows, cols): tiles that change."""
        return np.asarray((self.gain != 0) | np.any(self.offset != 0, axis=-1), np.bool_)


def tile_gain(styled: Picture, anomaly: AnomalyMap) -> TileField:  # noqa: ARG001
    """Repair of flicker and pops: the gains and offsets of the map, smoothed over the flagged tiles."""
    tiles = np.ones_like(anomaly.tiles) if anomaly.smoothing else anomaly.tiles
    chroma = _smoothed(anomaly.chroma_offset, tiles)
    gain = _smoothed(anomaly.luma_gain[..., None] - np.float32(1), tiles)[..., 0]
    return TileField(gain, np.asarray(chroma @ CHROMA_TO_RGB.T, np.float32))


def colour_rematch(styled: Picture, anomaly: AnomalyMap) -> TileField:
    """Repair of drift: one chroma offset for the whole frame that removes the (a, b) shift."""
    chroma = chroma_of_shift(np.asarray(cv2.mean(styled)[:3]), -anomaly.drift)
    offset = np.broadcast_to(CHROMA_TO_RGB @ chroma, (*anomaly.tiles.shape, 3))
    return TileField(np.zeros(anomaly.tiles.shape, np.float32), offset.astype(np.float32))


@dataclass(frozen=True)
class FieldRepair:
    """A repair by a `TileField`."""

    name: str
    """Name in the event log."""
    field: Callable[[Picture, AnomalyMap], TileField]
    """Makes the field for a styled picture and its findings."""


TILE_GAIN = FieldRepair("tile gain", tile_gain)
COLOUR_REMATCH = FieldRepair("colour re-match", colour_rematch)
REPAIRS: Mapping[Kind, FieldRepair] = {
    Kind.FLICKER: TILE_GAIN,
    Kind.POP: TILE_GAIN,
    Kind.DRIFT: COLOUR_REMATCH,
}
UNRECOVERABLE = {Kind.DISTORTION, Kind.STYLE, Kind.DUPLICATE}
"""Kinds that cannot be repaired from the frame itself."""


class RepairCorrector:
    """Implements `Corrector` with one repair per flagged kind. Keeps a copy of the last frame."""

    def __init__(self, config: CorrectorConfig = CorrectorConfig()) -> None:
        self._config = config
        self._reference = ReferenceFrame()
        self._unrecoverable_for = 0

    def reset(self) -> None:
        """Forget the reference frame."""
        self._reference.forget()
        self._unrecoverable_for = 0

    def correct_(self, styled: Picture, anomaly: AnomalyMap) -> Action:
        """Repair in place; bit for bit the identity beyond half a tile around the flagged tiles.

        Returns the names of the repairs joined by " + ", or "none", with figures: for fields the share of
        touched tiles, their mean gain and the largest offset in RGB levels; for the reference frame its share
        in the frame.
        """
        unrecoverable = UNRECOVERABLE & set(anomaly.kinds)
        if anomaly.cut:
            self.reset()
        if unrecoverable and not self._unrecoverable_for:
            self._reference.note_colours()
        action = self._fall_back_(styled, anomaly) if unrecoverable else None
        self._unrecoverable_for = self._unrecoverable_for + 1 if unrecoverable else 0
        if action is None and unrecoverable and self._show_input_(styled, anomaly):
            return INPUT_SHOWN
        if action is None:
            fields = self._apply_fields_(styled, anomaly)
            action = joined(fields, self._calm_texture_(styled, anomaly))
        if action.touched or not unrecoverable:
            self._reference.keep(styled, anomaly.source)
        return action

    def _show_input_(self, styled: Picture, anomaly: AnomalyMap) -> bool:
        """Show the input in the colours of the reference frame if all of the painting is lost for longer than
        the reference frame may replace it. Texture that was drawn anew has lost edges as well, but is worth
        more than the input."""
        kinds = anomaly.kinds
        worst = next((kind for kind in kinds if kind in {*UNRECOVERABLE, Kind.TEXTURE}), None)
        gone = worst is not Kind.TEXTURE and float(anomaly.unrecoverable.mean()) >= self._config.gone
        if not (gone or Kind.DUPLICATE in kinds) or anomaly.source is None:
            return False
        picture = self._reference.recoloured(anomaly.source)
        if picture is None:
            return False
        np.copyto(styled, picture)
        return True

    def _fall_back_(self, styled: Picture, anomaly: AnomalyMap) -> Action | None:
        """Replace lost content by the reference frame; None if there is none to trust."""
        warped = self._reference.warped(anomaly)
        if warped is None or self._unrecoverable_for >= self._config.fallback_frames:
            return None
        past, share = warped
        if Kind.DUPLICATE not in anomaly.kinds:
            where = cv2.dilate(np.uint8(255) * anomaly.unrecoverable, np.ones((3, 3), np.uint8))
            unrecoverable = cv2.resize(where, styled.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            cv2.multiply(share, unrecoverable, dst=share, scale=1 / 255)
        mix_(styled, past, share)
        return Action("fallback", {"past": mean_share(share)})

    def _calm_texture_(self, styled: Picture, anomaly: AnomalyMap) -> Action:
        """Mix texture that was drawn anew with the reference frame, over the whole frame."""
        config, drawn_anew = self._config, Kind.TEXTURE in anomaly.kinds
        wanted = config.smoothing_share * anomaly.smoothing
        if drawn_anew:
            above = anomaly.scores[Kind.TEXTURE] / anomaly.thresholds[Kind.TEXTURE] - 1
            wanted = max(wanted, config.texture_share * min(1.0, above / config.texture_rise))
        warped = self._reference.warped(anomaly, closely=drawn_anew) if wanted else None
        if warped is None:
            return NO_ACTION
        past, trust = warped
        share = np.asarray(cv2.convertScaleAbs(trust, dst=trust, alpha=wanted), np.uint8)
        if drawn_anew:
            mix_(styled, past, share)
        else:
            sharpness = mean_detail(styled)
            mix_(styled, past, share)
            sharpen_(styled, sharpness)
        return Action("flow blend", {"past": mean_share(share)})

    def _apply_fields_(self, styled: Picture, anomaly: AnomalyMap) -> Action:
        chosen = list(dict.fromkeys(REPAIRS[k] for k in anomaly.kinds if k in REPAIRS))
        if anomaly.smoothing and TILE_GAIN not in chosen:
            chosen.append(TILE_GAIN)
        if not chosen:
            return NO_ACTION
        fields = [repair.field(styled, anomaly) for repair in chosen]
        total = sum(fields[1:], start=fields[0])
        touched = total.touched
        if not touched.any():
            return NO_ACTION
        apply_(styled, total)
        figures = {
            "tiles": float(touched.mean()),
            "gain": 1 + float(total.gain[touched].mean()),
            "offset": float(np.abs(total.offset).max()),
        }
        return Action(" + ".join(repair.name for repair in chosen), figures)


def joined(*actions: Action) -> Action:
    """Several actions on one frame as one."""
    done = [action for action in actions if action.touched]
    if not done:
        return NO_ACTION
    figures = {name: value for action in done for name, value in action.figures.items()}
    return Action(" + ".join(action.name for action in done), figures)


def apply_(picture: Picture, field: TileField) -> None:
    """`(1 + gain) RGB + offset` in place, fields interpolated between tile centres, rounded to nearest.

    Only the rows and columns within half a tile of a touched tile are read or written.
    """
    height, width = picture.shape[:2]
    rows, columns = field.gain.shape
    touched = field.touched
    top, bottom = _extent(np.any(touched, axis=1), height / rows, height)
    left, right = _extent(np.any(touched, axis=0), width / columns, width)
    region = picture[top:bottom, left:right]
    window = (slice(top, bottom), slice(left, right))
    gain = cv2.merge([np.float32(1) + _upsampled(field.gain, (height, width))[window]] * 3)
    if not field.offset.any():
        region[...] = cv2.multiply(region, gain, dtype=cv2.CV_8U)
        return
    offset = np.ascontiguousarray(_upsampled(field.offset, (height, width))[window])
    region[...] = cv2.add(cv2.multiply(region, gain, dtype=cv2.CV_32F), offset, dtype=cv2.CV_8U)


def _extent(touched: NDArray[np.bool_], pitch: float, length: int) -> tuple[int, int]:
    """First and last + 1 pixel within half a tile of the touched tiles."""
    index = np.flatnonzero(touched)
    return max(0, int((index[0] - 0.5) * pitch)), min(length, int((index[-1] + 1.5) * pitch) + 1)


def _upsampled(tiles: Tiles, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(tiles, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _smoothed(values: Tiles, flagged: NDArray[np.bool_]) -> Tiles:
    """(rows, cols, C): weighted mean with the flagged neighbours (1 2 1), exactly 0 elsewhere."""
    member = flagged.astype(np.float32)
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    weight = cv2.sepFilter2D(member, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    inside = np.ascontiguousarray(values * member[..., None])
    total = cv2.sepFilter2D(inside, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    total = np.asarray(total, np.float32).reshape(values.shape)
    weight = np.asarray(weight, np.float32)[..., None]
    return np.where(flagged[..., None], total / np.maximum(weight, np.float32(1e-6)), np.float32(0))
