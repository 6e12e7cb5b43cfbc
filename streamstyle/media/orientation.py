"""Orientation and pixel shape of decoded frames."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2  # first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
from av.video.stream import VideoStream

from streamstyle.media.side_data import side_data
from streamstyle.types import Picture

MAX_PIXELS = 2**26  # 8192 x 8192: a damaged header must not ask for all memory

_MATRIX = 9 * 4  # bytes
_NEAR = math.cos(math.radians(1))  # FFmpeg's own tolerance for a quarter turn


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations of a picture, applied in this order: transposed (rows become columns),
    flipped_x (left and right swap), flipped_y (top and bottom swap)."""

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False
    exact: bool = True
    """False if the frame's rotation is not a multiple of 90 degrees."""


AS_STORED = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Orientation of the frame according to its display matrix."""
    told = side_data(frame, "DISPLAYMATRIX")
    return nearest_orientation(struct.unpack_from("=9i", told)) if len(told) >= _MATRIX else AS_STORED


def nearest_orientation(matrix: Sequence[int]) -> Orientation:
    """The orientation nearest to a display matrix; as stored if the matrix makes no picture.

    matrix: FFmpeg's nine 16.16 numbers a b u, c d v, x y w, which map the point (p, q) of the stored picture
    to (a p + c q, b p + d q). Its scales belong to the pixel aspect.
    """
    a, b, _, c, d, *_ = matrix
    width, height = math.hypot(a, c), math.hypot(b, d)
    if a * d == b * c:
        return Orientation(exact=False)
    across, down = (a / width, c / width), (b / height, d / height)

    def likeness(it: Orientation) -> float:
        """1 for equal directions, 0 for a quarter turn apart."""
        x, y = (1 - 2 * flipped for flipped in (it.flipped_x, it.flipped_y))
        return (x * across[it.transposed] + y * down[not it.transposed]) / 2

    # The first of equals is the one with the fewest changes.
    best = max(itertools.starmap(Orientation, itertools.product((False, True), repeat=3)), key=likeness)
    return replace(best, exact=likeness(best) > _NEAR)


def note_inexact(name: str, how: Orientation, notes: list[str]) -> None:
    """Note that the source of this name has a rotation between two orientations."""
    if not how.exact:
        notes.append(f"{name} has a rotation that is not a multiple of 90 degrees: the nearest was used.")


def oriented(pixels: Picture, how: Orientation) -> Picture:
    """The stored picture in its orientation; unchanged if that is the same."""
    upright = cv2.transpose(pixels) if how.transposed else pixels
    if how.flipped_x or how.flipped_y:
        # OpenCV's codes: 0 for top and bottom, 1 for left and right, -1 for both.
        upright = cv2.flip(upright, -1 if how.flipped_x and how.flipped_y else int(how.flipped_x))
    seen: Picture = upright  # type: ignore[assignment]
    return seen


def oriented_shape(stream: VideoStream, head: av.VideoFrame) -> tuple[int, int, Fraction]:
    """(width, height, sample aspect ratio) of the stream's upright frames."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = aspect if aspect > 0 else Fraction(1)
    if orientation_of(head).transposed:
        return head.height, head.width, 1 / aspect
    return head.width, head.height, aspect
