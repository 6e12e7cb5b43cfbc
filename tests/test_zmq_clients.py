"""The real imagezmq and vidgear read what is published, unmodified, and are read as sources."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest
from peers import free_port
from zmq_peers import peer, picture, told

from streamstyle.media.open import open_sink, open_source
from streamstyle.media.zmq_sink import ZmqSink
from streamstyle.types import Frame, FrameQuality, Kind

BLUE, RED = [0, 0, 200], [200, 0, 0]


def frame(index: int) -> Frame:
    heat = picture(index)[::9, ::9, 0].astype("float32")
    quality = FrameQuality(2.0, (Kind.POP,), heat, "none")
    return Frame(picture(index), index, index, Fraction(1, 30), 1, time.monotonic(), "udnie", quality)


@contextmanager
def publishing(sink: ZmqSink) -> Iterator[None]:
    """Frames leave all the while, on a thread of their own."""
    over = threading.Event()

    def publish() -> None:
        for index in itertools.count():
            if over.wait(0.02):
                return
            sink.write(frame(index))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(publish)
        try:
            yield
        finally:
            over.set()
            done.result()


def near(colour: list[int], wanted: list[int]) -> bool:
    return all(abs(a - b) <= 4 for a, b in zip(colour, wanted, strict=True))


def test_imagezmq_reads_pictures_and_nothing_else() -> None:
    pytest.importorskip("imagezmq")
    sink = ZmqSink("zmq+tcp://127.0.0.1:0")
    with peer("imagezmq_hub", sink.endpoint) as hub:
        with publishing(sink):
            for _ in range(3):
                # With heat maps and events published as well: the next message is a picture.
                got = told(hub)
                assert (got["name"], got["shape"]) == ("frame", [36, 64, 3])
                assert (got["left"], got["right"]) == (BLUE, RED)  # BGR: red has come out red
        sink.close(complete=True)


def test_imagezmq_reads_jpeg() -> None:
    pytest.importorskip("imagezmq")
    sink = ZmqSink("zmq+tcp://127.0.0.1:0?format=jpeg&quality=95")
    with peer("imagezmq_jpeg_hub", sink.endpoint) as hub:
        with publishing(sink):
            got = told(hub)
        assert near(got["left"], BLUE)
        assert near(got["right"], RED)
        sink.close(complete=True)


@pytest.mark.parametrize("form", ["bgr24", "jpeg"])
def test_netgear_reads_until_the_end(form: str) -> None:
    pytest.importorskip("vidgear.gears.netgear")
    if form == "jpeg":
        pytest.importorskip("simplejpeg")
    port = free_port()
    with peer("netgear_client", str(port)) as client:
        # NetGear's receiver waits for calls: here the sink calls it.
        sink = ZmqSink(f"zmq+tcp://127.0.0.1:{port}?connect=1&format={form}&quality=95")
        with publishing(sink):
            got = told(client)
        sink.close(complete=True)
        assert near(got["left"], BLUE)
        assert near(got["right"], RED)
        while got["name"] != "end":
            got = told(client)


@pytest.mark.parametrize("form", ["bgr24", "gray", "jpeg"])
def test_imagezmq_is_a_source(form: str) -> None:
    pytest.importorskip("imagezmq")
    port = free_port()
    with (
        peer("imagezmq_sender", f"tcp://127.0.0.1:{port}", form),
        open_source(f"zmq+tcp://127.0.0.1:{port}?timeout=60") as source,
    ):
        assert source.info.live
        assert (source.info.width, source.info.height) == (64, 36)
        stream = iter(source)
        first, second = next(stream), next(stream)
        assert first.pts < second.pts
        assert first.time_base == Fraction(1, 1_000_000)
        red = [0, 0, 0] if form == "gray" else RED
        assert near(first.pixels[20, 4].tolist(), red)


@pytest.mark.parametrize("form", ["raw", "jpeg"])
def test_netgear_is_a_source(form: str) -> None:
    pytest.importorskip("vidgear.gears.netgear")
    if form == "jpeg":
        pytest.importorskip("simplejpeg")
    port = free_port()
    with (
        peer("netgear_server", str(port), form),
        open_source(f"zmq+tcp://127.0.0.1:{port}?bind=1&timeout=60") as source,
    ):
        assert near(next(iter(source)).pixels[20, 4].tolist(), RED)


@pytest.mark.parametrize("transport", ["tcp", "ipc", "shm"])
def test_our_client_reads_it_in_another_process(tmp_path: Path, transport: str) -> None:
    place = "127.0.0.1:0" if transport == "tcp" else str(tmp_path / "film.sock")
    sink = open_sink(f"zmq+{transport}://{place}", None)  # type: ignore[arg-type]  # it needs nothing of the source
    assert isinstance(sink, ZmqSink)
    url = f"zmq+{sink.endpoint}" if transport == "tcp" else f"zmq+{transport}://{place}"
    with peer("client", f"{url}?timeout=60") as client:
        with publishing(sink):
            got = told(client)
        sink.close(complete=True)
        assert (got["left"], got["right"]) == (BLUE, RED)
        while got["name"] != "end":
            got = told(client)
    assert not list(tmp_path.iterdir())
