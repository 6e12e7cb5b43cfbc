"""Regions that are suddenly not painted, or in another style, are found; what the input does is not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips

from streamstyle.engines.open_engine import open_engine, paint_all
from streamstyle.engines.request import EngineRequest, NetworkWeights
from streamstyle.styles.bundle import ORIGINAL, load_bundle
from streamstyle.styles.mix import condition_codes
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.drift import LabPair
from streamstyle.temporal.lab import small_lab
from streamstyle.temporal.motion import analysis_picture
from streamstyle.temporal.style import StyleConfig, StyleMismatch, StyleTest
from streamstyle.types import AnomalyMap, Kind, Picture, StyleCondition

SIZE = HEIGHT, WIDTH = 180, 320
FRAMES = 72
BURST = slice(58, 64)
ROOM = (slice(40, 140), slice(80, 240))
"""28 % of the area."""


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def film(clip: str) -> tuple[Picture, ...]:
    import av  # noqa: PLC0415  (after cv2)

    with av.open(str(clip_named(clip))) as container:
        decoded = (f for f, _ in zip(container.decode(video=0), range(FRAMES), strict=False))
        return tuple(f.reformat(width=WIDTH, height=HEIGHT, format="rgb24").to_ndarray() for f in decoded)


@cache
def painted(clip: str, style: str) -> tuple[Picture, ...]:
    if style == ORIGINAL:
        return film(clip)
    bundle = load_bundle()
    engine = open_engine(
        EngineRequest(HEIGHT, WIDTH, NetworkWeights(bundle.manifest.architecture, bundle.weights))
    )
    try:
        return tuple(paint_all(engine, film(clip), StyleCondition(condition_codes(bundle, style, None))))
    finally:
        engine.close()


def judged(source: Sequence[Picture], styled: Sequence[Picture]) -> list[AnomalyMap]:
    """The detector's findings where nothing is repaired."""
    detector, found = ResidualDetector(), []
    for before, after in zip(source, styled, strict=True):
        found.append(detector.detect(before, after))
        detector.commit(after, touched=False)
    return found


def frames_with_style(found: Sequence[AnomalyMap]) -> list[int]:
    return [t for t, anomaly in enumerate(found) if Kind.STYLE in anomaly.kinds]


@needs_clips
@pytest.mark.parametrize("style", ["udnie", "starry-night"])
@pytest.mark.parametrize("clip", ["street_car_detection.mp4", "handheld_rabbit.mp4"])
def test_clean_paintings_raise_nothing(clip: str, style: str) -> None:
    assert frames_with_style(judged(film(clip), painted(clip, style))) == []


@needs_clips
@pytest.mark.parametrize("other", [ORIGINAL, "wheat-field"])
@pytest.mark.parametrize("clip", ["sam2_02_cups.mp4", "object_bottle_detection.mp4"])
def test_a_region_in_another_style_is_found_where_it_is(clip: str, other: str) -> None:
    styled = [frame.copy() for frame in painted(clip, "udnie")]
    for t in range(BURST.start, BURST.stop):
        styled[t][ROOM] = painted(clip, other)[t][ROOM]
    found = judged(film(clip), styled)
    assert frames_with_style(found) == list(range(BURST.start, BURST.stop))
    inside = np.zeros(SIZE, np.float32)
    inside[ROOM] = 1
    truth = cv2.resize(inside, (12, 9), interpolation=cv2.INTER_AREA) > 0.5
    tiles = found[BURST.start].tiles
    assert (tiles & truth).sum() > 0.7 * truth.sum()


@needs_clips
@pytest.mark.parametrize("clip", ["sam2_02_cups.mp4", "object_bottle_detection.mp4"])
def test_a_region_in_a_style_of_like_colours_is_found_if_not_named(clip: str) -> None:
    """Udnie and The Starry Night are about as dark and as grey on the cups: it may be told as damage."""
    styled = [frame.copy() for frame in painted(clip, "udnie")]
    for t in range(BURST.start, BURST.stop):
        styled[t][ROOM] = painted(clip, "starry-night")[t][ROOM]
    found = judged(film(clip), styled)
    meant = {Kind.STYLE, Kind.DISTORTION}
    told = [t for t, anomaly in enumerate(found) if meant & set(anomaly.kinds)]
    assert set(range(BURST.start, BURST.stop)) <= set(told)


def labs(source: Picture, styled: Picture) -> LabPair:
    return LabPair(*(small_lab(analysis_picture(each, SIZE)) for each in (source, styled)))


def scene(seed: int = 1) -> Picture:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(40, 200, (9, 16, 3)).astype(np.float32), (WIDTH, HEIGHT))
    return np.asarray(coarse, np.uint8)


def swapped(frame: Picture) -> Picture:
    """A style that makes other colours of the same."""
    return np.ascontiguousarray(255 - frame[..., ::-1])


def recoloured(frame: Picture) -> Picture:
    """Other colours, the same luma: no edge is lost."""
    return np.asarray(
        cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]], cv2.COLOR_YCrCb2RGB), np.uint8
    )


def follow(test: StyleTest, source: Picture, styled: Picture, times: int = 1) -> StyleMismatch:
    for _ in range(times):
        found = test.evaluate(labs(source, styled))
        test.learn(found)
    return found


def taught(config: StyleConfig | None = None) -> tuple[StyleTest, Picture, Picture]:
    """A test that knows a scene, the scene, and the scene as it is painted with a room left unpainted."""
    test, source = StyleTest(config or StyleConfig()), scene()
    assert follow(test, source, swapped(source), 30).ratio < 1
    hurt = swapped(source)
    hurt[ROOM] = source[ROOM]
    return test, source, hurt


def test_another_style_is_flagged_as_long_as_it_stays_until_it_is_the_new_one() -> None:
    test, source, hurt = taught(StyleConfig(hold_frames=10))
    assert all(follow(test, source, hurt).ratio > 1 for _ in range(11))
    assert follow(test, source, hurt, 30).ratio < 1


def test_judge_has_no_effect() -> None:
    test, source, hurt = taught()
    first = test.evaluate(labs(source, hurt))
    assert test.evaluate(labs(source, hurt)).measure == first.measure
    assert not test.active


def test_a_frame_that_is_not_looked_at_is_what_the_last_one_was() -> None:
    test, source, hurt = taught()
    found = follow(test, source, hurt)
    assert test.active
    assert test.evaluate(None).ratio == found.ratio > 1


def test_something_that_enters_is_not_another_style() -> None:
    """Painted darker to the right, what enters gets colours that no map of the rest foretells."""
    shade = np.linspace(1, 0.3, WIDTH, dtype=np.float32)[None, :, None]

    def paint(frame: Picture) -> Picture:
        return np.asarray(swapped(frame) * shade, np.uint8)

    test, source = StyleTest(StyleConfig()), scene()
    follow(test, source, paint(source), 30)
    entered = source.copy()
    entered[40:140, 160:] = source[::-1, ::-1][40:140, 160:]
    assert follow(test, entered, paint(entered)).ratio < 1


def test_a_new_shot_is_learnt_before_it_is_judged() -> None:
    test, source, hurt = taught()
    assert test.evaluate(labs(source, hurt), new_shot=True).ratio == 0
    test.restart()
    assert follow(test, source, hurt, StyleConfig().warm_up).ratio == 0


def test_one_bad_frame_says_nothing_of_the_next() -> None:
    source = [scene()] * 60
    styled = [swapped(frame) for frame in source]
    styled[54] = np.zeros_like(styled[54])
    assert frames_with_style(judged(source, styled)) == [54]


def test_the_past_stands_in_for_a_region_in_another_style() -> None:
    source = [scene()] * 66
    clean = [swapped(frame) for frame in source]
    styled = [frame.copy() for frame in clean]
    for frame in styled[60:63]:
        frame[ROOM] = recoloured(frame)[ROOM]
    detector, corrector, done, left = ResidualDetector(), RepairCorrector(), [], []
    for before, after in zip(source, styled, strict=True):
        anomaly = detector.detect(before, after)
        left.append(after.copy())
        action = corrector.correct_(left[-1], anomaly)
        done.append(action.name)
        detector.commit(left[-1], touched=action.touched)
    assert done[60:62] == ["fallback"] * 2
    assert "fallback" not in done[62]
    assert (
        np.abs(left[60].astype(int) - clean[60]).mean()
        < 0.2 * np.abs(styled[60].astype(int) - clean[60]).mean()
    )
