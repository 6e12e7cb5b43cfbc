"""Access to the control room, asked for by real sockets: every attack, and what is fine."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from streamstyle.config import RunConfig
from streamstyle.control.requests import AddSink, Set, Switch
from streamstyle.errors import ConfigError
from streamstyle.web import server as web_server
from streamstyle.web.app import KINDS, UPLOADS, ControlRoom, application
from streamstyle.web.guard import MAX_BODY, MAX_UPLOAD, Access, AccessGuard
from streamstyle.web.pages import POLICY, open_paths
from streamstyle.web.pictures import PictureFeed
from streamstyle.web.policy import Policy
from streamstyle.web.record import FindingsHistory
from streamstyle.web.room_state import RoomState
from streamstyle.web.server import MAX_CONNECTIONS, WebServer, listening, parse_address
from streamstyle.web.service import Service
from streamstyle.web.training import Training, decode_upload
from streamstyle.web.wall import StyleWall
from streamstyle.web.webrtc import IncomingPictures

TOKEN = "the-right-word-of-this-server"
Answer = tuple[int, dict[str, str], bytes]


def nothing_starts(*_: object, **__: object) -> object:
    raise ConfigError("nothing starts here")


def room() -> ControlRoom:
    service = Service(nothing_starts, RoomState(RunConfig()))
    feed = PictureFeed()
    wall = StyleWall(lambda: ["ink"], lambda: lambda picture, _: picture, lambda: feed.source)
    return ControlRoom(
        service=service,
        feed=feed,
        record=FindingsHistory(lambda _: ""),
        wall=wall,
        policy=Policy(sources=["film.mp4"]),
        training=Training(),
        incoming=IncomingPictures(),
        sources=list,
        styles=lambda: [
            {"name": "<script>alert(1)</script>", "title": "</title>", "artist": "", "own": True}
        ],
        save_preset=lambda name, _: name,
    )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[int, AccessGuard]]:
    """A control room without a source: its port, and what stands before it."""
    one = room()
    listener = listening("127.0.0.1", 0)
    access = Access(
        int(listener.getsockname()[1]),
        TOKEN,
        open=open_paths(),
        uploads=UPLOADS,
        kinds=KINDS,
    )
    guard = AccessGuard(application(one), access, POLICY)
    with WebServer(listener, guard) as server:
        yield server.port, guard
    one.close()


@pytest.fixture
def port(served: tuple[int, AccessGuard]) -> int:
    return served[0]


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """headers: `_` stands for `-`."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        client.close()


def post(port: int, path: str, values: Any, **headers: str) -> Answer:
    more = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json", **headers}
    return ask(port, "POST", path, values if isinstance(values, bytes) else json.dumps(values), **more)


def test_who_knows_the_word_is_let_in_and_gets_a_strict_policy(port: int) -> None:
    for path, kind in {"/": "text/html", "/obs": "text/html", "/status.json": "application/json"}.items():
        status, headers, body = ask(port, "GET", f"{path}?token={TOKEN}")
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert b"http://" not in body, "nothing from elsewhere"
        assert b"<style" not in body, "nothing inline"
    status, _, body = post(port, "/api/set", {"style": "udnie"})
    assert (status, json.loads(body)["settings"]["style"]) == (200, "udnie")
    assert ask(port, "GET", "/healthz")[2] == b'{"ok":true}'


@pytest.mark.parametrize(
    "path", ["/", "/obs", "/status.json", "/metrics", "/frame.jpg", "/stream.mjpg", "/api/styles"]
)
@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", f"?token={TOKEN}x", f"?token={TOKEN[:-1]}"])
def test_without_the_word_nothing_is_told(port: int, path: str, token: str) -> None:
    status, _, body = ask(port, "GET", path + token)
    assert (status, body) == (403, b"the token is missing or wrong: use the address that was printed\n")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "192.168.1.9:{port}", ""],
)
def test_another_host_is_refused(port: int, host: str) -> None:
    for path in (f"/?token={TOKEN}", "/static/main.js", "/healthz"):
        assert ask(port, "GET", path, Host=host.format(port=port))[0] == 421


def test_two_hosts_are_refused(port: int) -> None:
    sent = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(sent.encode())
        assert client.recv(99).split()[1] in {b"400", b"421"}


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "file://"]
)
def test_pages_of_other_origins_are_refused(port: int, origin: str) -> None:
    foreign = origin.format(port=port)
    assert ask(port, "GET", f"/status.json?token={TOKEN}", Origin=foreign)[0] == 403
    assert post(port, "/api/set", {"style": "scream"}, Origin=foreign)[0] == 403
    with pytest.raises(InvalidStatus, match="403"), socketed(port, origin=foreign):
        pass


def socketed(port: int, token: str = TOKEN, **more: Any) -> Any:
    more = {"origin": f"http://127.0.0.1:{port}", "ping_interval": None, **more}
    return connect(f"ws://127.0.0.1:{port}/live?token={token}", open_timeout=60, **more)


def test_a_web_socket_needs_an_origin_and_the_word(port: int) -> None:
    with socketed(port) as one:
        assert json.loads(one.recv(timeout=60))["status"]["state"] == "idle"
    for more in ({"origin": None}, {"token": "wrong"}, {"token": ""}):
        with pytest.raises(InvalidStatus, match="403"), socketed(port, **more):
            pass


@pytest.mark.parametrize(
    "sent", ["no json", "[]", '{"credit": -1}', '{"credit": 99}', '{"more": 1}', '"' * 500, "{" * 9999]
)
def test_a_page_that_says_nonsense_is_left(port: int, sent: str) -> None:
    with socketed(port) as one:
        one.send(sent)
        with pytest.raises(ConnectionClosed):
            list(one)
    assert ask(port, "GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
)
def test_a_form_of_another_site_changes_nothing(port: int, kind: str) -> None:
    before = ask(port, "GET", f"/status.json?token={TOKEN}")[2]
    headers = {"Content_Type": kind}
    assert ask(port, "POST", f"/api/set?token={TOKEN}", b'{"style":"scream"}', **headers)[0] == 403, (
        "word in the address"
    )
    assert post(port, "/api/set", {"style": "scream"}, **headers)[0] == 415
    assert ask(port, "GET", f"/status.json?token={TOKEN}")[2] == before


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/config.py",
        "/static//etc/passwd",
        "/../../etc/passwd",
        "/static/..\\app.py",
        "/static/main.js%00.css",
        "/etc/passwd",
    ],
)
def test_nothing_but_the_files_of_the_page_can_be_had(port: int, path: str) -> None:
    for query in ("", f"?token={TOKEN}"):
        status, _, body = ask(port, "GET", path + query)
        assert status in {403, 404}
        assert b"import" not in body
        assert b"root:" not in body


@pytest.mark.parametrize("path", ["/api/set", "/api/train?name=x", "/api/nothing"])
def test_ten_megabytes_are_not_read(port: int, path: str) -> None:
    kind = "image/png" if "train" in path else "application/json"
    with contextlib.suppress(ConnectionError):  # it may be gone before all is sent
        assert post(port, path, b"x" * 10_000_000, Content_Type=kind)[0] == 413
    limit = MAX_UPLOAD if "train" in path else MAX_BODY
    chunks = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
    chunks += f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(chunks.encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(limit // 65_536 + 4):
                client.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            assert client.recv(99).split()[1] == b"413"
    assert ask(port, "GET", "/healthz")[0] == 200


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted by /proc")
def test_a_thousand_idle_sockets_keep_nobody_out_for_long(
    served: tuple[int, AccessGuard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "REQUEST_TIMEOUT", 0.5)
    port, crowd = served[0], list[socket.socket]()
    for _ in range(1000):
        with contextlib.suppress(OSError):
            client = socket.socket()
            client.setblocking(False)
            crowd.append(client)
            client.connect_ex(("127.0.0.1", port))
    held = len(crowd) + MAX_CONNECTIONS + 64
    wait_for(lambda: len(list(Path("/proc/self/fd").iterdir())) < held, "it holds no more than it may")
    wait_for(lambda: answers(port), "those who come are let in again")
    for client in crowd:
        client.close()


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_a_script_in_a_style_s_name_stays_a_text(port: int) -> None:
    status, headers, body = ask(port, "GET", f"/api/styles?token={TOKEN}")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)[0]["name"] == "<script>alert(1)</script>"
    static = Path(web_server.__file__).parent / "static"
    for file in static.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not [
            word
            for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(")
            if word in text
        ]
    for file in static.glob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not [word for word in (" onclick", " style=", "javascript:", "//cdn") if word in text]


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "upload",
    [
        b"",
        b"PK\x03\x04" + b"\0" * 500,
        b"\x1f\x8b" + b"\0" * 500,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff" + b"junk" * 99,
        png_header(100_000, 100_000),
        png_header(30_000, 30_000),
    ],
    ids=["empty", "zip", "gzip", "svg", "broken", "bomb", "smaller bomb"],
)
def test_an_upload_that_is_no_picture_is_refused(port: int, upload: bytes) -> None:
    status, _, body = post(port, "/api/train?name=mine", upload, Content_Type="image/png")
    assert status == 400
    assert "not a JPEG, PNG or WebP picture" in json.loads(body)["error"]
    assert json.loads(post(port, "/api/train?name=..", upload, Content_Type="image/png")[2])[
        "error"
    ].startswith("a style is named")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_is_decoded_and_made_smaller(suffix: str) -> None:
    picture = np.full((300, 2000, 3), (10, 120, 230), np.uint8)
    small = cv2.imdecode(
        np.frombuffer(decode_upload(cv2.imencode(suffix, picture)[1].tobytes()), np.uint8), cv2.IMREAD_COLOR
    )
    assert small.shape == (154, 1024, 3)
    assert np.abs(small.astype(int) - (10, 120, 230)).max() < 6


def test_bad_requests_get_one_sentence_and_change_nothing(port: int) -> None:
    before = ask(port, "GET", f"/status.json?token={TOKEN}")[2]
    for verb, values, why in [
        ("set", {"strength": 2}, "<= 1.0"),
        ("set", [1], "not a JSON object"),
        ("set", b"{", "not a JSON object"),
        ("set", b"[" * 5000, "not a JSON object"),
        ("sett", {}, "did you mean 'set'"),
        ("snapshot", {}, "no run is going on"),
        ("start", {}, "no source is chosen"),
        ("start", {"source": 3}, "cannot be done"),
        ("start", {"source": "film.mp4"}, "nothing starts here"),
        ("remove-sink", {"sink": "null:"}, "there is no output"),
    ]:
        status, _, body = post(port, f"/api/{verb}", values)
        assert status == 400, (verb, values)
        assert why in json.loads(body)["error"]
    after = json.loads(ask(port, "GET", f"/status.json?token={TOKEN}")[2])
    assert after["settings"] == json.loads(before)["settings"]
    assert ask(port, "GET", f"/api/set?token={TOKEN}")[0] == 405


PATHS = [
    "/etc/passwd",
    "../film.mp4",
    "https://evil.example/film.mp4",
    "zmq+tcp://h:1",
    "file:/etc/passwd",
    "C:\\film.mp4",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_names_no_file_and_no_address(port: int, path: str) -> None:
    requests = {
        "start": {"source": path},
        "switch": {"source": path},
        "add-sink": {"sink": path},
        "set": {"style": path},
    }
    for verb, values in [
        *requests.items(),
        ("set", {"region": f"file:{path}"}),
        ("set", {"region": f"onnx:{path}"}),
        ("set", {"region": f"person{path}"}),
    ]:
        status, _, body = post(port, f"/api/{verb}", values)
        assert (status, "cannot be chosen from a browser" in json.loads(body)["error"]) == (400, True), verb


def test_what_a_browser_may_name(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    (tmp_path / "notes.txt").touch()
    policy = Policy(sources=["rtsp://camera"], sinks=["out.mp4"], films=tmp_path)
    assert policy.film_paths() == [str(tmp_path / "film.mp4")]
    for source in (
        "rtsp://camera",
        "webcam:0",
        "screen:",
        "browser:",
        "test:?live=1",
        str(tmp_path / "film.mp4"),
    ):
        policy.check(Switch(source=source))
    for sink in ("out.mp4", "virtualcam:"):
        policy.check(AddSink(sink=sink))
    policy.check(Set(style="a:0.5, b:0.5", region="rect:0,0,50%,100%"))
    for region in ("person", "background", "chroma:00b140,30", "none"):
        policy.check(Set(region=region))
    for source in (
        str(tmp_path / "notes.txt"),
        f"{tmp_path}/../film.mp4",
        "test:?font=/etc/passwd",
        "webcam:0 ",
    ):
        with pytest.raises(ConfigError):
            policy.check(Switch(source=source))
    replace(policy, allow_any=True).check(Switch(source="/etc/passwd"))


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_whatever_is_sent_the_server_stays(sent: bytes) -> None:
    port = _fuzzed()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(sent + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        heard = client.recv(4096)
        assert not heard.startswith(b"HTTP/1.1 200")
    assert ask(port, "GET", "/healthz")[0] == 200


_SERVER: list[WebServer] = []


def _fuzzed() -> int:
    if not _SERVER:
        listener = listening("127.0.0.1", 0)
        access = Access(int(listener.getsockname()[1]), TOKEN, open=open_paths())
        _SERVER.append(WebServer(listener, AccessGuard(application(room()), access, POLICY)))
        _SERVER[0].start()
    return _SERVER[0].port


def test_reachable_servers_take_addresses_but_no_foreign_names() -> None:
    open_to_all = Access(8040, TOKEN, hosts=["studio.example"], reachable=True)
    for host in ("192.168.1.9:8040", "[fe80::1]:8040", "studio.example:8040", "localhost:8040"):
        assert open_to_all.accepts_host(host)
    for host in ("evil.example:8040", "192.168.1.9", "192.168.1.9:80", None, "", ":8040"):
        assert not open_to_all.accepts_host(host)


@pytest.mark.parametrize("text", ["9100", "127.0.0.1:9100", "[::1]:9100", "localhost:9100"])
def test_addresses_are_read(text: str) -> None:
    assert parse_address(text)[1] == 9100


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_address(text)


def test_the_page_begins_with_the_lines_that_pages_share(port: int) -> None:
    page = ask(port, "GET", f"/?token={TOKEN}")[2].decode()
    assert '<meta charset="utf-8">' in page.partition("<title>")[0]
    assert "#include" not in page
