"""Reports of a run on itself: the page of `--report`, and `explain EVENTS.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page
from test_process import CONDITION, ToneEngine, panning_scene

from streamstyle.cli.main import main
from streamstyle.errors import ConfigError
from streamstyle.explain.moments import read_events, words
from streamstyle.explain.run_report import AnomalyReport, peaks
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.flash_limiter import WcagFlashLimiter
from streamstyle.types import EVENT_SCHEMA, AnomalyEvent, Kind

PLANTED = {50: 1.06, 52: 0.94, 54: 1.06, 70: 0.94}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "events.jsonl"


@pytest.fixture(scope="module")
def report(log: Path) -> AnomalyReport:
    """Report on 90 frames with four planted steps."""
    seen = AnomalyReport()
    with EventLog(log) as events:
        stages = ResidualDetector(), RepairCorrector()
        process = Process(
            ToneEngine(PLANTED), lambda _: CONDITION, RepairStage(*stages, WcagFlashLimiter(), events, seen)
        )
        assert len(list(process(panning_scene(90)))) == 90
    return seen


def test_the_page_shows_the_worst_moments_with_pictures_and_words(report: AnomalyReport) -> None:
    page = Page(report.page("What <happened>", ["90 frames."]))
    text = " ".join(page.texts)
    assert "What <happened>" in text
    assert "script" not in page.tags
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.fetched)
    assert len(page.fetched) % 4 == 0
    assert any(f"frame {index}" in text for index in (50, 52, 54))  # one of neighbours stands for them all
    assert "frame 70" in text
    assert "darkened by" in text
    assert "Tile gain 1.0" in text


def test_a_quiet_film_has_a_page_too() -> None:
    seen = AnomalyReport()
    with EventLog(None) as events:
        process = Process(
            ToneEngine(),
            lambda _: CONDITION,
            RepairStage(ResidualDetector(), RepairCorrector(), None, events, seen),
        )
        list(process(panning_scene(40)))
    text = " ".join(Page(seen.page("quiet", [])).texts)
    assert "0 flagged frames of 40." in text
    assert "None." in text


def test_the_log_alone_makes_a_page(log: Path, report: AnomalyReport, tmp_path: Path, capsys) -> None:
    assert report is not None
    out = tmp_path / "page.html"
    assert main(["explain", str(log), "-o", str(out), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["flagged_frames"] == len(read_events(log)) >= len(PLANTED)
    assert set(values["kinds"]) <= {str(kind) for kind in Kind}
    assert "more than the input explains" in out.read_text()


def test_a_log_of_another_version_or_no_log_is_refused_in_a_sentence(
    log: Path, report: AnomalyReport, tmp_path: Path
) -> None:
    assert report is not None
    other = tmp_path / "other.jsonl"
    first = json.loads(log.read_text().splitlines()[0])
    other.write_text(json.dumps(first | {"schema": EVENT_SCHEMA + 1}) + "\n")
    with pytest.raises(ConfigError, match="schema 3"):
        read_events(other)
    other.write_text("what?\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_events(other)
    with pytest.raises(ConfigError, match="cannot read"):
        read_events(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--image", "a.jpg"], ["events.jsonl", "--style", "udnie"]],
    ids=["nothing", "half", "both"],
)
def test_explain_says_what_it_wants(arguments: list[str], tmp_path: Path, capsys) -> None:
    assert main(["explain", *arguments, "-o", str(tmp_path / "page.html")]) == 2
    assert "--style" in capsys.readouterr().err


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_words(kind: Kind, log: Path, report: AnomalyReport) -> None:
    assert report is not None
    event: AnomalyEvent = read_events(log)[0]
    said = words(
        AnomalyEvent(
            **{name: getattr(event, name) for name in event.__struct_fields__} | {"kinds": [str(kind)]}
        )
    )
    assert said[0].isalnum()
    assert said.endswith(").")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5000))
@settings(max_examples=30)
def test_a_thinned_curve_keeps_its_peak(values: list[float]) -> None:
    points = peaks(list(np.arange(len(values), dtype=float)), values)
    assert len(points) <= 1500
    assert max(y for _, y in points) == max(values)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_run_writes_the_page(tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.html"
    assert main(["run", "test:?seconds=1&size=320x180", "null:", "--report", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["frames_out"] == 30
    assert "flagged frames of 30" in " ".join(Page(out.read_text()).texts)
