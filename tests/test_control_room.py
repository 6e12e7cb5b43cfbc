"""The control room over HTTP and its WebSocket, with a source and an engine that are steered."""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families
from stand_in_run import LONG, CodeEngine, StandInSource, stand_in_sources
from test_web_guard import TOKEN, ask, post, socketed
from websockets.sync.client import ClientConnection

from streamstyle.config import RunConfig, load_config
from streamstyle.engines.request import SizeOpener
from streamstyle.errors import SinkError
from streamstyle.media import open as media_open
from streamstyle.media.null_sink import NullSink
from streamstyle.media.paced_source import PacedSource
from streamstyle.pipeline import changeable_run
from streamstyle.pipeline import control_room as room_module
from streamstyle.pipeline import network as build_network
from streamstyle.pipeline.control_room import ControlRoomConfig, control_room
from streamstyle.pipeline.model import Model
from streamstyle.types import Frame, InferenceFuture, Kind, Picture, StyleCondition
from streamstyle.web.app import KINDS, ControlRoom, application
from streamstyle.web.guard import Access, AccessGuard
from streamstyle.web.openapi import document
from streamstyle.web.pages import POLICY, open_paths
from streamstyle.web.policy import Policy
from streamstyle.web.room_state import RoomState, first_state
from streamstyle.web.server import WebServer, listening
from streamstyle.web.wall import HEIGHT, WIDTH

LEVELS = {"starry-night": 60.0, "udnie": 120.0, "original": 200.0}


class FlickeringEngine(CodeEngine):
    """Paints the level of the code, and every second eight pictures 50 levels brighter."""

    def __init__(self) -> None:
        self.count = 0

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        self.count += 1
        level = float(condition.codes[0, 0]) + (50 if self.count // 8 % 2 else 0)
        return InferenceFuture(lambda: np.full_like(pixels, np.uint8(level)))


def codes_of(config: RunConfig) -> NDArray[np.float32]:
    level = LEVELS.get(config.style, 90.0) * config.strength
    return np.full((2, 2), level, np.float32)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[type[CodeEngine]]:
    """The kind of engine that paints: its one element."""
    kinds: list[type[CodeEngine]] = [CodeEngine]

    def model(config: RunConfig, tell: Callable[[str], None] = lambda _: None) -> Model:
        return Model(SizeOpener(lambda _height, _width: kinds[0]()), codes_of(config), codes_of)

    for module in (build_network, changeable_run, room_module):
        monkeypatch.setattr(module, "load_model", model)
    return kinds


class Room:
    """A control room that is served, and what a page would do."""

    def __init__(self, room: ControlRoom, port: int) -> None:
        self.room, self.port = room, port

    def do(self, verb: str, **values: Any) -> dict[str, Any]:
        status, _, body = post(self.port, f"/api/{verb}", values)
        answer: dict[str, Any] = json.loads(body)
        assert status == (200 if answer["ok"] else 400)
        return answer

    def status(self) -> dict[str, Any]:
        return dict(json.loads(ask(self.port, "GET", f"/status.json?token={TOKEN}")[2]))

    def until(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        deadline = time.monotonic() + LONG
        while not true(status := self.status()):
            assert time.monotonic() < deadline, status
            time.sleep(0.02)
        return status


@contextmanager
def served(folder: Path, *sinks: str, source: str | None = "camera:", **settings: Any) -> Iterator[Room]:
    """A control room with this source and these sinks."""
    state = first_state(RunConfig(network="lite", source=source, sinks=sinks, **settings))
    with served_with(folder, state, []) as room:
        yield room


@contextmanager
def served_with(folder: Path, state: RoomState, told: list[RoomState]) -> Iterator[Room]:
    """A control room that begins with a state and tells of changes."""
    policy = Policy(sources=["camera:", "other:"], sinks=list(state.outputs))
    room = control_room(ControlRoomConfig(state, folder / "captures", policy, told.append), lambda _: None)
    listener = listening("127.0.0.1", 0)
    access = Access(int(listener.getsockname()[1]), TOKEN, open=open_paths(), kinds=KINDS)
    with WebServer(listener, AccessGuard(application(room), access, POLICY)) as server:
        yield Room(room, server.port)
        room.close()


def shot(viewer: ClientConnection) -> tuple[dict[str, Any], dict[str, Picture], list[dict[str, Any]]]:
    """The next picture: what is told of it, its parts, and the news that came before it."""
    news = []
    while isinstance(message := viewer.recv(timeout=LONG), str):
        news.append(json.loads(message))
    (length,) = struct.unpack(">I", message[:4])
    facts, at, parts = json.loads(message[4 : 4 + length]), 4 + length, {}
    for name, size in facts["parts"]:
        data = np.frombuffer(message[at : at + size], np.uint8)
        parts[name] = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        at += size
    return facts, parts, news


def level(parts: dict[str, Picture], name: str = "painted") -> int:
    return round(float(parts[name].mean()))


def test_the_page_starts_changes_and_stops_what_is_shown(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in_sources(monkeypatch, camera=StandInSource(), other=StandInSource(140))
    with served(tmp_path, "null:", source=None) as room, socketed(room.port) as viewer:
        assert room.status()["state"] == "idle"
        assert room.do("set", style="udnie")["settings"]["style"] == "udnie"
        assert room.do("start", source="camera:")["state"] == "running"
        room.until(
            lambda s: s["outputs"][0]["state"] == "running" and s["run"]["unpainted"] < s["run"]["frames_out"]
        )
        viewer.send('{"credit": 2, "wants": ["painted", "original", "heat"]}')
        facts, parts, _ = shot(viewer)
        while facts["style"] != "udnie" or "heat" not in facts:  # a stand-in has none
            viewer.send('{"credit": 1}')
            facts, parts, _ = shot(viewer)
        assert (level(parts), level(parts, "original")) == (120, 100)
        assert base64.b64decode(facts["heat"]["levels"]) == bytes(
            facts["heat"]["rows"] * facts["heat"]["columns"]
        )
        room.do("set", style="starry-night", strength=0.5)
        while level(parts) != 30:
            viewer.send('{"credit": 1}')
            _, parts, _ = shot(viewer)
        room.do("start", source="other:")
        while level(parts, "original") != 140:
            viewer.send('{"credit": 1}')
            _, parts, _ = shot(viewer)
        assert room.do("remove-sink", sink="null:")["outputs"][0]["state"] == "stopped"
        assert room.do("add-sink", sink="null:")["outputs"][0]["state"] == "running"
        figures = ask(room.port, "GET", f"/metrics?token={TOKEN}")[2].decode()
        assert "streamstyle_frames_painted" in {f.name for f in text_string_to_metric_families(figures)}
        assert room.do("stop")["state"] == "ended"
        assert room.status()["run"] is None
        monkeypatch.setitem(media_open._SOURCES, "camera", lambda _: StandInSource(fails=True))
        assert "nobody is there" in room.do("start", source="camera:")["error"]
        assert (room.status()["state"], room.status()["why"]) == ("failed", "nobody is there")


def test_another_room_goes_on_with_what_was_set(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each change is told before it is answered; the end of the room is none."""
    stand_in_sources(monkeypatch, camera=StandInSource(), other=StandInSource(140))
    told: list[RoomState] = []
    film = str(tmp_path / "film.mkv")
    state = first_state(RunConfig(network="lite", source="camera:", sinks=("null:", film)))
    with served_with(tmp_path, state, told) as room:
        room.do("set", style="udnie")
        assert told[-1] == replace(state, config=replace(state.config, style="udnie"))
        assert room.do("start")["state"] == "running"
        room.do("set", strength=0.5)
        assert (told[-1].config.style, told[-1].config.strength) == ("udnie", 0.5)
        room.do("remove-sink", sink="null:")
        assert told[-1].outputs == {"null:": False, film: True}
        room.do("start", source="other:")
        assert (told[-1].source, told[-1].running) == ("other:", True)
        room.do("forget-sink", sink=film)
        room.do("add-sink", sink=film)
        heard = len(told)
    assert len(told) == heard
    left = told[-1]
    with served_with(tmp_path, left, told) as room:
        room.room.begin()
        status = room.until(lambda s: s["state"] == "running" and s["outputs"][1]["state"] == "running")
        assert [one["state"] for one in status["outputs"]] == ["stopped", "running"]
        assert (status["source"], status["settings"]["style"], status["run"]["strength"]) == (
            "other:",
            "udnie",
            0.5,
        )
        room.do("stop")
    assert told[-1] == replace(left, running=False)


def test_pictures_are_encoded_once_and_a_slow_viewer_gets_few(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in_sources(monkeypatch, camera=StandInSource())
    with (
        served(tmp_path) as room,
        socketed(room.port) as one,
        socketed(room.port) as two,
        socketed(room.port) as slow,
    ):
        room.do("start")
        slow.send('{"credit": 2}')
        for _ in range(40):
            for viewer in (one, two):
                viewer.send('{"credit": 2}')
            before = time.time()
            for viewer in (one, two):
                facts = shot(viewer)[0]
                assert before - LONG < facts["captured_at"] <= time.time()
        counts = room.room.feed.report().counters
        assert counts["pictures"] <= counts["shown"] - 35
        assert counts["pictures"] <= counts["frames"]
        heard = [slow.recv(timeout=LONG) for _ in range(6)]
        assert [type(message) for message in heard].count(bytes) <= 2, "no more than it has credit for"
        status, headers, picture = ask(room.port, "GET", f"/frame.jpg?token={TOKEN}")
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (64, 96, 3)


def test_what_is_found_is_told_with_a_picture_and_scores(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine[0] = FlickeringEngine
    stand_in_sources(monkeypatch, camera=StandInSource())
    with served(tmp_path) as room, socketed(room.port) as viewer:
        room.do("start")
        viewer.send('{"wall": true}')
        events, points, thumbnails = [], [], {}
        deadline = time.monotonic() + LONG
        while not (events and any(max(p.values()) > 1 for p in points) and len(thumbnails) > 3):
            news = json.loads(viewer.recv(timeout=LONG))
            events += news["events"]
            points += news["points"]
            thumbnails |= dict(news["thumbnails"])
            assert time.monotonic() < deadline
        assert set(events[0]["kinds"]) <= {str(kind) for kind in Kind}
        assert events[0]["sentence"].endswith(").")
        for data in (events[0]["thumbnail"], *thumbnails.values()):
            picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None


def test_the_wall_opens_its_engine_once_the_run_paints(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate, opened = threading.Event(), list[tuple[int, int]]()

    def model(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Model:
        def open_engine(height: int, width: int) -> CodeEngine:
            opened.append((height, width))
            if (height, width) == (64, 96):
                gate.wait(LONG)
            return CodeEngine()

        return Model(SizeOpener(open_engine), codes_of(config), codes_of)

    for module in (build_network, changeable_run, room_module):
        monkeypatch.setattr(module, "load_model", model)
    stand_in_sources(monkeypatch, camera=StandInSource())
    with served(tmp_path) as room, socketed(room.port) as viewer:
        viewer.send('{"wall": true}')
        room.do("start")
        for _ in range(20):
            viewer.send('{"credit": 1}')
            facts, _, _ = shot(viewer)
            assert not facts["style"], "frames pass"
        assert opened == [(64, 96)]
        gate.set()
        while len(opened) < 2:
            viewer.recv(timeout=LONG)
        assert opened[1] == (HEIGHT, WIDTH)


class Breaking(NullSink):
    def write(self, frame: Frame) -> None:
        raise SinkError("the line is cut")


def test_outputs_fail_alone_and_begin_again(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in_sources(monkeypatch, camera=StandInSource())
    monkeypatch.setitem(media_open._SINKS, "breaking", lambda *_: Breaking())
    film = str(tmp_path / "film.mkv")
    with served(tmp_path, "breaking:", film, "nowhere:") as room:
        room.do("start")
        status = room.until(lambda s: [o["state"] for o in s["outputs"]] == ["failed", "running", "failed"])
        assert status["outputs"][0]["why"] == "the line is cut"
        assert "No output is called" in status["outputs"][2]["why"]
        monkeypatch.setitem(media_open._SINKS, "breaking", lambda *_: NullSink())
        assert room.do("add-sink", sink="breaking:")["outputs"][0]["state"] == "running"
        recording = room.do("record", name="take.mkv")["file"]
        room.until(lambda s: s["run"]["frames_out"] > status["run"]["frames_out"] + 60)
        assert room.do("stop-recording")["file"] == recording
        snapshot = room.do("snapshot")["file"]
        room.do("remove-sink", sink=film)
        assert room.do("forget-sink", sink="nowhere:")["outputs"][-1]["name"] == film
    assert cv2.imread(snapshot).shape == (64, 96, 3)
    for path in (recording, film):
        with av.open(path) as container:
            assert sum(1 for _ in container.decode(video=0)) > 20


def test_a_preset_is_a_config_that_run_takes(
    engine: list[type[CodeEngine]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    stand_in_sources(monkeypatch, camera=StandInSource())
    with served(tmp_path, "null:") as room:
        room.do("set", style="udnie", strength=0.5, region="rect:0,0,50%,100%")
        path = Path(room.do("save-preset", name="evening")["file"])
        assert not room.do("save-preset", name="../evening")["ok"]
    assert path == home / "presets" / "evening.yaml"
    assert set(yaml.safe_load(path.read_text())) == {
        "network",
        "style",
        "strength",
        "region",
        "source",
        "sinks",
    }
    config = load_config(RunConfig, path, [])
    assert (config.style, config.strength, config.source, config.sinks) == (
        "udnie",
        0.5,
        "camera:",
        ("null:",),
    )


def test_a_film_plays_in_its_time_again_and_again() -> None:
    class Film(StandInSource):
        def __init__(self) -> None:
            super().__init__()
            self.info = self.info.__class__(**{**vars(self.info), "live": False, "frames": 3})

        def __iter__(self) -> Iterator[Frame]:
            for i in range(3):
                yield Frame(np.zeros((64, 96, 3), np.uint8), i, 100 + 10 * i, Fraction(1, 200), 10, 0.0)

    opened = []

    def film() -> Film:
        opened.append(Film())
        return opened[-1]

    started = time.monotonic()
    with PacedSource(film) as source:
        assert source.info.live
        frames = [frame for frame, _ in zip(source, range(8), strict=False)]
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.pts for frame in frames] == list(range(0, 80, 10))
    assert frames[-1].captured_at - started >= 0.25
    assert [one.closed for one in opened] == [True] * 3


def test_the_committed_document_of_the_api_is_the_one_that_is_served() -> None:
    path = Path(__file__).parents[1] / "docs" / "openapi.json"
    assert json.loads(path.read_text(encoding="utf-8")) == document(), (
        "python3 -m streamstyle.web.openapi > docs/openapi.json"
    )
