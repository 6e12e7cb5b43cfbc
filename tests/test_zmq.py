"""Publishing over ZeroMQ: who gets what, what it costs, and who may listen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message
from zmq_peers import peer, picture, told

from streamstyle.cli import bench_zmq
from streamstyle.cli.main import main
from streamstyle.client import Event, Heat, Received, Stream, subscribe
from streamstyle.errors import ConfigError, SinkError, SourceError
from streamstyle.flow.worker import IdleSink
from streamstyle.media.ring import SLOTS, RingReader, RingWriter, ring_family, ring_folder
from streamstyle.media.zmq_address import make_keys
from streamstyle.media.zmq_sink import ZmqSink
from streamstyle.media.zmq_source import ZmqSource
from streamstyle.media.zmq_subscription import Subscription
from streamstyle.types import Frame, FrameQuality, Interruptible, Kind

WAIT_TIMEOUT = 60.0
LOOPBACK = "zmq+tcp://127.0.0.1:0"


def frame(index: int, *, kinds: tuple[Kind, ...] = (), pts: int | None = None) -> Frame:
    quality = FrameQuality(2.0, kinds, np.full((2, 3), index, np.float32), "none")
    stamp = index if pts is None else pts
    return Frame(picture(index), index, stamp, Fraction(1, 30), 1, time.monotonic(), "udnie", quality)


def await_listeners(sink: ZmqSink, subscriptions: int) -> None:
    """Attend until so many topics have been asked for."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while sink.report().counters["subscriptions"] < subscriptions:
        assert time.monotonic() < deadline, "nobody subscribed"
        sink.on_idle()
        time.sleep(0.005)


@pytest.fixture
def sink() -> Iterator[ZmqSink]:
    sink = ZmqSink(LOOPBACK)
    yield sink
    sink.close(complete=False)


@contextmanager
def aside(work: Callable[[], None]) -> Iterator[None]:
    """Do it on another thread, meanwhile the body."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield
        done.result()


def url_of(sink: ZmqSink, options: str = "timeout=60") -> str:
    return f"zmq+{sink.endpoint}?{options}"


def next_picture(stream: Stream) -> Received:
    return next(item for item in stream if isinstance(item, Received))


def test_where_nobody_listens_nothing_is_published(sink: ZmqSink) -> None:
    for index in range(3):
        sink.write(frame(index))
    assert sink.report().counters == {"frames": 3, "published": 0, "subscriptions": 0}


def test_who_comes_late_sees_the_last_frame_at_once_and_only_they(sink: ZmqSink) -> None:
    assert isinstance(sink, IdleSink)
    with subscribe(url_of(sink)) as early:
        await_listeners(sink, 2)
        sink.write(frame(0))
        assert next_picture(early).header.seq == 0
        with subscribe(url_of(sink)) as late:
            await_listeners(sink, 4)
            again = next_picture(late)
            assert (again.header.seq, again.header.again) == (0, True)
            sink.write(frame(1))
            for stream in (early, late):
                got = next_picture(stream)
                assert (got.header.seq, got.header.again) == (1, False)
            assert early.counters.skipped == 0


def test_who_has_left_costs_nothing(sink: ZmqSink) -> None:
    with subscribe(url_of(sink)):
        await_listeners(sink, 2)
        sink.write(frame(0))
    deadline = time.monotonic() + WAIT_TIMEOUT
    while sink.report().counters["published"] == sink.report().counters["frames"]:
        assert time.monotonic() < deadline
        sink.write(frame(1))
        time.sleep(0.005)


def test_heat_maps_and_events_go_to_who_asks(sink: ZmqSink) -> None:
    with subscribe(url_of(sink), kinds=("heat", "events")) as stream, subscribe(url_of(sink)) as plain:
        await_listeners(sink, 6)
        sink.write(frame(4, kinds=(Kind.POP,)))
        items = iter(stream)
        got = {type(item): item for item in (next(items) for _ in range(3))}
        assert set(got) == {Received, Heat, Event}
        np.testing.assert_array_equal(got[Heat].tiles, np.full((2, 3), 4, np.float32))
        assert got[Event].header.kinds == ["pop"]
        sink.close(complete=True)
        assert [type(item) for item in plain] == [Received]


def test_topics_do_not_mix(sink: ZmqSink) -> None:
    """A longer name that begins alike is another topic."""
    with subscribe(url_of(sink, "timeout=60&topic=frame")) as right, zmq.Context() as context:
        other = context.socket(zmq.SUB)
        other.subscribe(b'{"topic":"frame2"')
        other.connect(sink.endpoint)
        await_listeners(sink, 2)
        sink.write(frame(0))
        assert next_picture(right).header.topic == "frame"
        sink.close(complete=True)
        assert not other.poll(0)
        other.close(0)


def test_a_subscriber_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    sink = ZmqSink(f"zmq+ipc://{tmp_path / 'a.sock'}")
    url = f"zmq+ipc://{tmp_path / 'a.sock'}?timeout=60"
    hangs = Subscription(url)  # nobody ever calls its `receive`
    with subscribe(url) as stream:
        await_listeners(sink, 4)
        seen = []
        for index in range(100):
            sink.write(frame(index))
            seen.append(next_picture(stream).header.seq)
        assert seen == list(range(100))
        sink.close(complete=True)
    assert hangs.receive().header.kind == "picture"
    hangs.close()


def test_a_slow_reader_sees_the_present(sink: ZmqSink) -> None:
    with subscribe(url_of(sink)) as stream:
        await_listeners(sink, 2)
        sink.write(frame(0))
        assert next_picture(stream).header.seq == 0
        for index in range(1, 4):
            sink.write(frame(index))
            time.sleep(0.05)  # for the network, so that not all are dropped at the publisher
        sink.write(frame(4))
        got = next_picture(stream)
        assert got.header.seq is not None
        assert stream.counters.skipped == got.header.seq - 1


@pytest.mark.parametrize("transport", ["ipc", "shm"])
def test_a_path_in_use_is_refused_and_a_dead_one_taken(tmp_path: Path, transport: str) -> None:
    url = f"zmq+{transport}://{tmp_path / 'a.sock'}"
    with peer("flood", url) as child:
        assert told(child) == {"name": "open"}
        with pytest.raises(SinkError, match="in use by another program"):
            ZmqSink(url)
    assert (tmp_path / "a.sock").is_socket(), "killed without cleaning up"
    ZmqSink(url).close(complete=True)
    assert not list(tmp_path.iterdir())


def test_a_file_is_never_taken_for_a_socket(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious")
    with pytest.raises(SinkError, match="not a socket"):
        ZmqSink(f"zmq+ipc://{tmp_path / 'a'}")
    assert (tmp_path / "a").read_text() == "precious"


def test_a_port_in_use_is_told_in_a_sentence(sink: ZmqSink) -> None:
    with pytest.raises(SinkError, match=r"cannot wait for others.*[Aa]ddress already in use"):
        ZmqSink(f"zmq+{sink.endpoint}")


def rings(owner: Path) -> set[Path]:
    return set(ring_folder().glob(f"{ring_family(owner)}*.ring"))


def test_a_ring_never_shows_a_mixed_picture(tmp_path: Path) -> None:
    owner = tmp_path / "a.sock"
    url = f"zmq+shm://{owner}"
    with peer("flood", url) as child:
        told(child)
        with subscribe(f"{url}?timeout=60", latest=False) as stream:
            deadline = time.monotonic() + WAIT_TIMEOUT
            pictures = 0
            while stream.counters.skipped < 100 or pictures < 100:
                assert time.monotonic() < deadline
                got = next_picture(stream)
                assert got.pixels.min() == got.pixels.max()
                pictures += 1
        left = rings(owner)
        assert len(left) == 1
    # The publisher was killed: the next one on this path clears up after it.
    sink = ZmqSink(url)
    with subscribe(f"{url}?timeout=60") as stream:
        await_listeners(sink, 2)
        sink.write(frame(0))
        np.testing.assert_array_equal(next_picture(stream).rgb, picture(0))
        assert not rings(owner) & left
        sink.close(complete=True)
    assert not rings(owner)


def test_an_overwritten_or_unfinished_slot_is_a_skip(tmp_path: Path) -> None:
    writer, reader = RingWriter(tmp_path / "a.sock", 100), RingReader()
    try:
        room, slot = writer.begin(100)
        room[:] = 1
        assert reader.read(slot) is None, "not committed"
        writer.commit(slot)
        np.testing.assert_array_equal(reader.read(slot), np.ones(100, np.uint8))
        for _ in range(SLOTS - 2):
            writer.commit(writer.begin(100)[1])
        assert reader.read(slot) is not None, "the oldest that is kept"
        writer.commit(writer.begin(100)[1])
        assert reader.read(slot) is None
    finally:
        writer.close()
    assert RingReader().read(slot) is None, "removed"


def test_a_slot_outside_the_ring_is_refused(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "a.sock", 100)
    try:
        slot = writer.begin(100)[1]
        beyond = type(slot)(slot.ring, 1 << 40, 100, 1)
        with pytest.raises(SourceError, match="no picture at"):
            RingReader().read(beyond)
    finally:
        writer.close()


def test_pictures_that_grow_get_a_new_ring(tmp_path: Path) -> None:
    owner = tmp_path / "a.sock"
    url = f"zmq+shm://{owner}"
    sink = ZmqSink(url)
    with subscribe(f"{url}?timeout=60") as stream:
        await_listeners(sink, 2)
        for index, size in enumerate([(4, 6), (40, 60), (8, 8)]):
            pixels = picture(index, *size)
            sink.write(Frame(pixels, index, index, Fraction(1, 30), 1, time.monotonic()))
            np.testing.assert_array_equal(next_picture(stream).rgb, pixels)
        sink.close(complete=True)
    assert not rings(owner)


def test_a_source_keeps_the_time_stamps_and_goes_on_after_a_restart() -> None:
    first = ZmqSink(LOOPBACK)
    again: list[ZmqSink] = []

    def feed() -> None:
        await_listeners(first, 2)
        first.write(frame(0, pts=1000))

    def restart() -> None:
        first.close(complete=False)
        again.append(ZmqSink(f"zmq+{first.endpoint}"))
        await_listeners(again[0], 2)
        again[0].write(frame(0, pts=3))

    with aside(feed), ZmqSource(url_of(first)) as source:
        assert isinstance(source, Interruptible)
        assert (source.info.rate, source.info.time_base) == (30, Fraction(1, 30))
        frames = iter(source)
        assert next(frames).pts == 1000
        first.write(frame(1, pts=1001))
        second = next(frames)
        assert (second.pts, second.index, second.duration) == (1001, 1, 1)
        np.testing.assert_array_equal(second.pixels, picture(1))
        with aside(restart):
            assert next(frames).pts > 1001
        source.interrupt()
        assert list(frames) == []
    again[0].close(complete=False)


def test_a_source_that_nobody_feeds_says_so() -> None:
    with (
        pytest.raises(SourceError, match=r"nothing came from .* within 0\.1 s"),
        ZmqSource("zmq+tcp://127.0.0.1:9?timeout=0.1"),
    ):
        pass


def test_a_source_that_is_fed_rubbish_says_what_is_wrong() -> None:
    with zmq.Context() as context:
        publisher = context.socket(zmq.XPUB)
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        subscription = Subscription(f"zmq+tcp://127.0.0.1:{port}?timeout=3")
        publisher.recv()  # its subscription
        publisher.send_multipart([b"\x80\x04not json", b""])
        publisher.send_multipart([b'{"dtype":"uint8","shape":[2,2,3]}', b"123"])
        with pytest.raises(SourceError, match=r"2 messages were refused.*12 bytes, 3 came"):
            subscription.receive()
        subscription.close()
        publisher.close(0)


@pytest.mark.parametrize(
    "url",
    ["zmq+tcp://0.0.0.0:0", "zmq+tcp://*:0", "zmq+tcp://192.0.2.1:5555?connect=1"],
)
def test_what_others_can_reach_needs_keys(url: str) -> None:
    with pytest.raises(ConfigError, match=r"other machines.*key=.*insecure=1"):
        ZmqSink(url)


def test_insecure_is_a_choice() -> None:
    ZmqSink("zmq+tcp://0.0.0.0:0?insecure=1").close(complete=True)


def test_keys_let_in_who_is_on_the_list_and_nobody_else(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    for folder, name in ((tmp_path, "film"), (allowed, "friend"), (tmp_path, "stranger")):
        make_keys(folder, name)
    sink = ZmqSink(f"zmq+tcp://0.0.0.0:0?key={tmp_path / 'film.key_secret'}&allow={allowed}")
    place = f"zmq+tcp://127.0.0.1:{sink.endpoint.rpartition(':')[2]}"

    def options(secret: Path) -> str:
        return f"?timeout=60&key={secret}&server={tmp_path / 'film.key'}"

    with subscribe(place + options(allowed / "friend.key_secret")) as stream:
        await_listeners(sink, 2)
        sink.write(frame(3))
        np.testing.assert_array_equal(next_picture(stream).rgb, picture(3))
    with Subscription(place + options(tmp_path / "stranger.key_secret")) as stranger:
        monitor = stranger._sockets._all[0].get_monitor_socket()
        deadline = time.monotonic() + WAIT_TIMEOUT
        event = 0
        while event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            assert event != zmq.EVENT_HANDSHAKE_SUCCEEDED
            assert monitor.poll(1000 * (deadline - time.monotonic()))
            event = recv_monitor_message(monitor)["event"]
        stranger._sockets._all[0].disable_monitor()
        monitor.close(0)
    sink.close(complete=True)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    public, secret = make_keys(tmp_path / "keys", "me")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert b"secret" not in public.read_bytes().split(b"curve")[1]
    with pytest.raises(ConfigError, match="already exists"):
        make_keys(tmp_path / "keys", "me")
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        ZmqSink(f"{LOOPBACK}?key={secret}&allow={tmp_path / 'keys'}")


def test_the_command_makes_keys_that_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "film", "-o", str(tmp_path)]) == 0
    assert str(tmp_path / "film.key_secret") in capsys.readouterr().out
    ZmqSink(f"{LOOPBACK}?key={tmp_path / 'film.key_secret'}&allow={tmp_path}").close(complete=True)
    assert main(["keys", "film", "-o", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("zmq+tcp://127.0.0.1", "no host and port"),
        ("zmq+tcp://127.0.0.1:99999", "no host and port"),
        ("zmq+ipc://", "names no file"),
        ("zmq+ipc://@abstract", "names no file"),
        ("zmq+ipc:///" + "x" * 200, "longer than"),
        (f"{LOOPBACK}?formt=jpeg", "did you mean 'format'"),
        (f"{LOOPBACK}?format=bgr", "did you mean 'bgr24'"),
        (f"{LOOPBACK}?quality=0", "no number from 1 to 100"),
        (f"{LOOPBACK}?topic=a b", "a topic has"),
        (f"{LOOPBACK}?connect=yes", "must be 0 or 1"),
        (f"{LOOPBACK}?key=/nowhere", "it takes key and allow"),
        (f"{LOOPBACK}?key=/nowhere&allow=/tmp", "is not a key file"),
        ("zmq+shm:///tmp/none.sock?connect=1", "leave connect out"),
    ],
)
def test_urls_that_make_no_sense_are_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ZmqSink(url)


def test_the_benchmark_measures_both_and_counts_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imagezmq")
    monkeypatch.setattr(bench_zmq, "SIZE", (64, 48))
    monkeypatch.setattr(bench_zmq, "_TRANSPORTS", ("shm",))
    monkeypatch.setattr(bench_zmq, "_RIVALS", ("imagezmq tcp",))
    assert main(["bench", "zmq", "--frames", "5", "--rounds", "1", "--seconds", "1"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found["throughput"]) == {"everybody converts RGB to BGR", "nobody converts"}
    for work in found["throughput"].values():
        assert work["fps"]["streamstyle shm"] > 0
        assert work["ratios"]["shm"]["imagezmq tcp"] > 0
    assert found["slow_subscriber"]["shm"]["published"] == 30
    assert found["slow_subscriber"]["shm"]["fast_share"] <= 1
