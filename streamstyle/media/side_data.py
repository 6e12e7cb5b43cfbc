"""Side data of decoded frames: display matrix, light levels and the like."""

from __future__ import annotations

from typing import Any

import av
from av.sidedata.sidedata import Type


def _unknown(kind: type[Type], value: object) -> Any:
    unknown: Any = object.__new__(kind)
    unknown._name_, unknown._value_ = f"UNKNOWN_{value}", value
    return unknown


# PyAV 18 raises ValueError for all side data of a frame that has one kind which is not in its list, as the
# EXIF data of JPEG pictures is. This is Python's own hook for values that an Enum does not know.
Type._missing_ = classmethod(_unknown)  # type: ignore[assignment, method-assign]


_LEFT_OUT = {
    "A53_CC": "has closed captions inside its pictures: they are left out",
    "SPHERICAL": "is a 360-degree film: the output does not record that, so players show it flat",
    "STEREO3D": "is a stereo film: only Matroska made from Matroska records that; elsewhere players "
    "show both pictures",
}
"""Side data of pictures that no output takes over."""


def note_left_out(frame: av.VideoFrame, name: str, notes: list[str]) -> None:
    """Note side data of a frame that no output takes over, once each. name: of the film."""
    beside: Any = frame.side_data
    for kind, what in _LEFT_OUT.items():
        told = f"{name} {what}."
        if kind in beside and told not in notes:
            notes.append(told)


def side_data(frame: av.VideoFrame, kind: str) -> bytes:
    """The frame's side data of this kind, a name of `av.sidedata.sidedata.Type`; empty if it has none."""
    beside: Any = frame.side_data
    try:
        return bytes(beside[kind])
    except KeyError:
        return b""
