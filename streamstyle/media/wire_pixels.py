"""Pictures as bytes of a message, and back; see `wire`."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import SourceError
from streamstyle.media.wire import MAX_PIXELS, MAX_SIDE, Format, Header
from streamstyle.types import Picture


def picture_bytes(
    pixels: Picture, form: Format, quality: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """An RGB picture in another format; in `out` where that is given and the format is not jpeg.

    `rgb24` without `out` is the very array. quality: of a JPEG, 1..100.
    """
    if form is Format.JPEG:
        # 4:2:0 and no optimised tables: OpenCV's defaults, the fastest.
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        assert done, "libjpeg writes any picture"
        return np.asarray(data, np.uint8)
    if form is Format.RGB24:
        if out is None:
            return np.ascontiguousarray(pixels)
        np.copyto(out, pixels)
        return out
    code = cv2.COLOR_RGB2BGR if form is Format.BGR24 else cv2.COLOR_RGB2GRAY
    return np.asarray(cv2.cvtColor(pixels, code, dst=out), np.uint8)


def raw_shape(pixels: Picture, form: Format) -> tuple[int, ...]:
    """The shape of a picture in a format that is not jpeg."""
    return pixels.shape[:2] if form is Format.GRAY else pixels.shape


def native(header: Header, body: Any) -> NDArray[np.uint8]:
    """The picture as it was sent, without a copy: (H, W) for gray, (H, W, 3) RGB for rgb24, else BGR.

    body: the second part, or a copy of the slot. Raises SourceError for a damaged or too large JPEG.
    """
    data = np.frombuffer(body, np.uint8)
    if header.format is Format.JPEG:
        return _decoded(data, header)
    shape = header.shape[:2] if header.format is Format.GRAY else header.shape
    return data.reshape(tuple(int(length) for length in shape))


def rgb(pixels: NDArray[np.uint8], form: Format) -> Picture:
    """Result of `native` as RGB (H, W, 3)."""
    if form is Format.RGB24:
        return pixels
    code = cv2.COLOR_GRAY2RGB if form is Format.GRAY else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def bgr(pixels: NDArray[np.uint8], form: Format) -> Picture:
    """Result of `native` as BGR (H, W, 3), OpenCV's order."""
    if form in {Format.BGR24, Format.JPEG}:
        return pixels
    code = cv2.COLOR_GRAY2BGR if form is Format.GRAY else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _decoded(data: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    said = _jpeg_size(data.tobytes())
    if said is None or header.size not in {None, said}:
        raise SourceError(f"the message holds no JPEG of {header.size or 'any size'}.")
    if max(said) > MAX_SIDE or said[0] * said[1] > MAX_PIXELS:
        raise SourceError(f"a JPEG of {said[0]}x{said[1]} is larger than is allowed.")
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise SourceError(f"a JPEG does not decode: {error.err}.") from error
    if picture is None:
        raise SourceError("a JPEG does not decode.")
    return np.asarray(picture, np.uint8)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the frame header of a JPEG (ITU T.81, B.2.2), or None: checked before a few bytes
    can claim gigabytes."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
