"""`--consistency`: films that flicker everywhere become steadier, and stay as sharp."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_temporal_detector import pan, stylize

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.flow import StopRequest
from streamstyle.media.encoding import Encoding
from streamstyle.media.open import open_sink, open_source
from streamstyle.pipeline.job import Job, RunSummary
from streamstyle.pipeline.run_job import repair_job, run_job
from streamstyle.temporal.correction_plan import CorrectionPlanConfig
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import DetectorConfig, ResidualDetector
from streamstyle.temporal.reference_frame import mean_detail
from streamstyle.temporal.scene_smoothing import MAX_SMOOTHING, SceneSmoothing
from streamstyle.types import Frame, Picture

FRAMES = 30
SPEED = 2  # pixels a frame to the left, and one up: see `pan`


def swimming(film: list[Picture]) -> list[Picture]:
    """Strokes drawn anew in every frame, and a pulse."""
    rng = np.random.default_rng(0)
    drawn = []
    for x in film:
        noise = cv2.GaussianBlur(rng.normal(0, 25, x.shape[:2]).astype(np.float32), (0, 0), 1.2)
        pulse = 1 + rng.normal(0, 0.01)
        drawn.append(np.rint(np.clip(pulse * x + noise[..., None], 0, 255)).astype(np.uint8))
    return drawn


def steadied(source: list[Picture], film: list[Picture], consistency: float) -> list[Picture]:
    detector = ResidualDetector(DetectorConfig(correction=CorrectionPlanConfig(smoothing=consistency)))
    corrector, left = RepairCorrector(), []
    for before, painted in zip(source, film, strict=True):
        picture = painted.copy()
        action = corrector.correct_(picture, detector.detect(before, picture))
        detector.commit(picture, touched=action.touched)
        left.append(picture)
    return left


def unrest(film: list[Picture]) -> float:
    """Mean squared change along the known motion, second half."""
    changes = [
        np.mean((b[:-1, :-SPEED].astype(float) - a[1:, SPEED:]) ** 2)
        for a, b in zip(film[FRAMES // 2 :], film[FRAMES // 2 + 1 :], strict=False)
    ]
    return float(np.mean(changes))


def test_a_film_that_swims_everywhere_becomes_steadier_and_stays_as_sharp() -> None:
    source = pan(FRAMES)
    film = swimming([stylize(x) for x in source])
    half, whole = steadied(source, film, 0.5), steadied(source, film, 1.0)
    assert unrest(whole) < 0.5 * unrest(film)
    assert unrest(whole) < unrest(half) < unrest(film)
    ratios = [mean_detail(a) / mean_detail(b) for a, b in zip(whole[5:], film[5:], strict=True)]
    assert np.mean(ratios) > 0.95


def test_steadying_lets_a_change_of_the_painting_through() -> None:
    source = pan(60)
    film = [
        np.rint(np.clip(stylize(x) * (1.0 if t < 20 else 0.85), 0, 255)).astype(np.uint8)
        for t, x in enumerate(source)
    ]
    left = steadied(source, film, 1.0)
    assert abs(left[59].mean() / film[59].mean() - 1) < 0.03


def frame(pixels: Picture) -> Frame:
    return Frame(pixels, 0, 0, Fraction(1, 30), 1, 0.0)


def test_the_past_holds_within_a_shot_and_not_over_a_cut() -> None:
    hold = SceneSmoothing(0.5)
    first, second = pan(4, seed=1), pan(4, seed=2)
    assert [hold.of(frame(x)) for x in (*first, *second)] == [
        0,
        *[0.5 * MAX_SMOOTHING] * 3,
        0,
        *[0.5 * MAX_SMOOTHING] * 3,
    ]


def run(consistency: float) -> RunSummary:
    return run_job(
        Job("test:", ("null:",), frames=6),
        RunConfig(consistency=consistency),
        stop=StopRequest(),
    )


def test_the_engine_holds_its_statistics_only_where_it_is_asked_to_be_steady() -> None:
    assert not run(0.0).engine.stateful
    summary = run(0.7)
    assert summary.engine.stateful
    assert summary.to_json()["consistency"] == 0.7
    assert not summary.notes


def test_what_keeps_no_statistics_says_so(tmp_path: Path) -> None:
    film = tmp_path / "painted.mp4"
    with open_source("test:") as source:
        sink = open_sink(str(film), source.info, Encoding(quality=20))
        for index, picture in zip(range(8), source, strict=False):
            assert picture.index == index
            sink.write(replace(picture, pixels=255 - picture.pixels))
        sink.close(complete=True)
    summary = repair_job(
        "test:",
        Job(str(film), ("null:",), frames=6),
        RunConfig(consistency=1.0),
        stop=StopRequest(),
    )
    assert any("keeps no statistics" in note for note in summary.notes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--consistency", "1", "--correct", "off"], "--correct off"),
        (["--consistency", "1.5"], "consistency"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "test:", "null:", "--frames", "2", *options]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
