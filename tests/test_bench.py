"""The benchmark measures what it says: its statistics, injections and scenes are tested on known answers."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import clip_named, needs_clips
from hypothesis import given
from hypothesis import strategies as st
from pages import Page
from test_temporal_detector import pan, stylize

from streamstyle.bench import baselines
from streamstyle.bench.ablations import ABLATIONS
from streamstyle.bench.exact import exact_method, warp_errors
from streamstyle.bench.figures import EVERY_FILM, UNSIGNED, figures
from streamstyle.bench.films import tasks_of
from streamstyle.bench.flashes import NewFlashes, failing, new_flashes
from streamstyle.bench.ghosts import Uncovered, estimated_motion, ghost_leak
from streamstyle.bench.goals import GOALS, Goal, GoalResult, compare_to_goals
from streamstyle.bench.injections import Film, bursts, gained
from streamstyle.bench.measure import Plan, measure
from streamstyle.bench.pool import each
from streamstyle.bench.protocol import (
    COMPARED,
    EXPECTED,
    FIRST_HIT_FRAME,
    QUICK,
    QUICK_SCENES,
    VALIDATION,
    chosen,
    injections_for,
)
from streamstyle.bench.rendered import RenderedFilm, render
from streamstyle.bench.report import part_of
from streamstyle.bench.report_page import as_page
from streamstyle.bench.runs import OURS, Method, run_method
from streamstyle.bench.scenes import SCENES, Scene
from streamstyle.bench.statistics import (
    auroc,
    auroc_interval,
    operating_point,
    overlap,
    rate_bound,
    rising_edges,
)
from streamstyle.bench.subjects import StylePainter, Subject
from streamstyle.cli.main import main
from streamstyle.metrics.repaired_share import repaired_share
from streamstyle.types import Kind

FRAMES = 60


@pytest.fixture(scope="module")
def film() -> Film:
    return pan(FRAMES)


@pytest.fixture(scope="module")
def clean(film: Film) -> Film:
    return [stylize(frame) for frame in film]


@pytest.fixture(scope="module")
def rendered() -> RenderedFilm:
    return render(FRAMES, (320, 180))


def paint(film: Film) -> Film:
    return [stylize(x) for x in film]


def restyle(film: Film) -> Film:
    return [np.ascontiguousarray(x[..., ::-1]) for x in paint(film)]


def modulate(film: Film, factors: Sequence[float]) -> Film:
    return [gained(x, factor) for x, factor in zip(paint(film), factors, strict=True)]


PAINTER = StylePainter(paint, restyle, modulate)
NAMES = [injection.name for injection in injections_for([], PAINTER)]


def subject_of(film: Film) -> Subject:
    return Subject("pan", "tone", film, film[::-1], 30.0, PAINTER)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30)
)
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
    found = bursts(100, FIRST_HIT_FRAME)
    assert [len(burst) for burst in found[:3]] == [1, 2, 6]
    assert found[0].start == FIRST_HIT_FRAME
    assert found[-1].stop <= 100


@pytest.mark.parametrize("name", NAMES)
def test_an_injection_changes_what_it_says_and_nothing_else(name: str, film: Film, clean: Film) -> None:
    (injection,) = chosen([name], injections_for(film, PAINTER))
    first = injection.apply(clean, FIRST_HIT_FRAME, np.random.default_rng(5))
    again = injection.apply(clean, FIRST_HIT_FRAME, np.random.default_rng(5))
    assert first.hit.any()
    assert not first.hit[:FIRST_HIT_FRAME].any()
    assert not (first.onset & ~first.hit).any()
    for index, (before, after) in enumerate(zip(clean, first.frames, strict=True)):
        assert np.array_equal(after, again.frames[index])
        assert np.array_equal(before, after) is not bool(first.hit[index])
        assert first.masks[index].any() == first.hit[index]


@pytest.mark.parametrize("name", [n for n in NAMES if "patch" in n or "other style" in n])
def test_a_patch_stays_inside_its_mask(name: str, film: Film, clean: Film) -> None:
    (injection,) = chosen([name], injections_for(film, PAINTER))
    injected = injection.apply(clean, FIRST_HIT_FRAME, np.random.default_rng(5))
    for index in np.flatnonzero(injected.hit):
        changed = (injected.frames[index] != clean[index]).any(axis=2)
        far = ~injected.masks[index]
        # The edge is softened over a few pixels.
        assert changed[far].mean() < 0.25
        assert changed[injected.masks[index]].mean() > 0.5


def test_a_painter_without_statistics_is_spared_their_injection(film: Film) -> None:
    names = [injection.name for injection in injections_for(film, StylePainter(paint, restyle))]
    assert "statistics 10%" in NAMES
    assert "statistics 10%" not in names
    assert set(EXPECTED) | set(QUICK) | set(COMPARED) <= set(names)


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
    injected = injection.apply(clean, FIRST_HIT_FRAME, np.random.default_rng(0))
    hit = np.flatnonzero(injected.hit)
    left = baselines.REPAIRS[name](film, injected.frames)
    stacks = (np.stack([frames[i] for i in hit]) for frames in (left, injected.frames, clean))
    assert repaired_share(*stacks) > 0.2


def test_the_benchmark_finds_a_good_detector_good(film: Film) -> None:
    plan = Plan(["gain 5%", "texture 0.05"], ["clean", "strobe"])
    found = figures(measure(subject_of(film), plan))
    assert found["auroc"]["gain 5%"]["clean"][0] > 0.99
    assert found["recall"]["gain 5%"] == 1
    assert found["recall_at_operating_point"]["gain 5%"] == 1
    assert found["operating_points"]["step"]["per_minute"] == 0
    assert found["latency_frames"]["gain 5%"]["median"] == 0
    assert found["repaired"]["gain 5%"] > 0.8
    assert found["false_alarms"]["clean"]["alarms"] == 0
    assert found["bit_identical"] == 1
    assert found["methods"] == {"subjects": 0, "rows": {}}
    assert json.loads(json.dumps(found)) == found


def test_a_flash_that_only_the_painting_has_is_counted_and_held_back(film: Film) -> None:
    def strobes(frames: Film) -> Film:
        return [gained(x, 0.3 if i % 6 < 3 else 1.7) for i, x in enumerate(paint(frames))]

    subject = replace(subject_of(film), painter=StylePainter(strobes, restyle))
    measured = figures(measure(subject, Plan(["gain 3%"], ["clean"])))
    assert "flash" not in measured["false_alarms_everywhere"]["kinds"]
    found = measured["new_flashes"]
    assert set(found) == {EVERY_FILM, "clean", "gain 3%"}
    assert found["clean"]["frames"] == FRAMES
    assert found["clean"]["painted"] > 10
    assert found[EVERY_FILM]["painted"] == found["clean"]["painted"] + found["gain 3%"]["painted"]
    assert found[EVERY_FILM]["left"] == 0
    assert measured["guard_held"] > 0.1


def test_a_flash_of_the_film_itself_excuses_its_painting(film: Film) -> None:
    strobe = [gained(x, 0.3 if i % 6 < 3 else 1.7) for i, x in enumerate(film)]
    assert failing(strobe, 30.0).sum() > 10
    assert not failing(film, 30.0).any()
    assert new_flashes(failing(strobe, 30.0), strobe, film, 30.0) == NewFlashes(FRAMES, 0, 0)
    slow = failing(strobe, 10.0)  # the same pictures at a third of the rate
    assert not slow.any()


def test_stabilise_mode_is_scored_against_the_plain_painting(film: Film) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 12, x.shape) for x in film]

    def restless(frames: Film) -> Film:
        return [np.rint(np.clip(x + n, 0, 255)).astype(np.uint8) for x, n in zip(frames, noise, strict=True)]

    def stabilise(frames: Film, _fps: float, consistency: float) -> Film:
        return [
            np.rint(x + consistency * (y.astype(float) - x)).astype(np.uint8)
            for x, y in zip(restless(frames), frames, strict=True)
        ]

    painter = StylePainter(restless, restyle, stabilise=stabilise)
    subject = replace(subject_of(film), painter=painter, distance=lambda a, b: float(np.mean(a != b)))
    measured = measure(subject, Plan(["gain 3%"], ["clean"], consistencies=(0.0, 0.5)))
    found = figures(measured)["stabilise"]
    assert found["0"]["steadier"] == found["0"]["distance"] == 0
    assert found["0"]["sharpness"] == found["0"]["contrast"] == 1
    # Half of the noise is a quarter of its square, beside what the pan itself has.
    assert found["0.5"]["steadier"] == pytest.approx(0.75, abs=0.05)
    assert found["0.5"]["steadier_long"] == pytest.approx(0.75, abs=0.05)
    assert found["0.5"]["sharpness"] < 0.97
    assert found["0.5"]["clips"]["pan"]["steadier"] == found["0.5"]["steadier"]
    errors = found["0.5"]["warp_error"]
    assert errors["source"] < errors["left"] < errors["painted"]


def stabilised_figures(*settings: tuple[float, float, float]) -> dict[str, Any]:
    keys = ("steadier", "distance", "sharpness")
    return {"stabilise": {str(i): dict(zip(keys, s, strict=True)) for i, s in enumerate(settings)}}


def test_the_goal_of_stabilise_mode_counts_settings_that_keep_the_painting() -> None:
    goal = next(goal for goal in GOALS if goal.name.startswith("stabilise"))

    def told(*settings: tuple[float, float, float]) -> list[str]:
        return GoalResult(goal, goal.value(stabilised_figures(*settings))).cells[3:]

    assert told((0.4, 0.01, 0.99), (0.55, 0.04, 0.97), (0.9, 0.05, 0.99)) == ["0.55", "must"]
    assert told((0.9, 0.05, 0.99), (0.9, 0.01, 0.9)) == ["none meets both", "missed"]
    assert told() == ["-", "not measured"]


def test_another_style_in_a_region_is_scored_as_such(film: Film) -> None:
    red = StylePainter(paint, lambda frames: [np.full_like(x, (200, 40, 40)) for x in frames])
    subject = replace(subject_of([film[0]] * FRAMES), painter=red)
    (measured,) = measure(subject, Plan(["other style in 8.0%"], ["clean", "shadow"]))
    found = figures([measured])
    assert found["auroc"]["other style in 8.0%"]["clean"][0] == 1
    assert found["recall"]["other style in 8.0%"] == 1
    (injected,) = measured.injections
    # A region in another style lasts: all of its frames count, not only those where it comes.
    assert injected.hit.sum() > injected.onset.sum()
    assert (injected.scores["style"][injected.hit] > 1).all()


def test_other_repairs_touch_clean_frames_and_the_ablations_have_their_rows(film: Film) -> None:
    plan = Plan(["gain 3%"], ["clean", "strobe"], ABLATIONS, repairs=True)
    rows = figures(measure(subject_of(film), plan))["methods"]["rows"]
    assert set(rows) == {OURS, UNSIGNED, *(m.name for m in ABLATIONS), *baselines.REPAIRS}
    assert rows[OURS]["clean_identical"] == 1
    for name in baselines.REPAIRS:
        assert rows[name]["clean_identical"] < 0.5
    assert rows["always on"]["repaired"]["gain 3%"] > 0.5
    assert rows["always on"]["false_alarms"] is None
    referenced, blind = (rows[n]["auroc"]["gain 3%"]["strobe"] for n in (OURS, "not input-referenced"))
    assert blind < referenced


def test_an_ablation_lacks_what_it_says(film: Film) -> None:
    cut = [*film[:10], *(np.ascontiguousarray(255 - x[::-1]) for x in film[10:20])]
    by_name = {method.name: run_method(cut, paint(cut), method).maps for method in (Method(), *ABLATIONS)}
    assert [i for i, m in enumerate(by_name[OURS]) if m.cut] == [10]
    assert not any(m.cut for m in by_name["no cut gate"])
    flows = [m.flow for m in by_name["no motion compensation"] if m.flow is not None]
    assert flows
    assert not any(flow.any() for flow in flows)
    assert all(m.tiles.all() and Kind.FLICKER in m.kinds for m in by_name["always on"])


def test_judging_changes_no_frame(film: Film, clean: Film) -> None:
    before = [x.copy() for x in clean]
    run_method(film, clean)
    assert all(np.array_equal(a, b) for a, b in zip(clean, before, strict=True))


def test_no_alarm_in_three_minutes_proves_less_than_one_a_minute() -> None:
    assert rate_bound(0, 3) == pytest.approx(1, abs=0.002)
    assert rate_bound(1, 1) == pytest.approx(4.744, abs=0.001)
    assert rate_bound(2000, 1) == pytest.approx(2074.9, abs=1)


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=4), st.integers(0, 5)
)
def test_an_operating_point_keeps_its_limit(films: list[list[int]], limit: int) -> None:
    scores = [np.array(film, float) for film in films]
    threshold = operating_point(scores, limit)
    assert sum(rising_edges(film > threshold) for film in scores) <= limit
    lower = [v for film in films for v in film if v < threshold]
    if lower:
        assert sum(rising_edges(film > max(lower)) for film in scores) > limit


def test_a_ghost_leaks_as_much_as_was_mixed_in() -> None:
    rng = np.random.default_rng(0)
    past, painted = rng.integers(0, 256, (2, 60, 80, 3)).astype(np.uint8)
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    hidden = np.zeros((60, 80), np.bool_)
    hidden[:, :20] = True
    new = Uncovered(np.stack([columns, rows], axis=-1), hidden)
    mixed = np.rint(0.3 * past + 0.7 * painted.astype(float)).astype(np.uint8)
    assert ghost_leak(mixed, painted, past, new) == pytest.approx(0.3, abs=0.01)
    assert ghost_leak(painted, painted, past, new) == 0
    assert ghost_leak(past, painted, past, new) == 1
    assert ghost_leak(past, painted, painted, new) is None
    assert ghost_leak(past, painted, past, Uncovered(new.positions, hidden & False)) is None


def test_a_rendered_film_knows_its_motion(rendered: RenderedFilm) -> None:
    errors = warp_errors(rendered, rendered.frames, step=10)
    # Noise of one level, twice, and what interpolation blurs.
    assert errors["exact"]["source"] * 255**2 < 25
    assert errors["exact"]["pixels"] > 0.9
    for index in (5, 25, 55):
        new, match = rendered.uncovered[index], rendered.matches[index]
        assert not (new.hidden & match.visible).any()
        assert 0 < new.hidden.mean() < 0.1
        guess = estimated_motion(rendered.frames)(index).hidden
        assert (guess & ~match.visible).sum() > 0.5 * guess.sum()


def test_exact_flow_is_worth_something(rendered: RenderedFilm) -> None:
    subject = Subject("rendered", "tone", rendered.frames, rendered.frames, 30.0, PAINTER)
    rows = figures(measure(subject, Plan(["gain 3%"], ["clean"], (exact_method(rendered),))))["methods"][
        "rows"
    ]
    assert rows["exact flow"]["repaired"]["gain 3%"] > 0.8
    assert rows["exact flow"]["auroc"]["gain 3%"]["clean"] >= rows[OURS]["auroc"]["gain 3%"]["clean"] - 0.01


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no processes")
def test_every_process_has_a_processor_of_its_own() -> None:
    places = sorted(os.sched_getaffinity(0))
    found = [place for _, place in each(os.sched_getaffinity, [0] * 4, 2)]
    assert len(found) == 4
    assert all(len(place) == 1 for place in found)
    assert sorted(os.sched_getaffinity(0)) == places


def test_an_error_of_a_process_arrives() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(each(int, ["1", "x", "3"], 2))


def test_clips_that_thresholds_were_chosen_on_stand_apart() -> None:
    parts = [part_of(name, "rendered") for name in (VALIDATION[0], "mine.mp4", "rendered")]
    assert parts == ["validation", "held out", "rendered"]


def test_each_clip_is_compared_in_one_style_and_each_style_has_its_turn() -> None:
    tasks = tasks_of(["a", "b", "c"], ["one", "two"], 60, quick=True)
    assert [(t.clip, t.style) for t in tasks if t.compared] == [("a", "one"), ("b", "two"), ("c", "one")]
    assert all(t.style != t.other_style and t.other in "abc" for t in tasks)
    assert len(tasks) == 7


def test_a_goal_knows_better_from_worse() -> None:
    most = Goal("ms", 3.0, 1.5, lambda _: None, least=False)
    assert [most.verdict(v) for v in (1.0, 2.0, 4.0, None)] == ["stretch", "must", "missed", "not measured"]
    least = Goal("share", 0.5, None, lambda _: None)
    assert [least.verdict(v) for v in (0.5, 0.4)] == ["must", "missed"]


def test_the_page_stands_alone_and_shows_the_worst(film: Film, tmp_path: Path) -> None:
    def flickers(frames: Film) -> Film:
        # A painting that flickers by itself: alarms on a clean film, which are false ones here.
        return [gained(x, 1 + 0.2 * (i == 40)) for i, x in enumerate(paint(frames))]

    subject = Subject("pan", "tone", film, film[::-1], 30.0, StylePainter(flickers, restyle))
    measured = measure(subject, Plan(["gain 3%", "patch 8.0% of 10%"], ["clean"]))
    found = figures(measured)
    text = as_page("Anomaly benchmark", ["A fact."], {"held out": found}, measured, None)
    parsed = Page(text)
    assert [line.goal for line in compare_to_goals(found)] == list(GOALS)
    assert any("clean on pan in tone, frame 40" in told for told in parsed.texts)
    assert all(link.startswith("data:image/jpeg") for link in parsed.fetched)
    assert len(text) < 400_000


@needs_clips
def test_the_command_prints_tables_and_json_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = str(clip_named("sam2_bedroom.mp4")), tmp_path / "page.html"
    options = ["--styles", "udnie", "--frames", "48", "--quick", "--jobs", "1", "-o", str(out)]
    assert main(["bench", "anomaly", clip, *options]) == 0
    said = capsys.readouterr()
    values = json.loads(said.out.splitlines()[-1])
    assert values["clips"] == ["sam2_bedroom.mp4"]
    assert list(values["parts"]) == ["validation", "rendered"]
    found = values["parts"]["validation"]
    assert set(found["auroc"]) == set(QUICK)
    assert list(found["stabilise"]) == ["1"]
    assert 0 < found["stabilise"]["1"]["steadier"] < 1
    assert found["new_flashes"][EVERY_FILM]["frames"] == 48 * (len(QUICK) + len(QUICK_SCENES) + 1)
    assert set(found["methods"]["rows"]) > set(baselines.REPAIRS)
    assert values["exact_flow"]["warp_error"]["exact"]["pixels"] > 0.9
    assert "False alarms" in said.out
    assert "2 of 2" in said.err
    assert "<table>" in out.read_text()


def test_what_cannot_be_measured_is_refused_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "anomaly", "test:?seconds=1", "--frames", "20"]) == 2
    assert main(["bench", "anomaly", "test:?seconds=1"]) == 2
    assert "are needed" in capsys.readouterr().err
    assert main(["bench", "anomaly", "a.mp4", "b/a.mp4"]) == 2
    assert "two clips are named a.mp4" in capsys.readouterr().err
    assert main(["bench", "anomaly", "test:?seconds=2", "--styles", "udni"]) == 2
    assert "udnie" in capsys.readouterr().err
