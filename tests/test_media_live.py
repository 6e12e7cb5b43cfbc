"""Live sources against real servers and programs."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from peers import (
    WAIT_TIMEOUT,
    Peer,
    children,
    command_of,
    ffmpeg,
    free_port,
    needs_ffmpeg,
    needs_gstreamer,
    needs_nginx,
    needs_xvfb,
    nginx_rtmp,
    rtsp_server,
    wait_for,
    xvfb,
)

from streamstyle.errors import SourceError
from streamstyle.media.live_url import LiveLimits, live_input_of
from streamstyle.media.open import open_live
from streamstyle.media.reconnecting import ReconnectingSource
from streamstyle.types import Frame

PICTURE = ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=15"]
TONE = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "8"]
STREAM = [*PICTURE, *TONE, *H264, "-c:a", "aac"]
SHORT = LiveLimits(open=20.0, read=0.5)
FROZEN = 1.5
"""Seconds: three time-outs."""


@contextmanager
def rtsp(folder: Path) -> Iterator[str]:
    with rtsp_server(folder) as server:
        yield f"{server.url}/play"


@contextmanager
def rtmp(folder: Path) -> Iterator[str]:
    with nginx_rtmp(folder) as server, ffmpeg([*STREAM, "-f", "flv", f"{server.url}/film"], folder):
        wait_for(lambda: "publish: name='film'" in server.log(), "the publisher")
        yield f"{server.url}/film"


@contextmanager
def udp(folder: Path) -> Iterator[str]:
    url = f"udp://127.0.0.1:{free_port()}"
    with ffmpeg([*STREAM, "-f", "mpegts", f"{url}?pkt_size=1316"], folder):
        yield url


@contextmanager
def srt(folder: Path) -> Iterator[str]:
    url = f"srt://127.0.0.1:{free_port()}"
    # The listener comes up when it comes up; a caller before that waits 3 s and is refused.
    with ffmpeg([*STREAM, "-f", "mpegts", f"{url}?mode=listener"], folder):
        wait_for(lambda: _holds_udp(int(url.rpartition(":")[2])), "the SRT listener")
        yield url


@contextmanager
def screen(folder: Path) -> Iterator[str]:
    with xvfb(folder, "160x96") as server:
        yield f"screen:?display={server.display}&fps=15"


@contextmanager
def opened(url: str, limits: LiveLimits) -> Iterator[ReconnectingSource]:
    """A source with short limits, once the server is fast enough for them: on a busy machine it begins
    slowly."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while True:
        source = open_live(live_input_of(url), limits)
        try:
            source.__enter__()
            break
        except SourceError:
            if time.monotonic() > deadline:
                raise
    try:
        yield source
    finally:
        source.__exit__(None, None, None)


def _holds_udp(port: int) -> bool:
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


LIVE: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "rtsp": rtsp,
    "rtmp": rtmp,
    "udp": udp,
    "srt": srt,
    "screen": screen,
}
live_peer = pytest.mark.parametrize(
    "name",
    [
        pytest.param("rtsp", marks=needs_gstreamer),
        pytest.param("rtmp", marks=[needs_nginx, needs_ffmpeg]),
        pytest.param("udp", marks=needs_ffmpeg),
        pytest.param("srt", marks=needs_ffmpeg),
        pytest.param("screen", marks=needs_xvfb),
    ],
)


@contextmanager
def nothing_left_over() -> Iterator[None]:
    """Fails if the body leaves file descriptors, threads or children behind."""

    def held() -> tuple[int, int, int]:
        files, threads = (len(list(Path(f"/proc/self/{what}").iterdir())) for what in ("fd", "task"))
        return files, threads, len(children(os.getpid()))

    before = held()
    yield
    wait_for(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)), f"{before} to be all"
    )


def check_order(frames: list[Frame]) -> None:
    for one, two in itertools.pairwise(frames):
        assert one.index < two.index
        assert one.pts < two.pts
        assert one.captured_at <= two.captured_at


def late(frame: Frame, first: Frame) -> float:
    """Seconds that its time stamp is behind the wall clock since the first one."""
    return frame.captured_at - first.captured_at - (frame.time - first.time)


@live_peer
def test_every_live_source_keeps_the_contract(tmp_path: Path, name: str) -> None:
    with LIVE[name](tmp_path) as url, nothing_left_over(), open_live(live_input_of(url)) as source:
        info = source.info
        frames = list(itertools.islice(source, 20))
        heard = None if info.sound is None else info.sound.reader()
        if heard is not None:
            heard.until(frames[5].time)
            samples = heard.until(frames[-1].time)
        counters = source.report().counters
    assert info.live
    assert (info.width, info.height, info.frames) == (160, 96, 0)
    assert info.rate is not None
    numbers = [frame.index for frame in frames]
    assert numbers == sorted(set(numbers))
    # Frames that a starved machine holds up are left out, and counted.
    assert numbers[-1] + 1 - len(numbers) == counters.get("stale", 0)
    check_order(frames)
    for frame in frames:
        assert frame.pixels.shape == (96, 160, 3)
        assert frame.pixels.flags.c_contiguous
        assert frame.time_base == info.time_base
    if name != "screen":  # which stamps pictures when it takes them, and a starved machine takes them late
        assert 14 < info.rate < 16
        assert frames[-1].time - frames[0].time == pytest.approx((numbers[-1] - numbers[0]) / 15, abs=0.2)
    assert (counters["frames"], counters["reconnects"]) == (20, 0)
    assert (info.sound is None) == (name == "screen")
    if heard is not None:
        spectrum = np.abs(np.fft.rfft(samples[:, 0]))
        assert spectrum.argmax() * 48_000 / len(samples) == pytest.approx(440, abs=5)


@needs_ffmpeg
def test_an_srt_passphrase_stands_in_no_command_line(tmp_path: Path) -> None:
    port, secret = free_port(socket.SOCK_DGRAM), "it's%20long-enough"
    url = f"srt://127.0.0.1:{port}?passphrase={secret}"
    with ffmpeg([*STREAM, "-f", "mpegts", f"{url}&mode=listener"], tmp_path) as publisher:
        assert publisher.process is not None
        wait_for(lambda: _holds_udp(port), "the SRT listener")
        with open_live(live_input_of(url)) as source:
            frames = list(itertools.islice(source, 20))
            readers = [child for child in children(os.getpid()) if child != publisher.process.pid]
            lines = [command_of(reader) for reader in readers]
    assert [b"passphrase" in line for line in lines if b"ffmpeg" in line] == [False]
    check_order(frames)
    assert frames[-1].time - frames[0].time == pytest.approx(19 / 15, abs=0.2)


@needs_gstreamer
def test_a_killed_server_is_awaited_and_its_picture_comes_back(tmp_path: Path) -> None:
    with rtsp_server(tmp_path) as server, nothing_left_over_after_use(server) as source:
        stream = iter(source)
        frames = [next(stream) for _ in range(5)]
        server.kill()
        threading.Timer(0.5, server.start).start()
        frames += [next(stream) for _ in range(10)]
        report = source.report()
    check_order(frames)
    assert report.counters["reconnects"] >= 1
    assert report.counters["lost_ms"] > 400
    # The time stamps show the gap as the wall clock does, as exactly as a busy machine is on time.
    last, back = max(pairwise(frames), key=lambda pair: pair[1].captured_at - pair[0].captured_at)
    assert abs(late(back, frames[0])) < (back.captured_at - last.captured_at) / 2
    assert any("Reconnections to rtsp://127.0.0.1" in note for note in report.notes)


@contextmanager
def nothing_left_over_after_use(server: Peer) -> Iterator:  # type: ignore[type-arg]
    with opened(f"{server.url}/silent", SHORT):
        pass
    with nothing_left_over(), opened(f"{server.url}/silent", SHORT) as source:
        yield source


@needs_nginx
@needs_ffmpeg
@pytest.mark.parametrize("frozen", ["server", "publisher"])
def test_a_frozen_peer_is_noticed_and_its_picture_comes_back(tmp_path: Path, frozen: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(nginx_rtmp(tmp_path))
        publisher = stack.enter_context(
            ffmpeg([*PICTURE, *H264, "-f", "flv", f"{server.url}/film"], tmp_path)
        )
        wait_for(lambda: "publish: name='film'" in server.log(), "the publisher")
        peer = {"server": server, "publisher": publisher}[frozen]
        source = stack.enter_context(opened(f"{server.url}/film", SHORT))
        stream = iter(source)
        frames = [next(stream) for _ in range(5)]
        peer.freeze()
        stack.callback(peer.thaw)
        threading.Timer(FROZEN, peer.thaw).start()
        frames += [next(stream) for _ in range(40)]
        report = source.report()
    check_order(frames)
    assert report.counters["reconnects"] >= 1
    assert any("sends nothing in time" in note for note in report.notes)


@needs_gstreamer
@pytest.mark.parametrize("read", [60.0, 0.5])
def test_what_a_server_kept_while_frozen_leaves_neither_picture_nor_stamps_late(
    tmp_path: Path, read: float
) -> None:
    """Within the time-out it sends all that it kept at once; after it there is a new connection."""
    limits = LiveLimits(open=20.0, read=read)
    with (
        rtsp_server(tmp_path) as server,
        opened(f"{server.url}/play", limits) as source,
    ):
        stream = iter(source)
        frames = [next(stream) for _ in range(15)]
        server.freeze()
        threading.Timer(FROZEN, server.thaw).start()
        frames += [next(stream) for _ in range(30)]
        counters = source.report().counters
    check_order(frames)
    assert (counters["reconnects"] > 0) == (read < 1)
    assert counters.get("stale", 0) > 0 or counters["reconnects"] > 0
    behind = [late(frame, frames[0]) for frame in frames]
    # Half of what a frozen server holds back: less than that, a busy machine may be late by itself.
    assert min(behind) > -FROZEN / 2
    assert min(behind[-10:]) < FROZEN / 2


@needs_xvfb
def test_a_screen_that_hangs_does_not_hang_us(tmp_path: Path) -> None:
    with xvfb(tmp_path, "160x96") as server:
        url = f"screen:?display={server.display}"
        with nothing_left_over(), opened(url, SHORT) as source:
            stream = iter(source)
            frames = [next(stream) for _ in range(3)]
            server.freeze()
            threading.Timer(1.0, server.thaw).start()
            frames += [next(stream) for _ in range(40)]
            assert source.report().counters["reconnects"] >= 1
    check_order(frames)


@needs_gstreamer
def test_interrupted_between_attempts_it_ends_at_once(tmp_path: Path) -> None:
    with rtsp_server(tmp_path) as server, opened(f"{server.url}/silent", SHORT) as source:
        stream = iter(source)
        next(stream)
        server.kill()
        threading.Timer(0.5, source.interrupt).start()
        rest = list(stream)
    assert len(rest) < 200
    with pytest.raises(StopIteration):
        next(iter(source))


@needs_ffmpeg
def test_a_mute_srt_child_is_killed_on_interrupt(tmp_path: Path) -> None:
    with srt(tmp_path) as url:
        with open_live(live_input_of(url), LiveLimits(open=20, read=WAIT_TIMEOUT)) as source:
            stream = iter(source)
            next(stream)
            (child,) = _readers()
            os.kill(child, signal.SIGSTOP)
            threading.Timer(0.3, source.interrupt).start()
            list(stream)
        assert not _readers()


def _readers() -> list[int]:
    """Children that pass a source on."""
    return [child for child in children(os.getpid()) if b"pipe:1" in command_of(child)]
