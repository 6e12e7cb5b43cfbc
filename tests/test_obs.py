"""OBS itself as the peer: its media source plays what a run sends, and its screenshot shows that.

OBS runs on a screen without a monitor and is told what to do by obs-websocket 5, which is part of it
(https://github.com/obsproject/obs-websocket/blob/master/docs/generated/protocol.md).
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from peers import (
    WAIT_TIMEOUT,
    Peer,
    free_port,
    killed_on_failure,
    needs_ffmpeg,
    needs_obs,
    needs_xvfb,
    wait_for,
    xvfb,
)
from websockets.sync.client import ClientConnection, connect

from streamstyle.media.av_source import FileSource
from streamstyle.types import Picture

SCENE = "test:?live=1&size=320x180&rate=10"
PAINTING = ("--style", "scream", "--network", "lite", "--set", "engine=torch")
EVERY = ("--set", "queue=64")  # frames that wait for the file: it has every frame that OBS may show
ALIKE = 10.0
"""Levels of 0..255: a mean difference that two decoders of one frame do not reach. They spread colours in
different ways, which makes 6 in a picture of fine stripes; frames seconds apart differ by over 25."""
INPUT = "painted"
LATER = 30
"""Frames until the next look."""

pytestmark = [needs_obs, needs_xvfb]


class Obs:
    """Requests to a running OBS."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        connection.recv(WAIT_TIMEOUT)
        connection.send(json.dumps({"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 0}}))
        assert json.loads(connection.recv(WAIT_TIMEOUT))["op"] == 2, "it lets us in"

    def ask(self, kind: str, **values: Any) -> dict[str, Any] | None:
        """The answer to a request; None where OBS cannot do it now."""
        request = {"requestType": kind, "requestId": kind, "requestData": values}
        self._connection.send(json.dumps({"op": 6, "d": request}))
        answer = json.loads(self._connection.recv(WAIT_TIMEOUT))["d"]
        return dict(answer.get("responseData") or {}) if answer["requestStatus"]["result"] else None

    def screenshot(self, source: str) -> Picture | None:
        """The current picture of a source; None while it has none."""
        answer = self.ask("GetSourceScreenshot", sourceName=source, imageFormat="png")
        if answer is None:
            return None
        png = base64.b64decode(answer["imageData"].partition(",")[2])
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return np.asarray(picture[..., ::-1], np.uint8) if picture.any() else None


@contextmanager
def obs(folder: Path) -> Iterator[Obs]:
    """OBS with settings of its own, an empty scene, and no question at its first start."""
    port = free_port()
    settings = folder / "obs-studio"
    settings.mkdir()
    server = f"FirstLoad=false\nServerEnabled=true\nServerPort={port}\nAuthRequired=false\n"
    (settings / "global.ini").write_text(f"[General]\nFirstRun=true\n[OBSWebSocket]\n{server}")

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with ExitStack() as stack:
        screen = stack.enter_context(xvfb(folder, "1280x720"))
        words = [f"{name}={folder}" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")]
        words += [f"DISPLAY={screen.display}", "LIBGL_ALWAYS_SOFTWARE=1", "QT_QPA_PLATFORM=xcb"]
        # OpenCV's wheel names plugins of its own Qt to all programs.
        unset = [text for name in ("PYTHONPATH", "QT_QPA_PLATFORM_PLUGIN_PATH") for text in ("-u", name)]
        command = ["env", *unset, *words, "obs", "--multi", "--disable-missing-files-check"]
        stack.enter_context(Peer(command, folder / "obs.log", ready=answers))
        yield Obs(stack.enter_context(connect(f"ws://127.0.0.1:{port}", max_size=None)))


def frames_of(metrics: int) -> int:
    """The number of frames that have passed the engine; 0 before the run tells."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=WAIT_TIMEOUT) as answer:
            told = answer.read().decode()
    except OSError:
        return 0
    return int(float(re.findall(r"^streamstyle_frames_painted_total (\S+)", told, re.MULTILINE)[0]))


def nearest(picture: Picture, frames: list[Picture]) -> tuple[int, float]:
    """The frame that is most like the picture, and their mean difference in levels of 0..255."""
    apart = [float(cv2.absdiff(picture, frame).mean()) for frame in frames]
    return int(np.argmin(apart)), min(apart)


def another_picture(peer: Obs, metrics: int, before: Picture | None) -> Picture:
    """The picture of OBS `LATER` frames from now, unless it is the same as before."""
    enough = frames_of(metrics) + LATER
    found: list[Picture] = []

    def shows_it() -> bool:
        picture = peer.screenshot(INPUT) if frames_of(metrics) >= enough else None
        if picture is None or (before is not None and np.array_equal(picture, before)):
            return False
        found.append(picture)
        return True

    wait_for(shows_it, "another picture in OBS")
    return found[0]


@needs_ffmpeg
@pytest.mark.parametrize("protocol", ["srt", "udp"])
def test_a_media_source_shows_what_a_run_sends(tmp_path: Path, protocol: str) -> None:
    url, metrics = f"{protocol}://127.0.0.1:{free_port(socket.SOCK_DGRAM)}", free_port()
    sent = tmp_path / "sent.mkv"
    sinks = [f"{url}?mode=listener" if protocol == "srt" else url, str(sent)]
    command = [sys.executable, "-m", "streamstyle", "run", SCENE, *sinks, *PAINTING, *EVERY]
    command += ["--metrics", f"127.0.0.1:{metrics}"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with obs(tmp_path) as peer, killed_on_failure(subprocess.Popen(command, env=environment)) as run:
        source = {"is_local_file": False, "input": url, "input_format": "mpegts", "reconnect_delay_sec": 1}
        new = {"sceneName": "Scene", "inputName": INPUT, "inputKind": "ffmpeg_source"}
        assert peer.ask("CreateInput", **new, inputSettings=source) is not None
        first = another_picture(peer, metrics, None)
        later = another_picture(peer, metrics, first)
        run.send_signal(signal.SIGINT)
        assert run.wait(WAIT_TIMEOUT) == 130
    with FileSource(str(sent)) as film:
        frames = [frame.pixels for frame in film]
    (one, apart), (another, still_apart) = nearest(first, frames), nearest(later, frames)
    assert max(apart, still_apart) < ALIKE
    assert one < another, "it plays"
