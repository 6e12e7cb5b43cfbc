"""The benchmark measures what it says: its statistics, injections and scenes are tested on known answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clips import clip_named, needs_clips
from hypothesis import given, settings
from hypothesis import strategies as st
from test_temporal_detector import pan, stylize

from streamstyle.bench import baselines
from streamstyle.bench.injections import Film, bursts
from streamstyle.bench.protocol import FIRST, INJECTIONS, Subject, chosen, chosen_scenes, figures, measure
from streamstyle.bench.runs import judge
from streamstyle.bench.scenes import SCENES, Scene
from streamstyle.bench.statistics import auroc, auroc_interval, overlap
from streamstyle.cli.main import main
from streamstyle.metrics.repair import repaired_share

FRAMES = 60


@pytest.fixture(scope="module")
def film() -> Film:
    return pan(FRAMES)


@pytest.fixture(scope="module")
def clean(film: Film) -> Film:
    return [stylize(frame) for frame in film]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30)
)
@settings(deadline=None)
def test_auroc_is_the_share_of_pairs_in_the_right_order(positive: list[int], negative: list[int]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    found = auroc(np.array(positive, float), np.array(negative, float))
    assert found == pytest.approx(np.mean(pairs))


def test_the_interval_holds_the_value_and_widens_with_clips_that_disagree() -> None:
    rng = np.random.default_rng(0)
    alike = [rng.normal(2, 1, 50) for _ in range(6)]
    apart = [rng.normal(shift, 1, 50) for shift in (0, 0, 0, 4, 4, 4)]
    noise = [rng.normal(0, 1, 50) for _ in range(6)]
    first, second = auroc_interval(alike, noise), auroc_interval(apart, noise)
    for interval in (first, second):
        assert interval.low <= interval.value <= interval.high
    assert second.high - second.low > 2 * (first.high - first.low)


def test_overlap_of_half_is_two_thirds_and_one_half() -> None:
    found, true = np.array([True, False]), np.array([True, True])
    assert overlap(found, true) == (2 / 3, 1 / 2)
    assert overlap(~true, ~true) == (1.0, 1.0)


def test_bursts_leave_a_gap_and_stay_inside() -> None:
    found = bursts(100, FIRST)
    assert [len(burst) for burst in found[:3]] == [1, 2, 6]
    assert found[0].start == FIRST
    assert found[-1].stop <= 100


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda injection: injection.name)
def test_an_injection_changes_what_it_says_and_nothing_else(injection, clean: Film) -> None:
    first = injection.apply(clean, FIRST, np.random.default_rng(5))
    again = injection.apply(clean, FIRST, np.random.default_rng(5))
    assert first.hit.any()
    assert not first.hit[:FIRST].any()
    assert not (first.onset & ~first.hit).any()
    for index, (before, after) in enumerate(zip(clean, first.frames, strict=True)):
        assert np.array_equal(after, again.frames[index])
        assert np.array_equal(before, after) is not bool(first.hit[index])
        assert first.masks[index].any() == first.hit[index]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_keeps_length_size_and_type(scene: Scene, film: Film) -> None:
    changed = scene.apply(film, film[::-1], np.random.default_rng(0))
    assert len(changed) == len(film)
    assert all(x.shape == film[0].shape and x.dtype == np.uint8 for x in changed)


@pytest.mark.parametrize("name", baselines.REPAIRS)
def test_a_baseline_leaves_a_still_film_as_it_is(name: str, film: Film) -> None:
    still = [film[0]] * 8
    left = baselines.REPAIRS[name](still, still)
    assert len(left) == 8
    assert max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(left, still, strict=True)) <= 3


@pytest.mark.parametrize("name", ["flow running mean", "screened Poisson"])
def test_a_baseline_that_follows_motion_takes_flicker_off_a_pan(name: str, film: Film, clean: Film) -> None:
    (injection,) = chosen(["gain 5%"])
    injected = injection.apply(clean, FIRST, np.random.default_rng(0))
    hit = np.flatnonzero(injected.hit)
    left = baselines.REPAIRS[name](film, injected.frames)
    stacks = (np.stack([frames[i] for i in hit]) for frames in (left, injected.frames, clean))
    assert repaired_share(*stacks) > 0.2


def test_the_benchmark_finds_a_good_detector_good(film: Film) -> None:
    subject = Subject("pan", "tone", film, film[::-1], 30.0, lambda frames: [stylize(x) for x in frames])
    injections = chosen(["gain 5%", "texture 0.05"])
    found = figures(measure([subject], injections, chosen_scenes(["clean", "strobe"])), injections)
    assert found["auroc"]["gain 5%"]["clean"][0] > 0.99
    assert found["recall"]["gain 5%"] == 1
    assert found["latency_frames"]["gain 5%"]["median"] == 0
    assert found["repaired"]["gain 5% by streamstyle"] > 0.8
    assert found["false_alarms"]["clean"]["alarms"] == 0
    assert found["bit_identical"] == 1
    assert json.loads(json.dumps(found)) == found


def test_judging_changes_no_frame(film: Film, clean: Film) -> None:
    before = [x.copy() for x in clean]
    judge(film, clean)
    assert all(np.array_equal(a, b) for a, b in zip(clean, before, strict=True))


@needs_clips
def test_the_command_prints_tables_and_json_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = str(clip_named("sam2_bedroom.mp4")), tmp_path / "page.html"
    assert (
        main(["bench", "anomaly", clip, "--styles", "udnie", "--frames", "48", "--quick", "-o", str(out)])
        == 0
    )
    said = capsys.readouterr().out
    values = json.loads(said.splitlines()[-1])
    assert values["clips"] == ["sam2_bedroom.mp4"]
    assert set(values["auroc"]) >= {"gain 3%", "drift 0.3 dE"}
    assert "False alarms" in said
    assert "<table>" in out.read_text()


def test_too_few_frames_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "anomaly", "test:?seconds=1", "--frames", "20"]) == 2
    assert main(["bench", "anomaly", "test:?seconds=1"]) == 2
    assert "are needed" in capsys.readouterr().err
