"""Places where a film can be split: at cuts, and nowhere else."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from clips import clip_named, needs_clips

from streamstyle.media.open import open_source
from streamstyle.temporal.scene_cuts import scene_cuts
from streamstyle.types import Frame, Picture


def film(pictures: list[Picture]) -> list[Frame]:
    return [Frame(picture, n, 10 * n, Fraction(1, 250), 10, 0.0) for n, picture in enumerate(pictures)]


def shot(seed: int, frames: int) -> list[Picture]:
    """A camera that pans over a random scene."""
    noise = np.random.default_rng(seed).integers(0, 256, (24, 60, 3)).astype(np.uint8)
    wide = np.kron(noise, np.ones((6, 6, 1), np.uint8))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + 192]) for n in range(frames)]


@pytest.mark.usefixtures("one_thread")
def test_cuts_are_found_and_a_moving_camera_is_none() -> None:
    pictures = [*shot(1, 12), *shot(2, 9), *shot(3, 12)]
    assert list(scene_cuts(film(pictures))) == [120, 210]
    assert list(scene_cuts(film(shot(1, 40)))) == []


@pytest.mark.usefixtures("one_thread")
def test_a_flash_is_no_cut() -> None:
    pictures = shot(1, 1) * 20
    pictures[9] = np.full_like(pictures[9], 255)
    assert list(scene_cuts(film(pictures))) == []


@needs_clips
def test_a_real_film_is_cut_where_its_clips_were_joined() -> None:
    pictures = []
    for name in ("sam2_02_cups.mp4", "handheld_rabbit.mp4", "street_car_detection.mp4"):
        with open_source(str(clip_named(name))) as source:
            frames = (frame.pixels for frame, _ in zip(source, range(12), strict=False))
            pictures += [
                np.ascontiguousarray(p[:: max(len(p) // 120, 1), :: max(len(p) // 120, 1)][:96, :160])
                for p in frames
            ]
    assert list(scene_cuts(film(pictures))) == [120, 240]
