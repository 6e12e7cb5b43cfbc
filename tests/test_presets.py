"""Every preset of configs/, run through the command line; and live runs that are told to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from peers import (
    children,
    free_port,
    needs_gstreamer,
    needs_nginx,
    needs_xvfb,
    nginx_rtmp,
    rtsp_server,
    wait_for,
    xvfb,
)
from test_virtualcam_sink import Driver, driver  # noqa: F401 - a fixture

from streamstyle.cli.main import main
from streamstyle.client import subscribe
from streamstyle.config import RunConfig, load_config

CONFIGS = Path(__file__).parents[1] / "configs"
CAMERA = "test:?live=1&size=160x96&rate=15"
LONG = 120.0


@contextmanager
def running(*arguments: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`streamstyle run ARGUMENTS --json` in `folder`, killed on exit."""
    command = [sys.executable, "-m", "streamstyle", "run", *arguments, "--json"]
    root = str(CONFIGS.parent)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: int = signal.SIGINT) -> dict[str, object]:
    """Tell it to end; its summary."""
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(number)
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    return dict(json.loads(out.splitlines()[-1]))


def wait_while(process: subprocess.Popen[str], grown: Path) -> None:
    """Wait until the film, beside its name, holds frames; fail if the run ends before."""
    part = grown.with_name(f"{grown.stem}.partial{grown.suffix}")

    def flows() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return part.exists() and part.stat().st_size > 2000

    wait_for(flows, "frames flow", LONG)


def played(path: Path) -> list[float]:
    """Presentation times of all pictures of a film, in seconds."""
    with av.open(str(path)) as film:
        return [float(picture.time) for picture in film.decode(video=0)]


def test_every_preset_of_live_use_is_tested_here() -> None:
    names = {path.stem for path in CONFIGS.glob("*.yaml")} - {"file", "train"}
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'preset("{name}")' in text for name in names)


def preset(name: str) -> Sequence[str]:
    path = CONFIGS / f"{name}.yaml"
    load_config(RunConfig, path, [])
    return ["--config", str(path)]


def test_webcam_to_obs(driver: list[Driver], capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert main(["run", CAMERA, *preset("webcam-obs"), "--frames", "30", "--json"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out.splitlines()[-1])
    assert summary["output"] == ["virtualcam:", "preview:"]
    assert summary["frames_in"] == 30
    shown = len(driver[0].pictures)
    assert shown == summary["frames_out"] + summary["live"]["stand_ins"] - summary["drops"]["virtualcam:"]
    assert driver[0].closed
    assert summary["live"]["latency"]["deadline_ms"] == 100
    assert "preview: http://127.0.0.1:" in said.err


@needs_nginx
def test_camera_to_an_rtmp_service(tmp_path: Path) -> None:
    with nginx_rtmp(tmp_path) as server:
        url = f"{server.url}/key"
        with running(CAMERA, url, *preset("camera-rtmp"), folder=tmp_path) as process:
            seen: list[int] = []

            def plays() -> bool:
                try:
                    with av.open(url, timeout=(5, 5)) as stream:
                        if not stream.streams.video:  # it was opened before the first picture came
                            return False
                        seen.append(sum(1 for _, _ in zip(stream.decode(video=0), range(10), strict=False)))
                except av.FFmpegError:
                    return False
                return seen[-1] == 10

            wait_for(plays, "the server plays what was sent", LONG)
            summary = ended(process)
    assert summary["output"] == [f"{server.url}/***"]


@needs_gstreamer
def test_an_rtsp_camera_to_zeromq(tmp_path: Path) -> None:
    port = free_port()
    with rtsp_server(tmp_path) as server:
        more = ["--metrics", "127.0.0.1:0"]
        arguments = [f"{server.url}/play", f"zmq+tcp://127.0.0.1:{port}", *preset("rtsp-zmq"), *more]
        with running(*arguments, folder=tmp_path) as process:
            with subscribe(f"zmq+tcp://127.0.0.1:{port}?timeout=90") as frames:
                got = [one for one, _ in zip(frames, range(20), strict=False)]
            ended(process, signal.SIGTERM)
    assert {one.pixels.shape for one in got} == {(96, 160, 3)}
    stamps = [one.header.pts for one in got]
    assert all(b > a for a, b in pairwise(stamps))


@needs_xvfb
def test_the_screen_to_a_file(tmp_path: Path) -> None:
    with (
        xvfb(tmp_path) as screen,
        running(*preset("screen-file"), folder=tmp_path, DISPLAY=screen.display) as process,
    ):
        film = tmp_path / "screen.mkv"
        wait_while(process, film)
        summary = ended(process)
    assert summary["source"] == "screen:"
    assert summary["size"] == [320, 240]
    assert len(played(film)) > 1


@needs_nginx
@needs_gstreamer
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_source_and_server_frozen_a_signal_finishes_the_file_and_leaves_nobody(
    tmp_path: Path, number: int
) -> None:
    film = tmp_path / "out.mp4"
    with rtsp_server(tmp_path) as camera, nginx_rtmp(tmp_path) as server:
        sinks = [f"{server.url}/film", str(film)]
        with running(f"{camera.url}/play", *sinks, folder=tmp_path) as process:
            wait_while(process, film)
            camera.freeze()
            server.freeze()
            started = children(process.pid)
            assert started, "a network output is a process of its own"
            summary = ended(process, number)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), "children end", LONG)
    times = played(film)
    assert np.all(np.diff(times) > 0)
    drops, live = summary["drops"], summary["live"]
    assert isinstance(drops, dict)
    assert isinstance(live, dict)
    assert len(times) == summary["frames_out"] + live["stand_ins"] - drops[str(film)]
