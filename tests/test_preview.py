"""The preview page, seen with sockets and a plain client; tests/test_web_guard.py attacks its server."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np
import pytest
from live_film import SIZE, Pump, live_frame, live_info
from media_files import PATCHES, patch_colours
from peers import free_port, wait_for

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.open import open_sink
from streamstyle.types import FrameQuality, Kind
from streamstyle.web.preview import PreviewSink
from streamstyle.web.server import MAX_CONNECTIONS


@contextmanager
def shown(token: str = "word") -> Iterator[tuple[PreviewSink, Pump, int]]:
    """A preview that shows live frames, and its port."""
    told = list[str]()
    sink = PreviewSink(f"preview:?token={token}", told.append)
    assert told == [f"preview: {sink.address}"]
    pump = Pump(sink, None)
    pump.start()
    try:
        yield sink, pump, int(sink.address.split(":")[2].split("/")[0])
    finally:
        pump.stop()
        sink.close(complete=True)


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        client.close()


def test_the_page_comes_with_a_policy_that_lets_only_itself_run() -> None:
    with shown() as (_, _, port):
        status, headers, body = get(port, "/?token=word")
    assert status == 200
    headers = {name.lower(): value for name, value in headers.items()}
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http" not in body  # nothing from elsewhere
    assert headers["cache-control"] == "no-store"


def test_pictures_come_one_for_each_request_with_what_is_known_of_them() -> None:
    with shown() as (_, _, port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        indices = []
        for _ in range(5):
            client.request("GET", "/frame.jpg?token=word")
            answer = client.getresponse()
            state = json.loads(answer.headers["Frame-State"])
            picture = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
            indices.append(state["index"])
            assert picture.shape == (SIZE[1], SIZE[0], 3)
            if state["index"] % 20:
                assert np.abs(patch_colours(picture[..., ::-1]) - np.array(PATCHES)).max() < 24
        client.close()
    assert indices == sorted(set(indices))
    assert state["fps"] > 0
    assert state["age_ms"] >= 0


def test_what_was_found_is_told() -> None:
    told = list[str]()
    sink = PreviewSink("preview:?token=word", told.append)
    port = int(sink.address.split(":")[2].split("/")[0])
    quality = FrameQuality(1.5, (Kind.FLICKER,), np.zeros((2, 2), np.float32), "tile gain")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as viewer:
        viewer.sendall(f"GET /frame.jpg?token=word HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        wait_for(
            lambda: (
                sink.write(replace(live_frame(1), style="udnie", quality=quality, filler=True))
                or sink.report().counters["shown"] > 0
            ),
            "a picture",
        )
        head = viewer.recv(4096).split(b"\r\n\r\n")[0].decode()
    sink.close(complete=True)
    state = json.loads(
        next(line for line in head.split("\r\n") if line.lower().startswith("frame-state"))[13:]
    )
    assert (state["kinds"], state["action"], state["style"]) == (["flicker"], "tile gain", "udnie")
    assert state["stand_in"]


def test_a_stream_goes_on_and_pictures_are_encoded_once_for_all() -> None:
    with shown() as (sink, _, port):
        viewers = []
        for _ in range(3):
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            client.request("GET", "/stream.mjpg?token=word")
            viewers.append((client, client.getresponse()))
        for _, answer in viewers:
            assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
            seen = b""
            while seen.count(b"--frame") < 6:
                seen += answer.read1()
            start = seen.index(b"\xff\xd8")
            picture = cv2.imdecode(np.frombuffer(seen[start:], np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (SIZE[1], SIZE[0], 3)
        for client, _ in viewers:
            client.close()
        counts = sink.report().counters
    assert counts["shown"] >= 15
    assert counts["pictures"] <= counts["frames"]


def test_who_does_not_look_gets_no_pictures_and_no_work_is_done_for_nobody() -> None:
    with shown() as (sink, pump, port):
        wait_for(lambda: pump.frames > 5, "frames")
        assert sink.report().counters["pictures"] == 0
        with socket.create_connection(("127.0.0.1", port), timeout=60) as viewer:
            viewer.sendall(f"GET /stream.mjpg?token=word HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            wait_for(lambda: sink.report().counters["shown"] > 0, "a picture")
            assert get(port, "/?token=word")[0] == 200  # one that does not read holds nobody up


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 403),
        ("/frame.jpg?token=wor", {}, 403),
        ("/stream.mjpg?token=", {}, 403),
        ("/?token=word", {"Host": "evil.example"}, 421),
        ("/?token=word", {"Host": "127.0.0.1:1"}, 421),
        ("/frame.jpg?token=word", {"Origin": "http://evil.example"}, 403),
        ("/frame.jpg?token=word", {"Origin": "null"}, 403),
        ("/../etc/passwd?token=word", {}, 404),
        ("/nothing?token=word", {}, 404),
    ],
)
def test_strangers_are_refused(path: str, headers: dict[str, str], status: int) -> None:
    with shown() as (sink, _, port):
        assert get(port, path, **headers)[0] == status
        assert sink.report().counters["refused"] == (status != 404)


@pytest.mark.parametrize(
    "said", [b"\r\n\r\n", b"GET /\r\n\r\n", b"\xff" * 9000, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_what_is_no_request_is_let_go(said: bytes) -> None:
    with shown() as (_, _, port):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as viewer:
            viewer.sendall(said)
            viewer.shutdown(socket.SHUT_WR)
            heard = b""
            with contextlib.suppress(ConnectionResetError):  # it may go without hearing all
                while part := viewer.recv(4096):
                    heard += part
        assert heard == b"" or heard.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))
        assert get(port, "/?token=word")[0] == 200


def test_more_viewers_than_there_is_room_for_wait_outside() -> None:
    with shown() as (_, pump, port):
        crowd = [
            socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(MAX_CONNECTIONS + 3)
        ]
        frames = pump.frames
        wait_for(lambda: pump.frames > frames + 5, "frames that go on")
        for viewer in crowd:
            viewer.close()

        def answers() -> bool:
            try:
                return get(port, "/?token=word")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_for(answers, "room, once the crowd is seen to have left")


def test_a_port_that_is_taken_and_an_address_that_is_none_are_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=f"cannot use port {port}"):
            open_sink(f"preview:{port}", live_info(None))
    for url in ("preview:http", "preview:70000", "preview:8080?key=1"):
        with pytest.raises(ConfigError, match="write preview:"):
            open_sink(url, live_info(None))
    sink = PreviewSink(f"preview:{free_port()}")
    other = PreviewSink("preview:")
    assert sink.address.split("token=")[1] != other.address.split("token=")[1]
    for one in (sink, other):
        one.close(complete=True)
        with pytest.raises(SinkError, match="closed"):
            one.write(live_frame(0))
