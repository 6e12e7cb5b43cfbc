"""Cameras of this machine."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

DEMUXER = {"darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True)
class CameraFormat:
    """A format of a camera."""

    fourcc: str
    """FourCC, such as "MJPG" or "YUYV"."""
    width: int
    height: int
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Camera:
    """A camera."""

    url: str
    """Its address as `run` takes it."""
    name: str
    problem: str = ""
    """The reason if it cannot be used, otherwise empty."""
    formats: tuple[CameraFormat, ...] = ()
    """Formats of its pictures; empty if unknown."""


def cameras() -> tuple[Camera, ...]:
    """All cameras of this machine. Opens none for capture."""
    if sys.platform == "linux":
        return tuple(_linux_cameras())
    demuxer = DEMUXER.get(sys.platform)
    if demuxer is None:
        return ()
    try:
        devices = av.enumerate_input_devices(demuxer)
    except (av.FFmpegError, ValueError):
        return ()
    seen = [device for device in devices if "video" in device.media_types]
    # AVFoundation lists screens beside cameras.
    found = [(i, d) for i, d in enumerate(seen) if not d.description.startswith("Capture screen")]
    return tuple(Camera(f"webcam:{i}", device.description) for i, device in found)


def camera_names() -> list[str]:
    """`webcam:0 (its name)` of each camera."""
    return [f"{camera.url} ({camera.name})" for camera in cameras()]


# linux/videodev2.h: _IOWR('V', n, struct) and the layouts of the structs, as every Linux has them.
_CAPTURE = 1
_DEVICE_CAPS = 0x8000_0000
_DISCRETE = 1


def _ask(number: int, size: int) -> int:
    return 3 << 30 | size << 16 | ord("V") << 8 | number


_QUERYCAP = 2 << 30 | 104 << 16 | ord("V") << 8
_ENUM_FMT = _ask(2, 64)
_ENUM_FRAMESIZES = _ask(74, 44)
_ENUM_FRAMEINTERVALS = _ask(75, 52)


def _linux_cameras() -> Iterator[Camera]:
    def number(path: Path) -> int:
        return int(path.name.removeprefix("video"))

    nodes = [p for p in Path("/dev").glob("video*") if p.name.removeprefix("video").isdigit()]
    for path in sorted(nodes, key=number):
        url = f"webcam:{number(path)}"
        sysfs = Path(f"/sys/class/video4linux/{path.name}/name")
        name = sysfs.read_text().strip() if sysfs.exists() else path.name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except PermissionError:
            yield Camera(
                url, name, f"{path} may not be read: sudo usermod -aG video $USER, then log in again"
            )
            continue
        except OSError as error:
            yield Camera(url, name, f"{path} cannot be opened: {error.strerror}")
            continue
        try:
            camera = _asked(descriptor, url)
        finally:
            os.close(descriptor)
        if camera is not None:
            yield camera


def _asked(descriptor: int, url: str) -> Camera | None:
    """Description by the driver; None for a node that captures nothing, such as a camera's metadata."""
    answer = _ioctl(descriptor, _QUERYCAP, b"", 104)
    if answer is None:
        return None
    card = answer[16:48].split(b"\0")[0].decode(errors="replace")
    capabilities, of_node = struct.unpack_from("=II", answer, 84)
    if not (of_node if capabilities & _DEVICE_CAPS else capabilities) & _CAPTURE:
        return None
    return Camera(url, card, "", tuple(_formats(descriptor)))


def _formats(descriptor: int) -> Iterator[CameraFormat]:
    for i in range(64):
        told = _ioctl(descriptor, _ENUM_FMT, struct.pack("=II", i, _CAPTURE), 64)
        if told is None:
            return
        fourcc = told[44:48]
        for j in range(256):
            size = _ioctl(descriptor, _ENUM_FRAMESIZES, struct.pack("=I4s", j, fourcc), 44)
            if size is None:
                break
            # A range of sizes gives its largest: min, max and step of the width, then of the height.
            kind, *bounds = struct.unpack_from("=I6I", size, 8)
            width, height = bounds[:2] if kind == _DISCRETE else (bounds[1], bounds[4])
            rates = tuple(sorted(_rates(descriptor, fourcc, width, height), reverse=True))
            yield CameraFormat(fourcc.decode("latin-1").strip(), width, height, rates)
            if kind != _DISCRETE:
                break


def _rates(descriptor: int, fourcc: bytes, width: int, height: int) -> Iterator[float]:
    for k in range(64):
        asked = struct.pack("=I4sII", k, fourcc, width, height)
        told = _ioctl(descriptor, _ENUM_FRAMEINTERVALS, asked, 52)
        if told is None:
            return
        kind, numerator, denominator = struct.unpack_from("=III", told, 16)
        if numerator:
            yield round(denominator / numerator, 3)
        if kind != _DISCRETE:
            return


def _ioctl(descriptor: int, request: int, asked: bytes, size: int) -> bytes | None:
    import fcntl  # noqa: PLC0415 - there is none on Windows

    answer = bytearray(asked.ljust(size, b"\0"))
    try:
        fcntl.ioctl(descriptor, request, answer)
    except OSError:
        return None
    return bytes(answer)
