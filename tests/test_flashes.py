"""The general-flash test of WCAG 2.2 and the guard that keeps a styled video below it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from clips import DATA, needs_clips
from hypothesis import given, settings
from hypothesis import strategies as st

from streamstyle.files import read_picture
from streamstyle.metrics.similarity import psnr
from streamstyle.temporal.flash_limiter import (
    FLASH_AREA,
    FlashMeter,
    WcagFlashLimiter,
    failing_share,
    relative_luminance,
)
from streamstyle.temporal.motion import halved
from streamstyle.train.data import center_square
from streamstyle.types import Picture

FPS = 30


def grey(level: int) -> Picture:
    return np.full((180, 320, 3), level, np.uint8)


def strobe(dark: int, bright: int, hertz: float, frames: int = 90) -> list[Picture]:
    return [grey(bright if int(i / FPS * hertz * 2) % 2 else dark) for i in range(frames)]


def worst_share(frames: list[Picture]) -> float:
    meter, worst = FlashMeter(), 0.0
    for index, frame in enumerate(frames):
        luminance = relative_luminance(frame)
        worst = max(worst, failing_share(meter.check(luminance, index / FPS)))
        meter.take(luminance, index / FPS)
    return worst


@pytest.mark.parametrize(
    ("dark", "bright", "hertz", "fails"),
    [
        (20, 220, 5, True),
        (20, 220, 3, False),  # three flashes in a second are allowed
        (100, 128, 5, False),  # less than 10 % of luminance apart
        (236, 255, 5, False),  # the darker state is brighter than 0.80
        (20, 110, 10, True),
    ],
)
def test_the_meter_follows_the_standard(dark: int, bright: int, hertz: float, fails: bool) -> None:
    assert (worst_share(strobe(dark, bright, hertz)) >= FLASH_AREA) is fails


def test_a_small_light_may_flash() -> None:
    frames = strobe(20, 220, 5)
    for frame in frames:
        frame[:, :] = np.where(np.arange(320)[None, :, None] < 30, frame, 20)[: frame.shape[0]]
        frame[40:] = 20
    assert 0 < worst_share(frames) < FLASH_AREA


def test_a_slow_fade_is_no_flash() -> None:
    levels = 128 + 100 * np.sin(np.arange(90) / 90 * 2 * np.pi)
    assert worst_share([grey(int(level)) for level in levels]) == 0


@needs_clips
def test_the_guard_keeps_a_flickering_painting_below_the_limit_and_a_calm_one_as_it_is() -> None:
    photo = center_square(read_picture(sorted((DATA / "content").iterdir())[3]), 192)
    flash_limiter, calm = WcagFlashLimiter(), WcagFlashLimiter()
    left = []
    for index, level in enumerate(strobe(30, 100, 6)):
        styled = np.asarray(photo * (level[0, 0, 0] / 100), np.uint8)
        flash_limiter.limit_pictures_(photo, styled, index / FPS)
        left.append(styled)
        still = photo.copy()
        assert calm.limit_pictures_(photo, still, index / FPS) == 0
        assert np.array_equal(still, photo)
    assert worst_share(left) < FLASH_AREA


def test_flashes_of_the_input_pass_unless_they_are_to_be_limited() -> None:
    frames = strobe(20, 220, 6)
    for limit_input in (False, True):
        flash_limiter, left = WcagFlashLimiter(limit_input=limit_input), []
        for index, frame in enumerate(frames):
            styled = frame.copy()
            flash_limiter.limit_pictures_(frame, styled, index / FPS)
            left.append(styled)
        if limit_input:
            assert worst_share(left) < FLASH_AREA
            assert psnr(left[0], frames[0]) == float("inf")
        else:
            assert all(np.array_equal(a, b) for a, b in zip(left, frames, strict=True))


def test_small_flashes_of_the_input_do_not_excuse_what_painting_adds_to_them() -> None:
    def wide(frames: list[Picture], columns: int) -> list[Picture]:
        lit = (np.arange(320) < columns)[None, :, None] & (np.arange(180) < 30)[:, None, None]
        return [np.where(lit, frame, 20).astype(np.uint8) for frame in frames]

    source, painted = wide(strobe(20, 220, 6), 50), wide(strobe(20, 220, 6), 100)
    assert 0 < worst_share(source) < FLASH_AREA < worst_share(painted) < FLASH_AREA + worst_share(source)
    flash_limiter, left = WcagFlashLimiter(), []
    for index, (before, frame) in enumerate(zip(source, painted, strict=True)):
        flash_limiter.limit_pictures_(before, frame, index / FPS)
        left.append(frame)
    assert worst_share(left) < FLASH_AREA


@given(
    seed=st.integers(0, 2**32 - 1),
    hertz=st.tuples(st.floats(2, 12), st.floats(2, 12)),
    share=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)),
    rest=st.integers(0, 60),
)
@settings(max_examples=40)
def test_the_output_never_fails_where_the_input_passes(
    seed: int, hertz: tuple[float, float], share: tuple[float, float], rest: int
) -> None:
    """Blocks that blink in both, each at its own time; the input of the film's first part only."""
    rng = np.random.default_rng(seed)
    flash_limiter, source, output = WcagFlashLimiter(), FlashMeter(), FlashMeter()
    blinks = [rng.random((6, 8)) < part for part in share]
    phase = rng.random((2, 6, 8))
    for index in range(75):
        lit = [np.floor(2 * index / FPS * rate + p) % 2 > 0 for rate, p in zip(hertz, phase, strict=True)]
        levels = [np.where(b & on, 230, 30).astype(np.uint8) for b, on in zip(blinks, lit, strict=True)]
        ways = (cv2.INTER_NEAREST, cv2.INTER_LINEAR)
        pictures = [cv2.resize(x, (64, 48), interpolation=way) for x, way in zip(levels, ways, strict=True)]
        if index >= rest:
            pictures[0][:] = 30
        film, styled = (np.ascontiguousarray(np.stack([p] * 3, axis=-1)) for p in pictures)
        time = index / FPS
        flash_limiter.limit_pictures_(film, styled, time)
        shares = []
        for meter, picture in ((source, film), (output, styled)):
            luminance = relative_luminance(picture)
            shares.append(failing_share(meter.check(luminance, time)))
            meter.take(luminance, time)
        assert shares[1] < FLASH_AREA or shares[0] >= FLASH_AREA


def test_a_frame_of_another_size_starts_anew() -> None:
    flash_limiter = WcagFlashLimiter()
    flash_limiter.limit_pictures_(grey(20), grey(20), 0.0)
    assert flash_limiter.limit_pictures_(grey(20)[:90], grey(220)[:90], 0.1) == 0


def test_looking_first_changes_nothing_of_what_is_taken() -> None:
    """Results of a look are used again; a meter that never looked must come to the same."""
    looked, plain = FlashMeter(), FlashMeter()
    rng = np.random.default_rng(0)
    for index in range(40):
        time = index / FPS
        now = rng.random((36, 64), np.float32)
        other = rng.random((36, 64), np.float32)
        looked.check(other, time)  # not the one that is shown in the end
        expected = plain.check(now.copy(), time)
        np.testing.assert_array_equal(looked.check(now, time), expected)
        looked.take(other if index % 3 == 0 else now, time)
        plain.take((other if index % 3 == 0 else now).copy(), time)
        np.testing.assert_array_equal(looked.room(other), plain.room(other))


def test_the_guard_does_the_same_with_pictures_that_are_halved_already() -> None:
    rng = np.random.default_rng(0)
    film = [
        np.asarray(rng.integers(0, 60, (180, 320, 3)) + level[0, 0], np.uint8) for level in strobe(20, 190, 6)
    ]
    whole, halves = WcagFlashLimiter(), WcagFlashLimiter()
    held = 0.0
    for index, styled in enumerate(film):
        left = styled.copy(), styled.copy()
        held += whole.limit_pictures_(film[0], left[0], index / FPS)
        small = halved(film[0], (90, 160)), halved(styled, (90, 160))
        halves.limit_pictures_(film[0], left[1], index / FPS, small)
        assert np.array_equal(*left)
    assert held > 0
