"""The slate that replaces a lost source: its last picture, dimmed, and two words."""

from __future__ import annotations

import cv2
import numpy as np

from streamstyle.types import Picture

TEXT = "no signal"
_LEFT = 0.3  # share that is left of the picture's light
_WIDTH = 0.28  # of the text, as a share of the picture's width
_GREY = (208, 208, 208)
_FONT = cv2.FONT_HERSHEY_DUPLEX


def slate(picture: Picture) -> Picture:
    """The slate for the last picture, (H, W, 3) RGB; a new picture of the same shape."""
    height, width = picture.shape[:2]
    # Blurred as well: a dimmed picture that is sharp looks like a dark film, not like a stopped one.
    drawn = cv2.GaussianBlur(picture, (0, 0), max(width / 160, 0.8))
    drawn = cv2.convertScaleAbs(drawn, alpha=_LEFT)
    (unit, _), _ = cv2.getTextSize(TEXT, _FONT, 1.0, 1)
    scale = _WIDTH * width / unit
    thick = max(1, round(scale * 1.1))
    (wide, high), _ = cv2.getTextSize(TEXT, _FONT, scale, thick)
    at = ((width - wide) // 2, (height + high) // 2)
    cv2.putText(drawn, TEXT, at, _FONT, scale, _GREY, thick, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)
