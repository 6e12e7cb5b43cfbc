"""The motion of the camera, from pictures that move in known ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips

from streamstyle.cli.main import main
from streamstyle.media.av_source import FileSource
from streamstyle.nets.noise import coloured_noise
from streamstyle.pipeline.conditions import MovingCanvas
from streamstyle.temporal.camera_motion import CameraMotion
from streamstyle.types import Frame, Picture, StyleCondition

HEIGHT, WIDTH = 240, 320
SCENE = coloured_noise(2 * HEIGHT, 2 * WIDTH, np.random.default_rng(3))


def seen(
    down: float, right: float, scene: Picture = SCENE, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> Picture:
    """The scene after it has moved so far in the frame, with the noise of a sensor."""
    height, width = size
    move = np.array([[1, 0, right - width / 2], [0, 1, down - height / 2]], np.float32)
    frame = cv2.warpAffine(scene, move, (width, height), flags=cv2.INTER_LINEAR)
    noise = np.random.default_rng(round(1000 * (down + 7 * right))).normal(0, 2, frame.shape)
    return (frame + noise).clip(0, 255).astype(np.uint8)


def shaken(frames: int) -> Iterator[tuple[float, float]]:
    for i in range(frames):
        yield 9 * np.sin(i / 7), 1.3 * i + 4 * np.sin(i / 5)


def test_a_camera_that_pans_and_shakes_is_followed() -> None:
    camera = CameraMotion()
    for down, right in shaken(90):
        assert camera.shift(seen(down, right)) == pytest.approx((down, right), abs=0.6)


def test_large_frames_are_measured_in_their_own_pixels() -> None:
    camera, scene = CameraMotion(), cv2.resize(SCENE, None, fx=3, fy=3)
    for i in range(12):
        found = camera.shift(seen(0, 6.0 * i, np.asarray(scene, np.uint8), (3 * HEIGHT, 3 * WIDTH)))
        assert found == pytest.approx((0, 6.0 * i), abs=1.5)


def test_a_camera_that_stands_moves_nothing() -> None:
    camera = CameraMotion()
    for i in range(30):
        frame = np.random.default_rng(i).normal(seen(0, 0), 3).clip(0, 255).astype(np.uint8)
        assert camera.shift(frame) == (0, 0)


@pytest.mark.parametrize("wall", [SCENE, np.full_like(SCENE, 190)], ids=["room", "plain wall"])
def test_a_person_who_moves_before_it_is_no_camera(wall: Picture) -> None:
    camera = CameraMotion()
    for i in range(40):
        frame = seen(0, 0, wall)
        left = 60 + round(30 * np.sin(i / 4))
        frame[40:, left : left + 130] = SCENE[100 : 100 + HEIGHT - 40, 300:430]
        assert camera.shift(frame) == (0, 0)


def test_after_a_cut_the_canvas_stays_and_moves_on_from_there() -> None:
    camera, other = CameraMotion(), coloured_noise(2 * HEIGHT, 2 * WIDTH, np.random.default_rng(8))
    for i in range(6):
        before = camera.shift(seen(0, 3.0 * i))
    for i in range(6):
        down, right = camera.shift(seen(2.0 * i, 0, other))
        assert (down, right) == pytest.approx((before[0] + 2.0 * i, before[1]), abs=0.6)


def test_pictures_without_anything_to_follow_and_of_other_sizes_move_nothing() -> None:
    camera = CameraMotion()
    for size in ((HEIGHT, WIDTH), (HEIGHT, WIDTH), (90, 160), (8, 8), (2, 300)):
        assert camera.shift(np.full((*size, 3), 77, np.uint8)) == (0, 0)


def test_a_condition_stays_the_same_object_while_nothing_moves() -> None:
    given = StyleCondition(np.zeros((2, 4), np.float32))
    moving = MovingCanvas(lambda _: given)

    def of(right: float) -> StyleCondition:
        return moving(Frame(seen(0, right), 0, 0, 1 / 25, 1, 0.0))  # type: ignore[arg-type]

    assert of(0) is given
    assert of(0) is given
    moved = of(5)
    assert moved.canvas_shift == pytest.approx((0, 5), abs=0.6)
    assert moved.codes is given.codes
    assert of(5) is moved


def change_along_motion(film: Path, frames: list[Picture]) -> float:
    """Mean squared change of a painted film along the motion of what was painted."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    with FileSource(str(film)) as source:
        painted = [frame.pixels.astype(np.float32) for frame in source]
    rows, columns = np.mgrid[: grey[0].shape[0], : grey[0].shape[1]].astype(np.float32)
    changes = []
    for i in range(1, len(frames)):
        back = flow.calc(grey[i], grey[i - 1], np.zeros((*grey[i].shape, 2), np.float32))
        before = cv2.remap(painted[i - 1], columns + back[..., 0], rows + back[..., 1], cv2.INTER_LINEAR)
        changes.append(np.square(before - painted[i])[24:-24, 24:-24].mean())
    return float(np.mean(changes))


@needs_clips
def test_a_handheld_film_changes_less_where_the_canvas_follows(tmp_path: Path) -> None:
    clip = str(clip_named("handheld_rabbit.mp4"))
    with FileSource(clip) as source:
        frames = [frame.pixels for frame, _ in zip(source, range(16), strict=False)]
    changes = {}
    for canvas in ("follow", "still"):
        out = tmp_path / f"{canvas}.mkv"
        options = ["--frames", "16", "--style", "starry-night", "--network", "lite", "--correct", "off"]
        assert main(["run", clip, str(out), *options, "--codec", "ffv1", "--canvas", canvas]) == 0
        changes[canvas] = change_along_motion(out, frames)
    assert changes["follow"] < 0.6 * changes["still"]
