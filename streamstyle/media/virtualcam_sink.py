"""Virtual camera for video calls and OBS, through pyvirtualcam if the user has it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from streamstyle.errors import SinkError
from streamstyle.media.film_pacer import FilmPacer
from streamstyle.media.letterbox import letterboxed
from streamstyle.types import Frame, MediaReport, StreamInfo

_REMEDY = {
    "linux": "install v4l2loopback-dkms, then modprobe v4l2loopback exclusive_caps=1",
    "darwin": "install OBS 30 or later and start its virtual camera once",
    "win32": "install OBS and start its virtual camera once",
}
_USUAL_RATE = 30


class VirtualCameraSink:
    """A Sink that other programs see as a webcam. `virtualcam:` takes any free one; `virtualcam:/dev/video9`,
    or a camera's name, takes that one.

    pyvirtualcam is under the GPL, so it is not part of streamstyle, and imported only here. Frames of another
    size than the first are letterboxed. Counter: `frames`.
    """

    def __init__(self, url: str, info: StreamInfo) -> None:
        """Raises SinkError if the package or a camera is missing."""
        device = url.partition(":")[2]
        self._name = url
        self._size = (info.width - info.width % 2, info.height - info.height % 2)
        self._pace = FilmPacer(live=info.live)
        self._frames = 0
        self._camera: Any = _camera(*self._size, float(info.rate or _USUAL_RATE), device or None)
        self._device = str(self._camera.device)

    def write(self, frame: Frame) -> None:
        """Show one frame. Raises SinkError."""
        if self._camera is None:
            raise SinkError(f"{self._name} is closed: no frame can follow.")
        self._pace.wait_for(frame)
        try:
            self._camera.send(np.ascontiguousarray(letterboxed(frame.pixels, *self._size)))
        except (OSError, RuntimeError) as error:
            raise SinkError(f"The virtual camera {self._device} took no frame: {error}.") from error
        self._frames += 1

    def close(self, *, complete: bool) -> None:  # noqa: ARG002
        """Give the camera back."""
        if self._camera is not None:
            self._camera.close()
        self._camera = None

    def report(self) -> MediaReport:
        """Counters so far, and which camera it was."""
        return MediaReport({"frames": self._frames}, (f"The virtual camera was {self._device}.",))


def _camera(width: int, height: int, rate: float, device: str | None) -> Any:
    try:
        library: Any = importlib.import_module("pyvirtualcam")
    except ImportError as error:
        raise SinkError(
            "A virtual camera needs the package pyvirtualcam, which is optional since it is under the GPL: "
            "pip install 'streamstyle[live]'."
        ) from error
    try:
        return library.Camera(width=width, height=height, fps=rate, device=device)
    except RuntimeError as error:
        wanted = f"The virtual camera {device} cannot be used" if device else "There is no virtual camera"
        reason = "; ".join(str(error).splitlines())
        remedy = _REMEDY.get(sys.platform, "install one that pyvirtualcam supports")
        raise SinkError(f"{wanted} ({reason}): {remedy}.") from error
