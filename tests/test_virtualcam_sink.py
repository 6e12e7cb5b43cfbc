"""The virtual camera, up to the driver that test machines lack: a backend stands in for it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from live_film import SIZE, live_frame, live_info

from streamstyle.errors import SinkError
from streamstyle.media.open import open_sink


class Driver:
    """A backend of pyvirtualcam that takes what a driver takes."""

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        if device not in {None, "/dev/video9"}:
            raise RuntimeError(f"{device} is none")
        if width % 2 or height % 2:
            raise RuntimeError("odd size")
        self.pictures: list[np.ndarray] = []
        self.size, self.fps, self.closed = (width, height), fps, False
        DRIVERS.append(self)

    def send(self, frame: np.ndarray) -> None:
        self.pictures.append(frame.reshape(self.size[1], self.size[0], 3).copy())

    def close(self) -> None:
        self.closed = True

    def device(self) -> str:
        return "/dev/video9"

    def native_fourcc(self) -> int | None:
        return None


DRIVERS: list[Driver] = []


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> list[Driver]:
    """The real package with a driver that keeps what it is shown."""
    library = pytest.importorskip("pyvirtualcam", reason="pyvirtualcam is optional")
    monkeypatch.setattr(library.camera, "BACKENDS", {"test": Driver})
    DRIVERS.clear()
    return DRIVERS


def test_the_camera_shows_every_frame_as_it_is(driver: list[Driver]) -> None:
    sink = open_sink("virtualcam:", live_info(None))
    frames = [live_frame(number) for number in range(3)]
    for frame in frames:
        sink.write(frame)
    sink.close(complete=True)
    np.testing.assert_array_equal(driver[0].pictures, [frame.pixels for frame in frames])
    assert driver[0].fps == 20
    assert driver[0].closed
    assert sink.report().counters == {"frames": 3}
    assert "/dev/video9" in sink.report().notes[0]
    with pytest.raises(SinkError, match="closed"):
        sink.write(frames[0])


def test_frames_of_another_size_are_letterboxed(driver: list[Driver]) -> None:
    sink = open_sink("virtualcam:/dev/video9", live_info(None))
    sink.write(live_frame(0, pixels=np.full((96, 96, 3), 200, np.uint8)))
    sink.close(complete=True)
    (shown,) = driver[0].pictures
    assert shown.shape == (SIZE[1], SIZE[0], 3)
    assert (shown[:, 32:128] == 200).all()
    assert not shown[:, :32].any()
    assert not shown[:, 128:].any()


def test_a_camera_that_is_not_there_is_one_clear_sentence(driver: list[Driver]) -> None:
    with pytest.raises(SinkError, match=r"/dev/video1 cannot be used .*/dev/video1 is none"):
        open_sink("virtualcam:/dev/video1", live_info(None))


def test_without_a_driver_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def camera(**_: Any) -> Any:
        raise RuntimeError("'v4l2loopback' backend: No v4l2 loopback device found")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=camera))
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SinkError, match=r"no virtual camera .*modprobe v4l2loopback"):
        open_sink("virtualcam:", live_info(None))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(SinkError, match=r"pip install 'streamstyle\[live\]'"):
        open_sink("virtualcam:", live_info(None))
