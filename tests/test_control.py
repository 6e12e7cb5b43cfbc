"""Changing a run while it runs: every verb, from Python and over a socket, asked well and badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stand_in_run import LONG, CodeEngine, StandInSource, stand_in_sources

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.control.endpoint import reply
from streamstyle.control.freeze_frame import FreezeFrame
from streamstyle.control.recorder import Recorder
from streamstyle.control.requests import VERBS, from_json, parse, to_json
from streamstyle.control.style_scheduler import StyleScheduler, StyleTarget
from streamstyle.engines.request import SizeOpener
from streamstyle.errors import ConfigError, SinkError, SourceError, StreamStyleError
from streamstyle.flow.switched_sound import SwitchedSound
from streamstyle.live import Session
from streamstyle.media.null_sink import NullSink
from streamstyle.media.zmq_address import make_keys
from streamstyle.media.zmq_control import ControlClient, ControlSocket, control_address
from streamstyle.pipeline import changeable_run, run_tap
from streamstyle.pipeline import network as build_network
from streamstyle.pipeline.model import Model
from streamstyle.pipeline.process import Process
from streamstyle.types import Frame

LEVELS = {"ink": 50.0, "oil": 90.0, "original": 200.0}


def codes_of(config: RunConfig) -> NDArray[np.float32]:
    if config.style not in LEVELS:
        raise ConfigError(f"unknown style '{config.style}'")
    inside = LEVELS[config.region_style if config.region else config.style]
    return np.array([[LEVELS[config.style]] * 2, [inside] * 2], np.float32)


def stand_in_model(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Model:
    return Model(SizeOpener(lambda _height, _width: CodeEngine()), codes_of(config), codes_of)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> StandInSource:
    """`camera:` is a live source, and styles are grey levels."""
    source = StandInSource()
    stand_in_sources(monkeypatch, camera=source)
    monkeypatch.setattr(build_network, "load_model", stand_in_model)
    monkeypatch.setattr(changeable_run, "load_model", stand_in_model)
    return source


def session(tmp_path: Path, **more: Any) -> Session:
    more = {"style": "ink", "correct": "off", "captures": tmp_path / "captures", **more}
    return Session("camera:", ["null:"], **more)


def until(true: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline, what or "it never happened"
        time.sleep(0.005)


def level(session: Session) -> int:
    return int(cv2.imread(str(session.snapshot()))[0, 0, 0])


# -- the style scheduler ----------------------------------------------------------------------------------


def target(name: str) -> StyleTarget:
    return StyleTarget(np.full((2, 3), LEVELS[name], np.float32), None, None, name)


def stream(count: int, at: dict[int, Callable[[], None]], rate: int = 30) -> Iterator[Frame]:
    pixels = np.zeros((64, 96, 3), np.uint8)
    for i in range(count):
        at.get(i, lambda: None)()
        yield Frame(pixels, i, i, Fraction(1, rate), 1, 0.0)


def painted(scheduler: StyleScheduler, count: int, at: dict[int, Callable[[], None]]) -> list[Frame]:
    return list(Process(CodeEngine(), scheduler)(stream(count, at)))


def test_a_switch_between_two_frames_shows_in_the_second_exactly() -> None:
    scheduler = StyleScheduler(target("ink"))
    left = painted(scheduler, 12, {7: lambda: scheduler.ask(target("oil"))})
    assert [int(frame.pixels[0, 0, 0]) for frame in left] == [50] * 7 + [90] * 5
    assert [frame.style for frame in left] == ["ink"] * 7 + ["oil"] * 5
    assert [frame.index for frame in left] == list(range(12))


def test_a_fade_takes_its_time_on_the_frames_clock_and_says_that_it_moves() -> None:
    scheduler = StyleScheduler(target("ink"))
    seen = []
    for frame in stream(60, {10: lambda: scheduler.ask(target("oil"), 1.0)}):
        now = scheduler(frame)
        seen.append((float(now.codes[0, 0]), now.fading))
        assert scheduler.fading == now.fading
    levels = [value for value, _ in seen]
    assert levels[:10] == [50.0] * 10
    assert levels[24] == pytest.approx(50 + 40 * 15 / 30, abs=1e-3)
    assert levels[39:] == [90.0] * 21
    assert all(0 < b - a < 2 for a, b in pairwise(levels[9:40]))
    assert [fading for _, fading in seen] == [10 <= i < 39 for i in range(60)]


def test_what_has_nothing_to_paint_goes_over_to_the_plain_picture() -> None:
    scheduler = StyleScheduler(replace(target("ink"), ema_decay=lambda _: 0.6), np.zeros(3, np.float32))
    ramp = np.tile(np.linspace(-1, 1, 96, dtype=np.float32)[None, :, None], (64, 1, 3))
    seen = []
    for i in range(60):  # contrast comes from nothing and goes again
        contrast = 30 * np.sin(np.pi * i / 59)
        pixels = np.rint(100 + contrast * ramp).astype(np.uint8)
        now = scheduler(Frame(pixels, i, i, Fraction(1, 30), 1, 0.0))
        seen.append((float(now.codes[1, 2]), now.fading and now.low_contrast))
        assert now.ema_decay == (0 if now.low_contrast else 0.6), (
            "what is hardly painted has no statistics to hold"
        )
    codes = [code for code, _ in seen]
    assert codes[0] == codes[-1] == 0
    assert codes[25:35] == [50.0] * 10
    assert all(a <= b for a, b in pairwise(codes[:30]))
    assert all(low_contrast == (code < 50) for code, low_contrast in seen)


def test_a_second_change_goes_on_from_what_is_shown() -> None:
    scheduler = StyleScheduler(target("ink"))
    at = {10: lambda: scheduler.ask(target("oil"), 1.0), 25: lambda: scheduler.ask(target("ink"), 0.5)}
    levels = [float(scheduler(frame).codes[0, 0]) for frame in stream(60, at)]
    assert levels[24] == pytest.approx(70, abs=0.1)
    assert all(abs(b - a) < 2 for a, b in pairwise(levels))
    assert levels[-1] == 50.0


def test_a_look_that_stays_is_the_same_object() -> None:
    scheduler = StyleScheduler(target("ink"))
    assert len({id(scheduler(frame)) for frame in stream(5, {})}) == 1


class Mask:
    def __init__(self) -> None:
        self.closed = 0
        self._mask = np.full((64, 96), 255, np.uint8)

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        assert not self.closed
        return self._mask

    def close(self) -> None:
        self.closed += 1


def test_regions_are_closed_once_when_no_frame_asks_for_them_any_more() -> None:
    first, skipped, last = Mask(), Mask(), Mask()
    scheduler = StyleScheduler(replace(target("ink"), region=first))
    frames = list(stream(3, {}))
    scheduler(frames[0])
    scheduler.ask(replace(target("ink"), region=skipped))
    scheduler.ask(replace(target("ink"), region=last))
    assert (first.closed, skipped.closed) == (0, 1)
    assert scheduler(frames[1]).mask is not None
    scheduler.ask(replace(target("oil"), region=last))
    scheduler(frames[2])
    assert (first.closed, last.closed) == (1, 0)
    scheduler.close()
    assert (first.closed, skipped.closed, last.closed) == (1, 1, 1)


def test_a_held_picture_keeps_count_and_time() -> None:
    freeze_frame = FreezeFrame(lambda frames: (frame for frame in frames if frame is not None))
    with pytest.raises(ConfigError, match="has delivered no frame"):
        freeze_frame.hold()
    marked = (
        replace(f, pixels=np.full((2, 2, 3), f.index, np.uint8)) for f in stream(9, {3: freeze_frame.hold})
    )
    left = []
    for frame in freeze_frame(marked):
        left.append(frame)
        if frame.index == 5:
            freeze_frame.release()
    assert [f.index for f in left] == [f.pts for f in left] == list(range(9))
    assert [int(f.pixels[0, 0, 0]) for f in left] == [0, 1, 2, 2, 2, 2, 6, 7, 8]


# -- a run -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("camera")
def test_every_verb_does_what_it_says(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        until(lambda: run.status()["frames_out"] > 3 and not run.status()["opening"])
        until(lambda: level(run) == 50)
        assert run.set(style="oil")["style"] == "oil"
        until(lambda: level(run) == 90)
        run.set(region="rect:0,0,50%,100%", region_style="original", region_feather=0)
        until(lambda: level(run) == 200)
        run.set(region="none")
        assert run.status()["region"] is None
        until(lambda: level(run) == 90)
        run.pause()
        assert run.set(style="ink")["paused"]
        before = run.status()["frames_out"]
        until(lambda: run.status()["frames_out"] > before + 5)
        assert level(run) == 90
        run.resume()
        until(lambda: level(run) == 50)
        status = run.status()
    assert status["engine"]["name"] == "fills"
    assert status["size"] == [96, 64]
    assert run.wait().frames_out >= status["frames_out"]
    json.dumps(status)


@pytest.mark.usefixtures("camera")
def test_a_bad_request_says_why_and_changes_nothing(tmp_path: Path) -> None:
    with session(tmp_path, captures=None) as run:
        until(lambda: run.status()["frames_out"] > 3)
        before = settings_of(run.status())
        bad: list[tuple[Callable[[], object], str]] = [
            (lambda: run.set(style="inc"), "unknown style 'inc'"),
            (lambda: run.set(strength=1.5), "<= 1.0"),
            (run.set, "set needs at least one setting"),
            (lambda: run.set(style="oil", region="circle:3"), "cannot read the region"),
            (lambda: run.set(style="oil", region="rect:9999,0,10,10"), "no pixel"),
            (lambda: run.set(region_style="oil"), "needs a region"),
            (lambda: run.set(style="oil", fade=-1), ">= 0"),
            (lambda: run.set(style="oil", consistency=0.5), "--correct off"),
            (lambda: run.switch("nowhere:"), "No source is called"),
            (lambda: run.switch("missing.mp4", timeout=1000), "<= 120"),
            (run.snapshot, "--captures"),
            (run.record, "--captures"),
            (run.stop_recording, "--captures"),
        ]
        for ask, why in bad:
            with pytest.raises(StreamStyleError, match=why):
                ask()
            assert settings_of(run.status()) == before, why
    with pytest.raises(ConfigError, match="the run has ended"):
        run.set(style="oil")


def settings_of(status: dict[str, Any]) -> dict[str, Any]:
    """The part of a status that only requests change."""
    names = ("style", "strength", "turn", "consistency", "region", "region_style", "region_feather")
    return {name: status[name] for name in (*names, "source", "paused", "recording", "fading")}


@pytest.mark.usefixtures("camera")
def test_recordings_and_snapshots_are_whole_files(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        until(lambda: run.status()["frames_out"] > 3)
        with pytest.raises(ConfigError, match="nothing is being recorded"):
            run.stop_recording()
        for name in ("../out.mp4", "a/b.mp4", ".hidden.mp4", "noise.wav"):
            with pytest.raises(ConfigError):
                run.record(name)
        first = run.record("take.mkv")
        assert first == tmp_path / "captures" / "take.mkv"
        with pytest.raises(ConfigError, match="is being recorded"):
            run.record()
        begun = run.status()["frames_out"]
        until(lambda: run.status()["frames_out"] > begun + 30)
        assert run.stop_recording() == first
        with pytest.raises(ConfigError, match="already exists"):
            run.record("take.mkv")
        second = run.record()
        begun = run.status()["frames_out"]
        until(lambda: run.status()["frames_out"] > begun + 10)
        picture = run.snapshot()
    assert cv2.imread(str(picture)).shape == (64, 96, 3)
    for path, least in ((first, 20), (second, 5)):
        film = cv2.VideoCapture(str(path))
        begins, count = film.get(cv2.CAP_PROP_POS_MSEC), 0
        while film.read()[0]:
            count += 1
        assert count >= least
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).time == begins == 0
    assert not [path for path in (tmp_path / "captures").iterdir() if "partial" in path.name]


def test_a_recording_is_told_until_its_file_is_whole(tmp_path: Path) -> None:
    told: list[Path | None] = []

    class Film(NullSink):
        def close(self, *, complete: bool) -> None:
            told.append(recorder.path)

    recorder = Recorder(tmp_path, lambda _: Film())
    path = recorder.start("take.mp4")
    assert recorder.stop() == path
    assert told == [path]
    assert recorder.path is None
    with pytest.raises(ConfigError, match="nothing is being recorded"):
        recorder.stop()


T = TypeVar("T")


def openings(monkeypatch: pytest.MonkeyPatch, of: Callable[[RunConfig], T]) -> list[T]:
    """Grows with every engine that is opened, by what its settings say."""
    opened: list[T] = []

    def model(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Model:
        def open_engine(_height: int, _width: int) -> CodeEngine:
            opened.append(of(config))
            return CodeEngine()

        return Model(SizeOpener(open_engine), codes_of(config), codes_of)

    monkeypatch.setattr(build_network, "load_model", model)
    monkeypatch.setattr(changeable_run, "load_model", model)
    return opened


def test_consistency_goes_over_to_another_engine_without_a_gap(
    camera: StandInSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = openings(monkeypatch, lambda config: config.consistency)
    with session(tmp_path, correct="repair") as run:
        until(lambda: opened == [0.0])
        run.set(consistency=0.5)
        run.set(consistency=0.7)
        until(lambda: opened == [0.0, 0.5])
        run.set(consistency=0)
        until(lambda: opened == [0.0, 0.5, 0.0])
    assert camera.closed


@pytest.mark.usefixtures("camera")
def test_the_folder_for_captures_may_be_text(tmp_path: Path) -> None:
    with session(tmp_path, captures=str(tmp_path / "here")) as run:
        until(lambda: run.status()["frames_out"] > 0)
        assert run.snapshot().parent == tmp_path / "here"


def test_a_region_goes_over_to_an_engine_that_is_ready_for_it(
    camera: StandInSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = openings(monkeypatch, lambda config: config.region is not None)
    with session(tmp_path) as run:
        until(lambda: opened == [False])
        run.set(region="rect:0,0,50%,100%", region_feather=0)
        until(lambda: opened == [False, True])
        run.set(region_feather=3, style="oil")
        run.set(region="none")
        until(lambda: level(run) == 90)
        assert opened == [False, True]
    assert camera.closed


# -- another source ----------------------------------------------------------------------------------------


def test_another_source_takes_over_with_its_first_frame(
    camera: StandInSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    other = StandInSource(30, gate=gate, start=-5_000_000, shape=lambda _: (48, 36))
    stand_in_sources(
        monkeypatch, other=other, broken=StandInSource(fails=True), mute=StandInSource(gate=gate)
    )
    seen: list[Frame] = []
    keep_frames(monkeypatch, seen)
    with session(tmp_path, style="ink") as run:
        with pytest.raises(SourceError, match="nobody is there"):
            run.switch("broken:")
        with pytest.raises(SourceError, match="no frame within"):
            run.switch("mute:", timeout=0.05)
        asked = threading.Thread(target=lambda: run.switch("other:"))
        asked.start()
        begun = len(seen)
        until(lambda: len(seen) > begun + 10)
        assert run.status()["source"] == "camera:"  # it goes on until the other one sends something
        gate.set()
        asked.join(LONG)
        assert run.status()["source"] == "other:"
        assert camera.over.wait(LONG)
        begun = len(seen)
        until(lambda: len(seen) > begun + 10)
    times = [frame.time for frame in seen]
    assert all(0 < b - a < LONG for a, b in pairwise(times)), "time goes on without a jump"
    assert all(b.index > a.index for a, b in pairwise(seen) if not b.filler)
    assert {frame.pixels.shape for frame in seen} == {(64, 96, 3)}
    last = seen[-1].pixels
    assert last[32, 48, 0] == 50  # painted
    assert not last[:, :10].any()  # beside an upright picture
    assert other.closed


def test_another_source_gets_the_time_out_of_the_run(
    camera: StandInSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    sources = [camera, StandInSource()]

    def open_next(
        _url: str,
        *,
        timeout: float,
        decoder: str,
        live: bool,
        deinterlace: str,
        background: str,
        rate: float,
    ) -> StandInSource:
        assert (decoder, deinterlace) == ("cpu", "auto")
        asked.append(timeout)
        return sources[len(asked) - 1]

    monkeypatch.setattr(run_tap, "open_source", open_next)
    with session(tmp_path, source_timeout=7.0) as run:
        run.switch("other:")
    assert asked == [7.0, 7.0]
    assert camera.closed


def keep_frames(monkeypatch: pytest.MonkeyPatch, seen: list[Frame]) -> None:
    monkeypatch.setattr(NullSink, "write", lambda _self, frame: seen.append(frame))


def test_frames_of_other_sizes_come_painted_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(64, 96), (128, 192), (64, 64), (91, 33)]
    source = StandInSource(shape=lambda i: sizes[i // 20 % 4])
    stand_in_sources(monkeypatch, camera=source)
    monkeypatch.setattr(build_network, "load_model", stand_in_model)
    seen: list[Frame] = []
    keep_frames(monkeypatch, seen)

    def bars() -> set[int]:
        return {int((frame.pixels[32, :, 0] == 0).sum()) for frame in seen if frame.style}

    with session(tmp_path):
        until(lambda: bars() == {0, 32, 96 - 23})
    assert {frame.pixels.shape for frame in seen} == {(64, 96, 3)}
    assert all(frame.pixels[32, 48, 0] == 50 for frame in seen if frame.style)


# -- over a socket -----------------------------------------------------------------------------------------


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"zmq+ipc://{tmp_path}/control.sock"


@pytest.mark.usefixtures("camera")
def test_the_command_line_asks_over_a_socket(
    tmp_path: Path, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with session(tmp_path, control=endpoint) as run:
        until(lambda: run.status()["frames_out"] > 3 and not run.status()["opening"])
        assert main(["control", endpoint, "set", "style=oil", "fade=0.1", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["ok"], answer["style"], answer["version"]) == (True, "oil", 1)
        until(lambda: level(run) == 90)
        assert main(["control", endpoint, "snapshot"]) == 0
        assert Path(capsys.readouterr().out.strip()).is_file()
        assert main(["control", endpoint, "set", "style=nobody"]) == 1
        assert "unknown style 'nobody'" in capsys.readouterr().err
        assert main(["control", endpoint, "record", "take.mp4"]) == 0
        assert main(["control", endpoint, "stop-recording"]) == 0
        assert main(["control", endpoint, "status"]) == 0
        assert "style          oil" in capsys.readouterr().out
        assert main(["control", endpoint, "dance"]) == 2
        assert main(["control", endpoint, "set", "style"]) == 2
    assert main(["control", endpoint, "status", "--timeout", "0.2"]) == 1
    assert "nothing answers" in capsys.readouterr().err


@pytest.mark.usefixtures("camera")
def test_any_zeromq_client_can_ask(tmp_path: Path, endpoint: str) -> None:
    with session(tmp_path, control=endpoint), zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(endpoint.removeprefix("zmq+"))
        socket.send(b'{"version": 1, "do": "status", "id": "a7"}')
        assert socket.poll(LONG * 1000)
        answer = json.loads(socket.recv())
    assert (answer["ok"], answer["id"], answer["source"]) == (True, "a7", "camera:")


@pytest.mark.parametrize(
    "url",
    ["zmq+tcp://0.0.0.0:0", "zmq+tcp://192.0.2.1:7000?insecure=1", "zmq+shm:///tmp/x", "tcp://127.0.0.1:1"],
)
def test_an_endpoint_that_others_could_reach_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        ControlSocket(url)


def test_keys_let_in_who_has_them(tmp_path: Path) -> None:
    _, secret = make_keys(tmp_path / "run", "run")
    public, mine = make_keys(tmp_path / "allowed", "mine")
    mine.rename(tmp_path / mine.name)
    _, stranger = make_keys(tmp_path / "stranger", "stranger")
    wire = ControlSocket(f"zmq+tcp://127.0.0.1:0?key={secret}&allow={public.parent}")
    place = wire.endpoint.removeprefix("tcp://")
    answers: list[bytes] = []

    def answer() -> None:
        while not answers:
            message = wire.receive(0.1)
            if message is not None:
                wire.send(message[0], b"yes")
                answers.append(message[1])

    thread = threading.Thread(target=answer)
    thread.start()
    for key, patience in ((stranger, 0.5), (tmp_path / mine.name, LONG)):
        client = ControlClient(f"zmq+tcp://{place}?key={key}&server={tmp_path}/run/run.key")
        try:
            if key == stranger:
                with pytest.raises(SinkError, match="nothing answers"):
                    client.ask(b"stranger", patience)
            else:
                assert client.ask(b"mine", patience) == b"yes"
        finally:
            client.close()
    thread.join(LONG)
    wire.close()
    assert answers == [b"mine"]
    assert control_address("zmq+tcp://127.0.0.1:7000").local


class NoDesk:
    """Fails on every request that gets through."""

    closed = False

    def answer(self, request: object) -> dict[str, Any]:
        assert not isinstance(request, dict)
        raise ConfigError("asked")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(VERBS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["do", "version", "id", "style", "fade", "source", "timeout", "name", "region", "x"])


@settings(max_examples=300)
@given(
    st.binary(max_size=80)
    | VALUES.map(lambda v: json.dumps(v).encode())
    | st.dictionaries(FIELDS, VALUES | st.just(1), max_size=5).map(lambda v: json.dumps(v).encode())
)
def test_whatever_is_sent_is_answered(data: bytes) -> None:
    answer = json.loads(reply(NoDesk(), data))  # type: ignore[arg-type]
    assert answer["ok"] is False
    assert answer["error"]


@pytest.mark.parametrize("verb", VERBS)
def test_requests_look_the_same_on_both_sides(verb: str) -> None:
    needs = {"switch": {"source": "webcam:1"}, "set": {"style": "oil", "fade": 2.0}}
    needs |= {name: {"sink": "null:"} for name in ("add-sink", "remove-sink")}
    request = parse({"do": verb, **needs.get(verb, {})})
    assert from_json(to_json(request)) == (request, None)
    assert msgspec.to_builtins(request)["do"] == verb


@pytest.mark.parametrize(
    ("verb", "field"), [("switch", "source"), ("add-sink", "sink"), ("remove-sink", "sink")]
)
def test_what_a_verb_lacks_is_named_as_the_user_would(verb: str, field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{verb} needs the field {field}$"):
        parse({"do": verb})


def test_another_version_and_deep_nesting_are_answered() -> None:
    for data in (b'{"version": 2, "do": "status"}', b'{"do": "status"}', b"[" * 50_000, b"\xff\xfe"):
        assert isinstance(from_json(data)[0], ConfigError)


class Ramp:
    """Sound whose samples tell their own time, in seconds after `begin`."""

    def __init__(self, begin: float) -> None:
        self._begin = begin

    def reader(self) -> RampReader:
        return RampReader(self._begin)


class RampReader:
    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._at: int | None = None

    def until(self, time: float) -> NDArray[np.float32]:
        end = round(time * 48_000)
        start = end if self._at is None else self._at
        self._at = end
        ramp = np.arange(start, end) / 48_000 - self._begin
        return np.repeat(ramp[:, None], 2, axis=1).astype(np.float32)


def test_sound_goes_on_sample_by_sample_when_the_source_is_switched() -> None:
    sound = SwitchedSound(Ramp(0.0))
    reader, times = sound.reader(), [1 + i / 30 for i in range(90)]
    heard = []
    for i, time_ in enumerate(times):
        if i == 30:
            sound.follow(times[29] + 0.0123, Ramp(500.0), times[29] + 0.0123 - 500.0)
        if i == 60:
            sound.follow(times[59], None, 0.0)
        heard.append(reader.until(time_))
    lengths = [len(samples) for samples in heard]
    steps = [round(b * 48_000) - round(a * 48_000) for a, b in pairwise(times)]
    assert lengths == [0, *steps]
    whole = np.concatenate(heard)[:, 0]
    first, second = int(0.0123 * 48_000), 48_000
    at = sum(lengths[:30]) + first
    np.testing.assert_allclose(whole[:at], 1 + np.arange(at) / 48_000, atol=1e-3)
    np.testing.assert_allclose(whole[at + 2 : at + 2000], np.arange(1998) / 48_000, atol=1e-3)
    assert not whole[at + second - first + 10 :].any()


@pytest.mark.usefixtures("camera")
def test_a_film_with_sound_goes_on_through_switches(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    with Session("test:?live=1&size=160x96", [str(film)], style="ink", correct="off") as run:
        for size in ("96x96", "160x90"):
            begun = run.status()["frames_out"]
            until(lambda begun=begun: run.status()["frames_out"] > begun + 15)  # type: ignore[misc]
            run.switch(f"test:?live=1&size={size}", timeout=LONG)
    with av.open(str(film)) as written:
        times = [frame.time for frame in written.decode(video=0)]
        assert len(written.streams.audio) == 1
    assert len(times) > 30
    assert all(b > a for a, b in pairwise(times))
