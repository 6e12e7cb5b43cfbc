"""Several streams at once: their file, their processes, and what is shown of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from peers import wait_for
from prometheus_client.parser import text_string_to_metric_families
from stand_in_run import CodeEngine, StandInSource, stand_in_sources
from test_control_room import engine, served  # noqa: F401 - a fixture

from streamstyle.batch import workers
from streamstyle.cli import serve
from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.flow import FlowStatus, Future, StopRequest, metrics_text
from streamstyle.media import backoff
from streamstyle.streams import supervisor
from streamstyle.streams.stream_file import load_streams
from streamstyle.streams.stream_messages import parse_state
from streamstyle.streams.stream_process import StreamProcess, placings
from streamstyle.web.room_state import RoomState
from streamstyle.web.stream_metrics import merged


def file_of(folder: Path, text: str) -> Path:
    path = folder / "streams.yaml"
    path.write_text(text)
    return path


def test_an_entry_is_a_name_and_any_settings_of_a_run(tmp_path: Path) -> None:
    text = """
    - {name: door, source: "test:", sinks: ["null:"], style: udnie, consistency: 0.5}
    - {name: garden-2, source: "rtsp://camera/garden", sinks: ["null:"]}
    """
    door, garden = load_streams(file_of(tmp_path, text))
    assert (door.name, door.config.style, door.config.sinks) == ("door", "udnie", ("null:",))
    assert (door.config.consistency, garden.name) == (0.5, "garden-2")
    assert garden.config.source == "rtsp://camera/garden"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a list of streams"),
        ("name: door", "must be a list of streams"),
        ("[]", "must be a list of streams"),
        ("- door", "entry 1 must have a name and a source"),
        ("- {source: 'test:'}", "entry 1 needs a name"),
        ("- {name: 'Front Door', source: 'test:'}", "entry 1 needs a name of a-z"),
        ("- {name: '../x', source: 'test:'}", "entry 1 needs a name of a-z"),
        ("- {name: 7, source: 'test:'}", "entry 1 needs a name of a-z"),
        ("- {name: door}", "'door': it names no source"),
        ("- {name: door, source: 'test:', styel: udnie}", "'door': unknown setting 'styel' (did you mean"),
        ("- {name: door, source: 'test:', style: 7}", "'door': a setting does not fit"),
        ("- {name: door, source: 'test:', style: undie}", "unknown style 'undie' (did you mean 'udnie'?)"),
        ("- {name: door, source: 'test:'}\n- {name: door, source: 'test:'}", "2 streams are named 'door'"),
        (
            "- {name: a, source: 'test:', sinks: ['rtmp://user:word@host/x']}\n"
            "- {name: b, source: 'test:', sinks: ['rtmp://user:word@host/x']}",
            "2 streams write to rtmp://",
        ),
        ("- {name: [", "is not YAML"),
    ],
)
def test_a_bad_file_is_refused_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = file_of(tmp_path, text)
    assert main(["serve", "--streams", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert str(path) in line
    assert "word" not in line


def test_what_the_file_says_is_not_said_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file_of(tmp_path, "- {name: door, source: 'test:'}")
    assert main(["serve", "test:", "--style", "udnie", "--streams", str(path)]) == 2
    assert "leave out SOURCE and --style" in capsys.readouterr().err
    assert main(["serve", "--streams", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: No such file" in capsys.readouterr().err


def test_streams_share_processors_and_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "processors", lambda: [0, 1, 4, 5, 6])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-7")
    assert [(p.processors, p.gpu) for p in placings(2)] == [((0, 4, 6), "2"), ((1, 5), "GPU-7")]
    assert [p.gpu for p in placings(5)] == ["2", "GPU-7", "2", "GPU-7", "2"]
    assert [p.processors for p in placings(7)] == [(0,), (1,), (4,), (5,), (6,), (0,), (1,)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [(p.processors, p.gpu) for p in placings(1)] == [((), None)]


def test_figures_of_all_are_one_text_that_can_be_read() -> None:
    def text(frames: int) -> str:
        status = FlowStatus(frames, frames, {"capture": 1, 'a "sink"': 2}, {}, {}, 1.0, fps=12.5)
        return metrics_text(status)

    told = merged({"door": text(7), "garden": text(9), "yard": None}, {"door": 2, "garden": 0, "yard": 5})
    families = {family.name: family for family in text_string_to_metric_families(told)}
    assert len(families) == len(list(text_string_to_metric_families(text(7)))) + 2
    samples = {
        (s.name, s.labels["stream"], s.labels.get("at")): s.value
        for family in families.values()
        for s in family.samples
    }
    assert samples["streamstyle_frames_captured_total", "door", None] == 7
    assert samples["streamstyle_frames_captured_total", "garden", None] == 9
    assert samples["streamstyle_frames_dropped_total", "garden", 'a "sink"'] == 2
    assert [samples["streamstyle_stream_up", name, None] for name in ("door", "garden", "yard")] == [1, 1, 0]
    assert samples["streamstyle_stream_restarts_total", "yard", None] == 5


def test_a_stream_that_is_to_end_before_it_began_ends(tmp_path: Path) -> None:
    (stream,) = load_streams(file_of(tmp_path, "- {name: door, source: 'test:'}"))
    process = StreamProcess(stream, [], placings(1)[0])
    process.end()
    assert process.run(lambda _: pytest.fail("it serves"), lambda _: None) == "was ended by SIGTERM"


class EndsAtOnce:
    """A process that cannot be started, and then ends as soon as it was, with another style set."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.state = RoomState(RunConfig(style="udnie"))

    def forget(self) -> bool:
        before, self.state = self.state, RoomState(RunConfig())
        return before != self.state

    def run(self, on_address: Callable[[str], None], on_said: Callable[[str], None]) -> str:
        self.begun.append(time.monotonic())
        if len(self.begun) == 1:
            raise OSError(11, "Resource temporarily unavailable")
        return "ended with 3"

    def end(self) -> None:
        pass

    kill = end


def test_what_keeps_dying_is_started_again_after_longer_and_longer_pauses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The last restart drops the changed settings, which may be the cause."""
    monkeypatch.setattr(supervisor, "RESTARTS", backoff.Backoff((0.1, 0.2, 0.4, 3600.0), (1.0, 1.0)))
    (stream,) = load_streams(file_of(tmp_path, "- {name: door, source: 'test:'}"))
    process, said = EndsAtOnce(), list[str]()
    kept = supervisor.KeptStream(stream, process, said.append)  # type: ignore[arg-type]
    assert kept.facts.style == "udnie"
    kept.start()
    wait_for(lambda: len(said) == 5, "the fourth end")
    assert kept.facts.style == "starry-night"
    assert "cannot be started (Resource temporarily unavailable)" in said[0]
    assert said[1:] == [
        "its process ended with 3: restarting it in 0 s",
        "its process ended with 3: restarting it in 0 s",
        "it ended soon after its start, repeatedly: it begins with the file's settings",
        "its process ended with 3: restarting it in 3600 s",
    ]
    pauses = [later - sooner for sooner, later in pairwise(process.begun)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True))
    assert (kept.facts.restarts, kept.facts.why) == (3, "its process ended with 3")
    assert 3500 < kept.facts.again_in <= 3600
    kept.end()
    kept.wait(60.0)
    assert kept.facts.restarts == 3, "it ended within the pause"


def test_a_source_that_fails_is_begun_again_after_a_pause(
    engine: list[type[CodeEngine]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(backoff, "RESTARTS", backoff.Backoff(pauses=(0.02,), jitter=(1.0, 1.0)))
    stand_in_sources(monkeypatch, camera=StandInSource(fails=True))
    said: list[str] = []
    with served(tmp_path) as room:
        stop = StopRequest()
        room.room.begin()
        keeping = Future(serve._Restarts(room.room, stop, said.append).keep)
        room.until(lambda _: len(said) >= 3)
        assert all("nobody is there" in sentence and "Trying again in" in sentence for sentence in said)
        stop.request()
        keeping.wait()
        assert room.room.service.failed is not None, "the last pause was cut short"
        Future(serve._Restarts(room.room, StopRequest(), said.append).keep)
        stand_in_sources(monkeypatch, camera=StandInSource())
        room.until(lambda status: status["state"] == "running")


def test_a_state_that_a_killed_process_left_unfinished_is_none() -> None:
    whole = 'mark {"config": {}, "running": true}'
    assert parse_state(whole, "mark ") == RoomState(RunConfig(), running=True)
    assert parse_state('mark {"config": {}, "runn', "mark ") is None
