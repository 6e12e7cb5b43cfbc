"""What a decoded frame says of how it is to be shown: turned, and with which shape of pixel."""

from __future__ import annotations

from fractions import Fraction

import cv2  # first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
from av.video.stream import VideoStream

from streamstyle.types import Picture

MAX_PIXELS = 2**26  # 8192 x 8192: a damaged header must not ask for all memory

_UPRIGHT = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def turn_of(frame: av.VideoFrame) -> int:
    """Degrees counterclockwise to the upright picture, to the nearest quarter turn."""
    return round(frame.rotation / 90) * 90 % 360


def turned(pixels: Picture, turn: int) -> Picture:
    """The picture turned so many degrees counterclockwise; itself where that is none."""
    if turn == 0:
        return pixels
    upright: Picture = cv2.rotate(pixels, _UPRIGHT[turn])  # type: ignore[assignment]
    return upright


def upright_shape(stream: VideoStream, head: av.VideoFrame) -> tuple[int, int, Fraction]:
    """(width, height, sample aspect ratio) of the stream's upright frames."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = aspect if aspect > 0 else Fraction(1)
    if turn_of(head) in {90, 270}:
        return head.height, head.width, 1 / aspect
    return head.width, head.height, aspect
