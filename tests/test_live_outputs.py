"""Outputs that come and go, and repair that is switched, while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from stand_in_run import LONG, CodeEngine, StandInSource, stand_in_sources

from streamstyle.config import RunConfig
from streamstyle.engines.request import SizeOpener
from streamstyle.errors import ConfigError, SinkError
from streamstyle.live import Session
from streamstyle.media import open as media_open
from streamstyle.media.null_sink import NullSink
from streamstyle.pipeline import changeable_run
from streamstyle.pipeline import network as build_network
from streamstyle.pipeline.model import Model
from streamstyle.types import Frame, InferenceFuture, Picture, StyleCondition


class FlickeringEngine(CodeEngine):
    """Paints eight pictures dark, eight bright, and so on."""

    def __init__(self) -> None:
        self.count = 0

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        self.count += 1
        level = 60 if self.count // 8 % 2 else 0
        rows = np.linspace(60, 140, pixels.shape[0], dtype=np.float32)[:, None, None]
        picture = np.broadcast_to(rows + level, pixels.shape).astype(np.uint8)
        return InferenceFuture(picture.copy)


def model(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Model:
    codes = np.zeros((2, 2), np.float32)
    return Model(SizeOpener(lambda _height, _width: FlickeringEngine()), codes, lambda _: codes)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> StandInSource:
    source = StandInSource()
    stand_in_sources(monkeypatch, camera=source)
    for module in (build_network, changeable_run):
        monkeypatch.setattr(module, "load_model", model)
    return source


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def frames_more(run: Session, count: int) -> None:
    before = run.status()["frames_out"]
    until(lambda: run.status()["frames_out"] > before + count)


@pytest.mark.usefixtures("camera")
def test_a_file_is_added_and_finished_while_the_run_goes_on(tmp_path: Path) -> None:
    film = tmp_path / "part.mkv"
    with Session("camera:", ["null:"], correct="off") as run:
        frames_more(run, 3)
        names = [output["name"] for output in run.add_sink(str(film))["outputs"]]
        assert names == ["null:", str(film)]
        with pytest.raises(ConfigError, match="is already an output"):
            run.add_sink(str(film))
        frames_more(run, 30)
        assert [output["name"] for output in run.remove_sink(str(film))["outputs"]] == ["null:"]
        with av.open(str(film)) as container:
            assert sum(1 for _ in container.decode(video=0)) >= 20
        with pytest.raises(ConfigError, match="there is no output"):
            run.remove_sink(str(film))
        run.remove_sink("null:")
        assert run.status()["outputs"] == []
        frames_more(run, 3)
    with pytest.raises(ConfigError, match="the run has ended"):
        run.add_sink("null:")


class Breaking(NullSink):
    """Fails at its third frame."""

    seen = 0

    def write(self, frame: Frame) -> None:
        self.seen += 1
        if self.seen == 3:
            raise SinkError("the line is cut")


@pytest.mark.usefixtures("camera")
def test_an_added_output_that_fails_ends_alone_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(media_open._SINKS, "breaking", lambda *_: Breaking())
    with Session("camera:", ["null:"], correct="off") as run:
        with pytest.raises(ConfigError, match="No output is called"):
            run.add_sink("nowhere:")
        run.add_sink("breaking:")
        until(lambda: run.status()["outputs"][1]["failed"] == "the line is cut")
        frames_more(run, 10)
        run.remove_sink("breaking:")
        run.add_sink("breaking:")
        assert run.status()["outputs"][1]["failed"] is None
    assert run.wait().frames_out > 10


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize("first", ["repair", "off"])
def test_repair_is_switched_off_and_on(first: str) -> None:
    with Session("camera:", ["null:"], correct=first) as run:
        run.set(correct="repair")
        until(lambda: run.status()["flagged"] > 3)
        run.set(correct="off")
        frames_more(run, 4)  # those that were judged already
        before = run.status()["flagged"]
        frames_more(run, 40)
        assert run.status()["flagged"] == before
        assert run.set(correct="repair", flash_guard=True)["flash_guard"]
        until(lambda: run.status()["flagged"] > before)
        with pytest.raises(ConfigError, match="Invalid enum value"):
            run.set(correct="perhaps")
