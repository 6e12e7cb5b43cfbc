"""Pictures as files of the usual formats."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from streamstyle.errors import ConfigError, SinkError
from streamstyle.files.whole_file import write_whole
from streamstyle.types import Picture

_FORMATS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def read_picture(path: Path) -> Picture:
    """Decode a picture to RGB uint8 (H, W, 3). Raises ConfigError."""
    try:
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ConfigError(f"cannot read picture {path}: {error.strerror}") from error
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its warnings repeat our error
    try:
        bgr = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error:  # a header that declares a picture of an impossible size
        bgr = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if bgr is None:
        raise ConfigError(f"{path} is not a picture that OpenCV can decode: convert it to PNG or JPEG")
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)


def encode(picture: Picture, suffix: str, *, quality: int = 90) -> bytes:
    """RGB uint8 (H, W, 3) as a file of the format that `suffix` names. Raises ConfigError, SinkError."""
    if suffix.lower() not in _FORMATS:
        raise ConfigError(f"cannot write a picture as '{suffix}': use one of {', '.join(_FORMATS)}")
    options = {
        ".png": [],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        **{plain: list[int]() for plain in (".bmp", ".tif", ".tiff")},
    }.get(suffix.lower(), [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    ok, data = cv2.imencode(suffix.lower(), np.ascontiguousarray(picture[..., ::-1]), options)
    if not ok:
        raise SinkError(f"cannot encode a picture of {picture.shape[1]}x{picture.shape[0]} as '{suffix}'")
    return data.tobytes()


def check_format(path: Path) -> None:
    """Raise ConfigError if `write_picture` could not write there; called before the work, not after."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"cannot write a picture as '{path.name}': use one of {', '.join(_FORMATS)}")
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}; make it, or write elsewhere")


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture, whole or not at all. Raises ConfigError, SinkError."""
    write_whole(path, encode(picture, path.suffix))
