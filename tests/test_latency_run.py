"""`--latency` in whole runs, with an engine that is too slow at full size."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from stand_in_run import CodeEngine, StandInSource, stand_in_sources

from streamstyle.config import RunConfig
from streamstyle.engines.request import SizeOpener
from streamstyle.errors import ConfigError
from streamstyle.flow import StopRequest
from streamstyle.pipeline.job import Job, RunSummary
from streamstyle.pipeline.model import Model
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_job import run_job
from streamstyle.types import Engine, InferenceFuture, Picture, StyleCondition

REST = ("only the newest waiting frame is kept", "every second frame is checked")


class SlowEngine(CodeEngine):
    """Takes 50 ms for a frame, which comes every 10."""

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        painted = super().start(pixels, condition)

        def wait() -> Picture:
            time.sleep(0.05)
            return painted.result()

        return InferenceFuture(wait)


def run(
    monkeypatch: pytest.MonkeyPatch, deadline: str, slow: bool
) -> tuple[RunSummary, list[int], list[str]]:
    source = StandInSource(shape=lambda _: (192, 320), count=1 << 30 if slow else 60)
    source.info = replace(source.info, width=320, height=192)
    stand_in_sources(monkeypatch, camera=source)
    opened: list[int] = []
    told: list[str] = []
    stop = StopRequest()

    def open_engine(height: int, width: int) -> Engine:
        opened.append(width)
        if width == 160:
            stop.request()
        return SlowEngine() if slow and width == 320 else CodeEngine()

    summary = run_job(
        Job("camera:", ("null:",)),
        RunConfig(latency=deadline),
        stop=stop,
        model=Model(SizeOpener(open_engine), np.full((2, 1), 100, np.float32)),
        hooks=RunHooks(notify=told.append),
    )
    return summary, opened, told


def test_frames_that_are_too_old_let_one_thing_after_the_other_give_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary, opened, told = run(monkeypatch, "20ms", slow=True)
    assert summary.live is not None
    latency = summary.live["latency"]
    assert latency["reliefs"][0] == REST[0]
    assert latency["reliefs"][1].startswith(REST[1])
    assert latency["reliefs"][2] == "painting at 160x96"
    assert opened[:2] == [320, 160]
    changes = [change["what"] for change in latency["changes"]]
    assert changes[:3] == [one for one in told if "are allowed; now" in one][:3]
    assert [one.partition("now: ")[2] for one in changes[:3]] == latency["reliefs"][:3]
    assert summary.drops["capture"] == summary.frames_in - summary.frames_out > 0


def test_nothing_gives_way_where_frames_are_young_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    summary, opened, _ = run(monkeypatch, "10s", slow=False)
    assert summary.live is not None
    assert summary.live["latency"]["steps"] == 0
    assert opened == [320]


@pytest.mark.parametrize(("source", "latency"), [("test:?seconds=1", "100ms"), ("test:?live=1", "soon")])
def test_a_latency_that_cannot_be_is_refused(source: str, latency: str) -> None:
    with pytest.raises(ConfigError, match="latency"):
        run_job(
            Job(source, ("null:",)),
            RunConfig(latency=latency),
            stop=StopRequest(),
            model=Model(SizeOpener(lambda _h, _w: CodeEngine()), np.zeros((2, 1), np.float32)),
        )
