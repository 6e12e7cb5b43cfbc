"""Errors of live sources, in words that say what to do."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers import free_port, needs_ffmpeg, needs_gstreamer, needs_xvfb, rtsp_server, xvfb

from streamstyle.errors import ConfigError, SourceError
from streamstyle.media.live_url import LiveLimits, live_input_of
from streamstyle.media.open import open_live, open_source

SHORT = LiveLimits(open=0.5, read=0.5)


def why(url: str, limits: LiveLimits = SHORT) -> str:
    with pytest.raises(SourceError) as caught, open_live(live_input_of(url), limits):
        pass
    return str(caught.value)


@contextmanager
def mute_server() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "http"])
def test_nobody_there_is_told_with_the_port(scheme: str) -> None:
    port = free_port()
    assert f"check that the server runs, and listens on port {port}" in why(f"{scheme}://127.0.0.1:{port}/x")


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "http"])
def test_a_mute_server_is_given_up_after_the_time_out(scheme: str) -> None:
    with mute_server() as port:
        assert "sends nothing in time" in why(f"{scheme}://127.0.0.1:{port}/x")


def test_silence_on_a_udp_port_is_told() -> None:
    assert "sends nothing in time" in why(f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}")


def test_an_unknown_host_is_told() -> None:
    assert "names a host that is not known, camera.invalid" in why("rtsp://camera.invalid/1")


@needs_gstreamer
def test_a_wrong_path_is_told(tmp_path: Path) -> None:
    with rtsp_server(tmp_path) as server:
        assert "does not exist on that server (404)" in why(f"{server.url}/other", LiveLimits())


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "(404): check the path"), (401, "needs a user name and a password"), (500, "cannot be")],
)
def test_what_a_web_server_refuses_is_told(status: int, words: str) -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            told = why(f"http://user:secret@127.0.0.1:{server.server_port}/film.mp4", LiveLimits())
        finally:
            server.shutdown()
            thread.join()
    assert words in told
    assert "secret" not in told


def test_there_is_no_such_camera() -> None:
    told = why("webcam:99", LiveLimits())
    assert told.startswith("webcam:99 does not exist: ")


@needs_xvfb
def test_a_region_off_the_screen_is_told(tmp_path: Path) -> None:
    with xvfb(tmp_path, "200x160") as server:
        told = why(f"screen:?display={server.display}&region=150,0,100,100", LiveLimits())
    assert "check the display and that the region lies on it" in told


@needs_ffmpeg
def test_srt_says_what_the_program_said_without_the_passphrase() -> None:
    told = why(f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}?passphrase=verysecret", LiveLimits())
    assert "cannot be read: Input/output error" in told
    assert "verysecret" not in told


def test_srt_without_the_program_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install ffmpeg" in why("srt://127.0.0.1:4711")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("webcam:0?rate=30", "webcam: has no option 'rate'"),
        ("webcam:0?size=640", "write size as 1280x720"),
        ("screen:?display=:1&region=1,2,3", "region as x,y,width,height"),
        ("screen:?display=:1&fps=fast", "fps as a number"),
        ("screen:", "DISPLAY is not set"),
        ("rtsp://u:${NO_SUCH_VARIABLE}@h/", "names the environment variable NO_SUCH_VARIABLE"),
        ("test:?live=yes", "cannot be read"),
    ],
)
def test_options_that_make_no_sense_are_told(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=words):
        open_source(url)
