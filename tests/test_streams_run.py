"""`streamstyle serve --streams` as a user runs it: real processes, killed and ended, and their page in a real
browser. The tests of this file go on from one another, on one server."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
from peers import children, command_of, free_port, needs_chromium, thread_states, wait_for
from prometheus_client.parser import text_string_to_metric_families
from test_control_room import shot
from test_web_guard import TOKEN, Answer, ask, post
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc"),
]

LONG = 240.0
FILE = """
- name: door
  source: "test:?live=1&size=160x96&rate=10"
  sinks: [door.mkv]
  style: udnie
  engine: torch
  network: lite
- name: garden
  source: "test:?live=1&size=128x96&rate=10"
  engine: torch
  network: lite
"""


@dataclass(frozen=True)
class ServedStreams:
    """The server, its port, and the folder that it works in."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def get(self, path: str) -> Answer:
        return ask(self.port, "GET", path, Authorization=f"Bearer {TOKEN}")

    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/streams.json")[2]))

    def stream(self, name: str) -> dict[str, Any]:
        return next(dict(one) for one in self.document()["streams"] if one["name"] == name)

    def until(self, name: str, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The facts that are told of a stream, once this is true of them."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            assert self.process.poll() is None, self.log()
            found[:] = [self.stream(name)]
            return bool(true(found[0]))

        try:
            # A page asks once a second: a hundred times keeps the processors from what is waited for.
            wait_for(look, name, LONG, every=0.25)
        except AssertionError as error:
            busy = "\n".join(thread_states(pid) for pid in [self.process.pid, *children(self.process.pid)])
            raise AssertionError(f"{error}: {found}; {self.stacks()}\n{busy}\n{self.log()}") from error
        return found[0]

    def stacks(self) -> str:
        """Tracebacks of all threads of the streams, which that ends."""
        before = len(self.log())
        for pid in children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        with suppress(AssertionError):
            wait_for(
                lambda: "was ended by" in (told := self.log()[before:]) or "SIGABRT" in told, "its end", 30
            )
        return self.log()[before:]

    def child(self, name: str) -> int:
        """The process of a stream."""
        wanted = f"captures/{name}".encode()
        found = [
            pid
            for pid in children(self.process.pid)
            if b"stream_child" in (line := command_of(pid)) and wanted in line
        ]
        (pid,) = found
        return pid

    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextmanager
def serving(folder: Path, file: str) -> Iterator[ServedStreams]:
    """`streamstyle serve --streams` of this file, all of whose streams run."""
    port = free_port()
    (folder / "streams.yaml").write_text(file)
    (folder / "tmp").mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "STREAMSTYLE_HOME": str(folder / "home"),
        "STREAMSTYLE_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONFAULTHANDLER": "1",  # for `ServedStreams.stacks`
        "HTTP_PROXY": "http://127.0.0.1:9",  # which is not there
    }
    command = [sys.executable, "-m", "streamstyle", "serve", "--streams", "streams.yaml", "--token", TOKEN]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--address", f"127.0.0.1:{port}"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    served = ServedStreams(process, port, folder)
    try:
        wait_for(lambda: process.poll() is not None or healthy(port), "the server", LONG)
        assert process.poll() is None, served.log()
        for stream in served.document()["streams"]:
            served.until(stream["name"], lambda told: told["state"] == "running" and told["fps"])
        yield served
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedStreams]:
    with serving(tmp_path_factory.mktemp("streams"), FILE) as served:
        yield served


def healthy(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except OSError:
        return False


def test_all_streams_run_each_in_a_process_of_its_own(streams: ServedStreams) -> None:
    assert [one["name"] for one in streams.document()["streams"]] == ["door", "garden"]
    door, garden = (streams.until(name, lambda told: told["size"]) for name in ("door", "garden"))
    assert (door["state"], door["restarts"], garden["state"], garden["restarts"]) == ("running", 0) * 2
    assert (door["size"], door["style"], garden["size"]) == ([160, 96], "udnie", [128, 96])
    assert streams.child("door") != streams.child("garden")
    if len(os.sched_getaffinity(0)) > 1:
        places = [os.sched_getaffinity(streams.child(name)) for name in ("door", "garden")]
        assert not places[0] & places[1]
    line = command_of(streams.child("door"))
    assert line
    assert TOKEN.encode() not in line


def test_each_is_steered_and_seen_below_its_name(streams: ServedStreams) -> None:
    status, _, body = post(streams.port, "/streams/garden/api/set", {"style": "scream"})
    assert (status, json.loads(body)["settings"]["style"]) == (200, "scream")
    assert (streams.stream("garden")["style"], streams.stream("door")["style"]) == ("scream", "udnie")
    status, headers, picture = streams.get("/streams/door/small.jpg")
    assert (status, headers["content-type"], picture[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert b"All streams" in streams.get("/streams/door/")[2]
    assert streams.get("/streams/yard/status.json")[0] == 404
    status, _, body = post(streams.port, "/streams/door/api/start", {"source": "/etc/passwd"})
    assert (status, b"cannot be chosen" in body) == (400, True)
    origin = f"http://127.0.0.1:{streams.port}"
    url = f"ws://127.0.0.1:{streams.port}/streams/door/live?token={TOKEN}"
    with connect(url, origin=origin, open_timeout=LONG, ping_interval=None) as viewer:
        viewer.send('{"wants": ["painted"]}')

        def painted() -> bool:
            viewer.send('{"credit": 1}')
            facts, parts, _ = shot(viewer)
            assert parts["painted"].shape == (96, 160, 3)
            return bool(facts["style"] == "udnie")

        wait_for(painted, "a painted picture", LONG)  # until the engine is there, pictures are as they come
    with pytest.raises(InvalidStatus, match="403"), connect(url, origin="http://evil.example"):
        pass
    for path in ("/streams.json", "/streams/door/status.json", "/streams/door/small.jpg", "/metrics"):
        assert ask(streams.port, "GET", path)[0] == 403
    assert ask(streams.port, "GET", "/streams/door/static/main.js")[0] == 200


def test_what_comes_without_end_is_passed_on_as_it_comes(streams: ServedStreams) -> None:
    client = http.client.HTTPConnection("127.0.0.1", streams.port, timeout=LONG)
    client.request("GET", f"/streams/garden/stream.mjpg?token={TOKEN}")
    answer = client.getresponse()
    assert answer.getheader("content-type") == "multipart/x-mixed-replace; boundary=frame"
    film = b""
    while film.count(b"--frame") < 3:
        film += answer.read1()
    client.close()
    assert b"Content-Type: image/jpeg" in film


def test_webrtc_is_negotiated_below_the_name(streams: ServedStreams) -> None:
    pytest.importorskip("aiortc")
    from test_webrtc import answered, offered, peer, received, sent  # noqa: PLC0415 - needs aiortc

    async def play() -> str:
        player = peer()
        player.addTransceiver("video", direction="recvonly")
        track = received(player)
        place, sdp = await asyncio.to_thread(
            sent, streams.port, "/streams/garden/whep", await offered(player)
        )
        await answered(player, sdp)
        await asyncio.wait_for((await track).recv(), LONG)
        await player.close()
        return place

    place = asyncio.run(play())
    assert place.startswith("/streams/garden/whep/")
    known = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(streams.port, "DELETE", "/streams/garden/whep/unknown", **known)[0] == 404
    status, _, body = post(streams.port, "/streams/door/whip", b"nonsense", Content_Type="application/sdp")
    assert (status, b"not a WebRTC offer" in body) == (400, True)


def figures(streams: ServedStreams) -> dict[tuple[str, str], float]:
    """Samples without further labels, by name and stream."""
    families = text_string_to_metric_families(streams.get("/metrics")[2].decode())
    return {
        (s.name, s.labels["stream"]): s.value
        for f in families
        for s in f.samples
        if set(s.labels) == {"stream"}
    }


def test_the_figures_of_all_have_a_label(streams: ServedStreams) -> None:
    told = figures(streams)
    for name in ("door", "garden"):
        assert told["streamstyle_stream_up", name] == 1
        assert told["streamstyle_frames_painted_total", name] > 0
        assert told["streamstyle_stream_restarts_total", name] == 0


@needs_chromium
@pytest.mark.parametrize("view", [{}, {"viewport": {"width": 390, "height": 800}}], ids=["desktop", "phone"])
def test_the_page_shows_all_and_one_is_opened_and_steered(
    streams: ServedStreams, view: dict[str, Any]
) -> None:
    from test_control_room_browser import browser  # noqa: PLC0415 - needs Playwright

    with browser(**view) as page:
        page.goto(f"http://127.0.0.1:{streams.port}/?token={TOKEN}")
        for name in ("door", "garden"):
            card = page.locator(f"#stream-{name}")
            card.locator("img").wait_for(timeout=1000 * LONG)
            assert card.locator("h2").inner_text() == name
            card.get_by_text("live", exact=True).wait_for(timeout=1000 * LONG)
            assert "0 restarts" in card.locator(".figure").inner_text()
        assert page.locator("#state").inner_text() == "2 of 2 run"
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], "nothing hangs over the edge"
        if folder := os.environ.get("STREAMSTYLE_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"streams-{len(view)}.png", full_page=True)
        page.locator("#stream-door a").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/streams/door/**")
        assert page.locator("#brand").inner_text() == "door"
        page.locator("#empty").wait_for(state="hidden")
        page.get_by_role("button", name="Starry Night").first.click()
        streams.until("door", lambda told: told["style"] == "starry-night")
        if folder:
            page.screenshot(path=Path(folder) / f"stream-{len(view)}.png")
        page.locator("#all-streams").click()
        page.locator("#stream-garden img").wait_for(timeout=1000 * LONG)
        post(streams.port, "/streams/door/api/set", {"style": "udnie"})


def test_one_that_is_killed_comes_back_and_the_others_go_on(streams: ServedStreams) -> None:
    """It goes on with what was set the moment before."""
    other, child = streams.child("garden"), streams.child("door")
    assert post(streams.port, "/streams/door/api/set", {"style": "scream", "strength": 0.5})[0] == 200
    assert post(streams.port, "/streams/door/api/remove-sink", {"sink": "door.mkv"})[0] == 200
    os.kill(child, signal.SIGKILL)
    dead = streams.until("door", lambda told: told["state"] == "dead" or told["restarts"])
    if dead["state"] == "dead":
        assert "was ended by SIGKILL" in dead["why"]
        answer, up = (
            streams.get("/streams/door/small.jpg")[0],
            figures(streams)["streamstyle_stream_up", "door"],
        )
        if streams.stream("door")["state"] == "dead":  # it can be quick to come back
            assert (answer, up) == (503, 0)
    back = streams.until("door", lambda told: told["state"] == "running" and told["fps"])
    assert (back["restarts"], back["why"], back["style"]) == (1, None, "scream")
    status = json.loads(streams.get("/streams/door/status.json")[2])
    assert (status["settings"]["strength"], status["settings"]["style"]) == (0.5, "scream")
    assert [(one["name"], one["state"]) for one in status["outputs"]] == [("door.mkv", "stopped")]
    assert post(streams.port, "/streams/door/api/add-sink", {"sink": "door.mkv"})[0] == 200
    assert streams.child("door") != child
    assert streams.child("garden") == other
    assert figures(streams)["streamstyle_stream_restarts_total", "door"] == 1
    assert figures(streams)["streamstyle_stream_restarts_total", "garden"] == 0
    said = [event["sentence"] for event in streams.document()["events"] if event["stream"] == "door"]
    (killed,) = [sentence for sentence in said if "SIGKILL" in sentence]
    assert "restarting it in" in killed
    assert "it was restarted" in said[said.index(killed) :]
    assert f"door: {killed}" in streams.log()


@needs_chromium
def test_the_page_shows_the_restart(streams: ServedStreams) -> None:
    from test_control_room_browser import browser  # noqa: PLC0415 - needs Playwright

    if not streams.stream("door")["restarts"]:  # where another worker ran the test above
        os.kill(streams.child("door"), signal.SIGKILL)
    with browser() as page:
        page.goto(f"http://127.0.0.1:{streams.port}/?token={TOKEN}")
        page.locator("#stream-door").get_by_text("1 restart", exact=False).wait_for(timeout=1000 * LONG)
        page.locator("#stream-door img").wait_for(timeout=1000 * LONG)
        assert "0 restarts" in page.locator("#stream-garden .figure").inner_text()
        assert "SIGKILL" in page.locator("#events").inner_text()
        if folder := os.environ.get("STREAMSTYLE_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / "streams-restart.png", full_page=True)


def test_what_was_stopped_stays_so_when_its_process_is_killed(streams: ServedStreams) -> None:
    child, before = streams.child("garden"), streams.stream("garden")
    assert post(streams.port, "/streams/garden/api/stop", {})[0] == 200
    os.kill(child, signal.SIGKILL)
    back = streams.until(
        "garden", lambda told: told["restarts"] and told["state"] not in {"dead", "starting"}
    )
    assert (back["state"], back["style"], back["source"]) == ("idle", before["style"], before["source"])
    assert post(streams.port, "/streams/garden/api/start", {})[0] == 200
    streams.until("garden", lambda told: told["state"] == "running")


def test_ctrl_c_ends_all_and_the_outputs_are_whole(streams: ServedStreams) -> None:
    left = [streams.child("door"), streams.child("garden")]
    streams.process.send_signal(signal.SIGINT)
    assert streams.process.wait(LONG) == 0, streams.log()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "the end of every process")
    assert list((streams.folder / "tmp").iterdir()) == []
    with av.open(str(streams.folder / "door.mkv")) as film:
        assert sum(1 for _ in film.decode(video=0)) > 0


def test_when_the_command_is_killed_its_streams_finish_their_outputs_and_end(tmp_path: Path) -> None:
    with serving(tmp_path, FILE[: FILE.index("- name: garden")]) as served:
        left = children(served.process.pid)
        assert served.child("door") in left
        served.process.kill()
        served.process.wait()
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "the stream's end", LONG)
    with av.open(str(tmp_path / "door.mkv")) as film:
        assert sum(1 for _ in film.decode(video=0)) > 0
    assert not list(tmp_path.glob("*.partial*"))
