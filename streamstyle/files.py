"""Files and pictures: read, and written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from streamstyle.errors import ConfigError, SinkError
from streamstyle.types import Picture

_FORMATS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write beside `path`, under a name of its own, then rename into place; on failure nothing is left. Two
    writers never share a file. mode: permissions, less the process's umask. Raises SinkError."""
    if not path.name:
        raise SinkError(f"cannot write {path}: it is a folder, name a file in it")
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(mode, exist_ok=False)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SinkError(f"cannot write {path}: {error.strerror}") from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents, if they do not exist. Raises SinkError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make the folder {path}: {error.strerror}") from error


def check_writable(path: Path) -> None:
    """Raise SinkError if no file can be made at `path`; called before the work, not after."""
    if path.is_dir() or not path.name:
        raise SinkError(f"cannot write {path}: it is a folder, name a file in it")
    if not path.resolve().parent.is_dir():
        raise SinkError(f"cannot write {path}: there is no folder {path.parent}; make it, or write elsewhere")
    if not os.access(path if path.exists() else path.resolve().parent, os.W_OK):
        raise SinkError(f"cannot write {path}: the permissions of it or its folder do not allow it")


def read_picture(path: Path) -> Picture:
    """Decode a picture to RGB uint8 (H, W, 3). Raises ConfigError."""
    try:
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ConfigError(f"cannot read picture {path}: {error.strerror}") from error
    try:
        bgr = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error:  # a header that declares a picture of an impossible size
        bgr = None
    if bgr is None:
        raise ConfigError(f"{path} is not a picture that OpenCV can decode")
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
    if not path.resolve().parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}; make it, or write elsewhere")


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture, whole or not at all. Raises ConfigError, SinkError."""
    write_whole(path, encode(picture, path.suffix))
