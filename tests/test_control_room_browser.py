"""The control room in a real browser: every control, measured on the frames that come back.

Chromium is driven by Playwright; tools/live_peers.py installs the browser.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from peers import WAIT_TIMEOUT, free_port, needs_chromium, wait_for
from playwright.sync_api import Page, sync_playwright
from test_control_room import served, shot
from test_web_guard import TOKEN, ask, socketed
from websockets.sync.client import ClientConnection

from streamstyle.files import encode
from streamstyle.pipeline import control_room
from streamstyle.types import Picture
from streamstyle.web.training import Training

SCENE = "test:?live=1&size=160x96&rate=10"
SETTINGS = ("--set", "engine=torch", "--set", "network=lite")
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

pytestmark = needs_chromium


@contextmanager
def serving(folder: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`streamstyle serve ARGUMENTS` on this port."""
    command = [sys.executable, "-m", "streamstyle", "serve", "--address", f"127.0.0.1:{port}"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "STREAMSTYLE_HOME": str(folder)}
    environment |= {"OMP_NUM_THREADS": "1", "STREAMSTYLE_CACHE": str(folder / "cache")}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--token", TOKEN, *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: process.poll() is not None or healthy(port), "the control room", 120)
        assert process.poll() is None, (folder / "log").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def healthy(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except OSError:
        return False


@contextmanager
def browser(**view: Any) -> Iterator[Page]:
    """A page that may not complain on its console."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}, **view})
        page.set_default_timeout(1000 * WAIT_TIMEOUT)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
        yield page
        usual = ("ERR_CONNECTION", "WebSocket", "400 (Bad Request)")  # restarts, and what the server refuses
        assert [c for c in complaints if not any(word in c for word in usual)] == []
        chromium.close()


class FrameProbe:
    """Sees what every viewer sees: frames as they come back, source and painting."""

    def __init__(self, viewer: ClientConnection, port: int) -> None:
        self._viewer, self._port = viewer, port
        viewer.send('{"wants": ["painted", "original", "heat"]}')

    def frame(self) -> tuple[dict[str, Any], Picture, Picture]:
        """Facts about the next frame, its painting, its source."""
        self._viewer.send('{"credit": 1}')
        facts, parts, _ = shot(self._viewer)
        return facts, parts["painted"], parts["original"]

    def until(self, true: Callable[[dict[str, Any], Picture, Picture], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_TIMEOUT
        while not true(*self.frame()):
            assert time.monotonic() < deadline, f"waited in vain: {what}"

    def settings(self) -> dict[str, Any]:
        return dict(self.status()["settings"])

    def status(self) -> dict[str, Any]:
        return dict(json.loads(ask(self._port, "GET", f"/status.json?token={TOKEN}")[2]))


def changed(painted: Picture, original: Picture) -> float:
    """Mean difference, levels of 0..255."""
    return float(np.abs(painted.astype(np.int16) - original).mean())


def colours(a: Picture, b: Picture) -> float:
    """Mean difference of Cr and Cb, blurred: strokes do not count."""
    small = [
        cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb), (20, 12), interpolation=cv2.INTER_AREA)
        for p in (a, b)
    ]
    return float(np.abs(small[0].astype(np.int16) - small[1])[..., 1:].mean())


def saturation(picture: Picture) -> float:
    return float(np.ptp(picture.astype(np.int16), axis=2).mean())


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="module")
def room(port: int, folder: Path) -> Iterator[str]:
    """A control room that paints a scene with the real network; the address of its page."""
    with serving(folder, port, *SETTINGS, "--films", str(folder), SCENE, "null:"):
        yield f"http://127.0.0.1:{port}/?token={TOKEN}"


def slide(page: Page, name: str, value: int) -> None:
    page.locator(f"#{name}").fill(str(value))


def test_every_control_does_what_it_says(room: str, port: int, folder: Path, person_model: Path) -> None:
    with browser() as page, socketed(port) as viewer:
        eyes = FrameProbe(viewer, port)
        page.goto(room)
        page.wait_for_selector("#wall .tile >> nth=15")
        page.select_option("#fade", "0")
        eyes.until(
            lambda facts, p, o: facts["style"] == "starry-night" and changed(p, o) > 15, "a painted frame"
        )
        looks(page, eyes)
        repairs(page, eyes)
        regions(page, eyes)
        people(page, eyes, folder, person_model)
        captures(page, eyes, folder)
        stops_and_starts(page, eyes)


def looks(page: Page, eyes: FrameProbe) -> None:
    page.click("[data-style=ink]")
    eyes.until(lambda facts, p, _: facts["style"] == "ink" and saturation(p) < 20, "ink")
    page.click("[data-style=original]")
    eyes.until(lambda _, p, o: changed(p, o) < 8, "the picture as it is")
    page.click("[data-style=stained-glass]")
    eyes.until(lambda _, p, o: changed(p, o) > 15, "glass")
    slide(page, "strength", 0)
    eyes.until(lambda _, p, o: changed(p, o) < 8, "no strength")
    slide(page, "strength", 100)
    eyes.until(lambda _, p, o: changed(p, o) > 15, "full strength")
    before = [colours(p, o) for _, p, o in (eyes.frame() for _ in range(3))]
    slide(page, "colour", 100)
    eyes.until(lambda _, p, o: colours(p, o) < 0.5 * min(before), "the film's own colours")
    slide(page, "colour", 0)
    page.drag_and_drop("[data-style=scream]", "[data-style=ink]")
    eyes.until(lambda facts, *_: facts["style"] == "ink:0.5,scream:0.5", "a mix")
    half = saturation(eyes.frame()[1])
    page.wait_for_selector("#mixer", state="visible")
    slide(page, "mix", 100)
    page.dispatch_event("#mix", "change")
    eyes.until(
        lambda facts, p, _: facts["style"] == "scream" and saturation(p) > half, "the second of the mix"
    )
    page.select_option("#fade", "3")
    page.click("[data-style=original]")
    eyes.until(lambda _, p, o: 8 < changed(p, o) < 40, "a fade that is on its way")
    eyes.until(lambda _, p, o: changed(p, o) < 8, "a fade that is over")
    page.select_option("#fade", "0")
    page.click("[data-style=scream]")


def repairs(page: Page, eyes: FrameProbe) -> None:
    eyes.until(lambda facts, *_: facts["score"] > 0, "scores")
    page.locator("label", has_text="Repair").click()
    eyes.until(lambda facts, *_: facts["score"] == 0 and not facts["stand_in"], "no scores")
    page.locator("label", has_text="Repair").click()
    eyes.until(lambda facts, *_: facts["score"] > 0, "scores again")
    page.locator("label", has_text="Flash guard").click()
    wait_for(lambda: eyes.settings()["flash_guard"], "the flash guard")
    slide(page, "consistency", 60)
    wait_for(lambda: eyes.status()["run"]["engine"]["holds"], "an engine that averages statistics")
    slide(page, "consistency", 0)
    wait_for(lambda: eyes.settings()["consistency"] == 0, "no consistency")


def regions(page: Page, eyes: FrameProbe) -> None:
    page.click("[data-style=stained-glass]")
    page.click("#draw")
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    x, y, width, height = (box[side] for side in ("x", "y", "width", "height"))
    page.mouse.move(x + 12, y + 12)  # the corners are round
    page.mouse.down()
    page.mouse.move(x + 0.5 * width, y + height - 12, steps=4)
    page.mouse.up()
    page.click("#draw")

    def left_is_plain(_: object, p: Picture, o: Picture) -> bool:
        return changed(p[:, :56], o[:, :56]) < 9 and changed(p[:, 112:], o[:, 112:]) > 15

    eyes.until(left_is_plain, "a region")
    page.click("#region-clear")
    eyes.until(lambda _, p, o: changed(p[:, :56], o[:, :56]) > 15, "no region")
    page.fill("#region-x", "50")
    page.fill("#region-y", "0")
    page.fill("#region-w", "50")
    page.fill("#region-h", "100")
    page.click("#region-set")
    eyes.until(lambda _, p, o: changed(p[:, 112:], o[:, 112:]) < 9, "a typed region")
    page.click("#region-clear")


def people(page: Page, eyes: FrameProbe, folder: Path, model: Path) -> None:
    """Nobody is in the scene: the background is all of it."""
    (folder / "models").mkdir()
    shutil.copy(model, folder / "models")
    page.click("#region-background")
    eyes.until(lambda _, p, o: changed(p, o) < 9, "the background as it is")
    page.wait_for_selector("#region-background[aria-pressed=true]")
    page.click("#region-person")
    eyes.until(lambda _, p, o: changed(p, o) > 15, "all painted")
    page.wait_for_selector("#region-person[aria-pressed=true]")
    page.click("#region-person")
    wait_for(lambda: eyes.settings()["region"] is None, "no region")
    page.wait_for_selector("#region-person[aria-pressed=false]")


def canvas(page: Page) -> Picture:
    """The picture on the page's own canvas."""
    data = page.evaluate("document.getElementById('picture').toDataURL('image/png').split(',')[1]")
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def captures(page: Page, eyes: FrameProbe, folder: Path) -> None:
    page.click("[data-style=ink]")
    eyes.until(lambda facts, p, _: facts["style"] == "ink" and saturation(p) < 20, "ink")
    page.click("#compare")
    wait_for(
        lambda: saturation(canvas(page)[:, :70]) > 25 and saturation(canvas(page)[:, 90:]) < 20,
        "the source on the left, its painting on the right",
    )
    slide(page, "wipe", 0)
    wait_for(lambda: saturation(canvas(page)[:, :70]) < 20, "the painting alone")
    page.click("#compare")
    page.click("#pause")
    wait_for(lambda: eyes.status()["run"]["paused"], "a held picture")
    _, first, _ = eyes.frame()
    _, second, _ = eyes.frame()
    assert changed(first, second) == 0
    page.click("#pause")
    page.click("#snapshot")
    wait_for(lambda: list((folder / "captures").glob("*.png")) != [], "a snapshot")
    page.click("#record")
    wait_for(lambda: eyes.status()["run"]["recording"], "a recording")
    run = eyes.status()["run"]
    film, begun = Path(run["recording"]), run["frames_out"]
    wait_for(lambda: eyes.status()["run"]["frames_out"] > begun + 20, "frames")
    page.wait_for_selector("#record[aria-pressed=true]")
    page.click("#record")
    wait_for(lambda: not eyes.status()["run"]["recording"], "the end of the recording")
    assert cv2.VideoCapture(str(folder / film)).get(cv2.CAP_PROP_FRAME_COUNT) > 10


def stops_and_starts(page: Page, eyes: FrameProbe) -> None:
    page.click("[aria-label='Stop null:']")
    wait_for(lambda: eyes.status()["outputs"][0]["state"] == "stopped", "a stopped output")
    page.click("[aria-label='Start null:']")
    wait_for(lambda: eyes.status()["outputs"][0]["state"] == "running", "a running output")
    page.click("[aria-label='Stop the source']")
    wait_for(lambda: eyes.status()["state"] == "ended", "the end")
    page.wait_for_selector("#empty", state="visible")
    page.click("[aria-label='Start the source']")
    eyes.until(lambda facts, *_: facts["style"] == "ink", "frames again, as they were")
    page.wait_for_selector("#empty", state="hidden")


def test_a_source_that_cannot_be_opened_is_told_in_the_picture_s_place_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    port = free_port()
    with serving(tmp_path, port, *SETTINGS), browser() as page:
        page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}")
        page.click("#quick [data-url='screen:']")
        page.wait_for_selector("#empty-text >> text=DISPLAY")
        page.wait_for_selector(".of-source >> text=failed")
        assert page.inner_text("#source-name") == "Screen"
        assert page.locator(".toast.bad").count() == 0


def test_by_keyboard_alone(room: str, port: int) -> None:
    with browser() as page, socketed(port) as viewer:
        eyes = FrameProbe(viewer, port)
        page.goto(room)
        page.wait_for_selector("#wall .tile >> nth=15")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the styles"
        page.keyboard.press("2")
        wait_for(lambda: eyes.settings()["style"] == "great-wave", "the second style")
        page.keyboard.press("ArrowRight")
        wait_for(lambda: eyes.settings()["style"] == "udnie", "the style after it")
        page.keyboard.press("m")
        page.keyboard.press("1")
        wait_for(lambda: eyes.settings()["style"] == "udnie:0.5,starry-night:0.5", "a mix")
        page.keyboard.press("[")
        wait_for(lambda: eyes.settings()["strength"] == 0.95, "less strength")
        for key, shows in {"b": "#wipe", "?": "#keys"}.items():
            page.keyboard.press(key)
            page.wait_for_selector(shows, state="visible")
        page.keyboard.press("Escape")
        names = page.evaluate(UNNAMED)
        assert names == [], "every control has a name"
        reached = set()
        page.focus(".skip")
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.style"))
        controls = {
            "snapshot",
            "record",
            "compare",
            "heat",
            "fade",
            "scream",
            "strength",
            "repair",
            "region-set",
        }
        assert controls <= reached


UNNAMED = """
[...document.querySelectorAll('button, input, select')].filter(control => {
  const label = control.labels?.length ? [...control.labels].map(l => l.textContent).join('') : '';
  return !(control.getAttribute('aria-label') || label || control.textContent).trim();
}).map(control => control.outerHTML)
"""


def test_on_a_phone_nothing_sticks_out(room: str) -> None:
    with browser(viewport={"width": 360, "height": 740}, has_touch=True) as page:
        page.goto(room)
        page.wait_for_selector("#wall .tile >> nth=15")
        wait_for(lambda: page.evaluate("document.getElementById('picture').width") == 160, "a picture")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
        page.tap("[data-style=udnie]")
        page.wait_for_selector("[data-style=udnie][aria-pressed=true]")
        picture = page.locator("#picture").bounding_box()
        assert picture is not None
        assert picture["width"] >= 350


def test_a_picture_that_is_dropped_becomes_a_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped, trained in the background while the scene plays on, offered, and painted with."""
    training = Training(steps=STEPS)
    monkeypatch.setattr(control_room, "Training", lambda: training)
    # Its share of a busy machine is tested alone, in test_training_share.py.
    monkeypatch.setattr("streamstyle.web.training.low_priority", list)
    random = np.random.default_rng(3)
    stripes = np.repeat(random.integers(0, 255, (1, 24, 3), np.uint8), 8, axis=1).repeat(192, axis=0)
    picture = base64.b64encode(encode(stripes, ".png")).decode()
    seen: list[dict[str, Any]] = []
    with served(tmp_path, "null:", source=SCENE, engine="torch") as room, browser() as page:
        page.goto(f"http://127.0.0.1:{room.port}/?token={TOKEN}")
        room.do("start")
        page.wait_for_selector("#wall .tile >> nth=15")
        page.evaluate(DROP, picture)
        page.fill("#naming-name", "stripes")
        page.press("#naming-name", "Enter")
        page.wait_for_selector("#drop-text >> text=Training stripes")
        before = room.status()["run"]["frames_out"]

        def over() -> bool:
            seen.append(training.to_json())
            return seen[-1]["state"] != "running"

        wait_for(over, "the training", 600)
        assert seen[-1] == {"state": "done", "name": "stripes", "step": STEPS, "steps": STEPS, "why": None}
        assert room.status()["run"]["frames_out"] > before, "the scene played on"
        page.wait_for_selector(".toast >> text=The style stripes is there")
        page.click("[data-style=stripes]")
        room.until(lambda status: status["settings"]["style"] == "stripes" and not status["run"]["fading"])
        page.wait_for_selector("[data-style=stripes][aria-pressed=true]")
        with socketed(room.port) as viewer:
            eyes = FrameProbe(viewer, room.port)
            eyes.until(
                lambda facts, p, o: facts["style"] == "stripes" and changed(p, o) > 5, "painted with it"
            )


STEPS = 2
DROP = """
data => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], "Stripes (1).png", { type: "image/png" }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}
"""


def test_the_browser_s_own_camera_is_painted_and_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("aiortc")
    port = free_port()
    with (
        serving(tmp_path, port, *SETTINGS, "--set", "size=160x96"),
        browser() as page,
        socketed(port) as viewer,
    ):
        eyes = FrameProbe(viewer, port)
        page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}")
        page.click("#own-camera")
        eyes.until(
            lambda facts, p, o: facts["style"] == "starry-night" and changed(p, o) > 15, "it is painted"
        )
        page.wait_for_selector("#returned", state="visible")
        wait_for(lambda: page.evaluate("document.getElementById('returned').videoWidth") > 0, "it comes back")
        wait_for(lambda: page.evaluate(GREENNESS) < 40, "painted, and green no more")
        assert eyes.status()["source"] == "browser:"


# The fake camera is green; what is painted after The Starry Night is not.
GREENNESS = """
(() => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [32, 18];
  const context = canvas.getContext('2d');
  context.drawImage(document.getElementById('returned'), 0, 0, 32, 18);
  const data = context.getImageData(0, 0, 32, 18).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1] - (data[i] + data[i + 2]) / 2;
  return sum / (32 * 18);
})()
"""


def test_it_comes_back_after_a_restart_and_obs_shows_nothing_meanwhile(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with browser() as page:
        with serving(tmp_path, port, *SETTINGS, SCENE) as process:
            page.goto(f"{address}/obs?token={TOKEN}")
            page.wait_for_selector("#picture:not(.gone)")
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT_TIMEOUT) == 0
        page.wait_for_selector("#picture.gone", state="attached")
        with serving(tmp_path, port, *SETTINGS):
            page.goto(f"{address}/?token={TOKEN}")
            page.wait_for_selector("#quick [data-url]")
            page.click("#quick [data-url^='test:']")
            wait_for(lambda: page.evaluate("document.getElementById('picture').width") == 640, "a picture")
        page.wait_for_selector("body.away")
        with serving(tmp_path, port, *SETTINGS, SCENE):
            wait_for(
                lambda: page.evaluate("document.getElementById('picture').width") == 160, "it comes back"
            )
