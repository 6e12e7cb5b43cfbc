"""Network outputs, against real servers on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from live_film import PERIOD, RATE, flashes_and_beeps, live_frame, live_info, pumping
from media_files import PATCHES, patch_colours
from peers import (
    WAIT_TIMEOUT,
    Peer,
    alive,
    children,
    command_of,
    ffmpeg,
    free_port,
    killed_on_failure,
    needs_ffmpeg,
    needs_gstreamer,
    needs_nginx,
    nginx_rtmp,
    rtsp_server,
    taken,
    wait_for,
)

from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.net import relay_process, stream_sink, targets
from streamstyle.media.net.stream_sink import StreamSink
from streamstyle.media.open import join_network_sinks, open_sink
from streamstyle.types import MediaReport


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers may take as long to answer, and to take the end, as a busy machine needs."""
    monkeypatch.setattr(targets, "ANSWER_TIMEOUT", WAIT_TIMEOUT)
    monkeypatch.setattr(stream_sink, "FIRST_ANSWER_SECONDS", WAIT_TIMEOUT)
    monkeypatch.setattr(stream_sink, "CLOSING_SECONDS", WAIT_TIMEOUT)


def assert_in_step(flashes: list[float], beeps: list[float]) -> None:
    """Every white frame came with its beep, to less than a frame, and whole periods after the one before: a
    busy machine may lose frames on the way, but moves none."""
    assert len(flashes) >= 2
    periods = np.diff(flashes) / (PERIOD / RATE)
    assert np.allclose(periods, np.maximum(np.round(periods), 1), atol=0.02), flashes
    for flash in flashes[:-1]:
        nearest = min(beeps, key=lambda beep: abs(beep - flash))
        assert abs(nearest - flash) < 1 / RATE, (flashes, beeps)


def assert_nothing_lost(report: MediaReport) -> None:
    """Every address was called once and took all packets and the end."""
    lost = {name: n for name, n in report.counters.items() if name.startswith(("restarts", "dropped"))}
    assert lost
    assert not any(lost.values()), lost
    assert report.notes == ()


def assert_same_card(shown: np.ndarray) -> None:
    assert np.abs(patch_colours(shown) - np.array(PATCHES)).max() < 24


@needs_nginx
@pytest.mark.usefixtures("patient")
def test_rtmp_arrives_with_its_sound_in_step(tmp_path: Path) -> None:
    sound = SoundBuffer()
    with nginx_rtmp(tmp_path) as server:
        sink = StreamSink([f"{server.url}/film"], live_info(sound))
        with pumping(sink, sound) as pump:
            flashes, beeps, shown = flashes_and_beeps(f"{server.url}/film", 3, settle=0.2)
    assert_in_step(flashes, beeps)
    assert_same_card(shown)
    report = sink.report()
    assert_nothing_lost(report)
    assert report.counters["frames"] == pump.frames


def recording(url: str, file: Path, *options: str, ready: Callable[[], bool]) -> Peer:
    """`ffmpeg` that waits to be called at this address and writes what comes into the file."""
    take = [*options, "-i", url, "-c", "copy", "-flush_packets", "1", str(file)]
    return ffmpeg(take, file.parent, name=file.name, ready=ready)


def holds_flashes(file: Path) -> bool:
    """True if a file that is still being written has enough of them."""
    try:
        return file.exists() and len(flashes_and_beeps(str(file), 100, settle=0.2)[0]) > 2
    except av.FFmpegError:  # half a header, say
        return False


@needs_nginx
@needs_ffmpeg
@needs_gstreamer
@pytest.mark.usefixtures("patient")
def test_every_address_gets_the_one_encode(tmp_path: Path) -> None:
    sound = SoundBuffer()
    recorded, taken_by_rtsp, taken_by_srt = (tmp_path / f for f in ("recorded.mkv", "rtsp.mkv", "srt.ts"))
    udp, srt, port = free_port(), free_port(socket.SOCK_DGRAM), free_port()
    # A latency that a busy machine does not exceed: SRT drops what comes later (microseconds).
    listener = f"srt://127.0.0.1:{srt}?mode=listener&passphrase=long-enough&latency=2000000"
    listening = f"rtsp://127.0.0.1:{port}/film"
    with (
        rtsp_server(tmp_path) as rtsp,
        recording(listener, taken_by_srt, ready=lambda: taken(srt, socket.SOCK_DGRAM)),
        recording(listening, taken_by_rtsp, "-rtsp_flags", "listen", ready=lambda: taken(port)),
    ):
        urls = join_network_sinks(
            (
                f"{rtsp.url}/record-sound",
                listening,
                f"srt://127.0.0.1:{srt}?passphrase=long-enough",
                f"udp://127.0.0.1:{udp}",
                f"hls:{tmp_path / 'hls'}",
            )
        )
        assert len(urls) == 1
        sink = open_sink(urls[0], live_info(sound))
        with pumping(sink, sound):
            assert_in_step(*flashes_and_beeps(f"udp://127.0.0.1:{udp}", 3, settle=0.2)[:2])
            playlist = tmp_path / "hls" / "stream.m3u8"
            wait_for(playlist.exists, "a playlist")
            assert_in_step(*flashes_and_beeps(str(playlist), 3, settle=0.2)[:2])
            for file in (recorded, taken_by_rtsp, taken_by_srt):
                wait_for(lambda file=file: holds_flashes(file), file.name)
    report = sink.report()
    assert_nothing_lost(report)
    names = [name for name in report.counters if name.startswith("packets")]
    assert len(names) == 5
    assert all(report.counters[name] > 100 for name in names)
    for file in (taken_by_rtsp, taken_by_srt):
        flashes, beeps, shown = flashes_and_beeps(str(file), 100, settle=0.2)
        assert_in_step(flashes, beeps)
        assert_same_card(shown)
    # GStreamer stamps what it records by when it arrives: how far apart is not ours to say.
    flashes, beeps, shown = flashes_and_beeps(str(recorded), 100)
    assert len(flashes) > 2
    assert len(beeps) > 2
    assert_same_card(shown)


@needs_nginx
def test_a_mute_source_gets_the_silent_track_that_services_want(tmp_path: Path) -> None:
    with nginx_rtmp(tmp_path) as server:
        sink = StreamSink([f"{server.url}/film", f"hls:{tmp_path}"], live_info(None))
        with pumping(sink):
            with av.open(f"{server.url}/film", timeout=(30, 30)) as container:
                frame = next(container.decode(container.streams.audio[0]))
                assert not frame.to_ndarray().any()
            wait_for((tmp_path / "stream.m3u8").exists, "a playlist")
            with av.open(str(tmp_path / "stream.m3u8")) as container:
                assert not container.streams.audio


class Black:
    """A peer that accepts and stays mute: what froze whole processes."""

    def __enter__(self) -> Black:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtmp://127.0.0.1:{self.socket.getsockname()[1]}/live/secret-key"
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def own_children() -> set[int]:
    """All that this process has started and not yet ended."""
    return set(children(os.getpid()))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@needs_nginx
def test_a_server_that_is_killed_or_frozen_is_called_again_and_nothing_leaks(tmp_path: Path) -> None:
    told = list[str]()
    before, descriptors, threads = own_children(), open_files(), threading.active_count()
    with nginx_rtmp(tmp_path) as server:
        url = f"{server.url}/very-secret"
        sink = StreamSink([url, f"hls:{tmp_path}"], live_info(None), notify=told.append)
        with pumping(sink) as pump:
            assert flashes_and_beeps(url, 0.5)
            for _ in range(2):
                server.kill()
                known = len(told)
                wait_for(lambda known=known: len(told) > known, "word of the cut")
                server.start()
                assert flashes_and_beeps(url, 0.5)
            server.freeze()
            frames = pump.frames
            wait_for(lambda: pump.frames > frames + RATE, "frames that go on")
            server.thaw()
            assert flashes_and_beeps(url, 0.5)
        assert pump.slowest < targets.ANSWER_TIMEOUT  # waiting for the mute peer would take that long
        report = sink.report()
    name = f"rtmp://127.0.0.1:{server.url.split(':')[2].split('/')[0]}/live/***"
    assert report.counters[f"restarts {name}"] >= 2
    assert report.counters[f"dropped {name}"] > 0
    assert report.counters[f"dropped hls:{tmp_path}"] == 0
    assert [line.split(": ")[0] for line in told[:2]] == [f"{name} is lost", told[1]]
    assert "is back" in told[1]
    assert "very-secret" not in " ".join([*told, *report.notes])
    assert own_children() == before
    assert open_files() == descriptors
    assert threading.active_count() == threads


def test_a_mute_peer_never_holds_a_frame_up_nor_the_end(tmp_path: Path) -> None:
    told = list[str]()
    before = own_children()
    with Black() as peer:
        sink = StreamSink([peer.url], live_info(None), notify=told.append)
        with pumping(sink) as pump:
            wait_for(lambda: bool(told), "word of the mute peer")
            wait_for(lambda: pump.frames > 2 * RATE, "frames that go on")
            commands = [command_of(pid) for pid in own_children() - before]
            assert all(b"secret-key" not in command for command in commands)
            closing = time.monotonic()
        assert time.monotonic() - closing < 30
    assert "did not answer" in told[0]
    assert own_children() == before
    assert sink.report().counters["packets"] == 0
    assert sink.report().notes[0].startswith("Nothing was sent to rtmp://127.0.0.1")


@pytest.mark.parametrize("protocol", ["rtmp", "srt"])
def test_relays_die_with_the_process_that_started_them(tmp_path: Path, protocol: str) -> None:
    if protocol == "srt" and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    with Black() as peer:
        url = peer.url if protocol == "rtmp" else f"srt://127.0.0.1:{free_port()}?mode=listener"
        script = (
            "import sys, time; sys.path.insert(0, sys.argv[2])\n"
            "from live_film import live_frame, live_info\n"
            "from streamstyle.media.net.stream_sink import StreamSink\n"
            "sink = StreamSink([sys.argv[1]], live_info(None))\n"
            "for i in range(10000):\n"
            "    sink.write(live_frame(i)); time.sleep(0.02)\n"
        )
        command = [sys.executable, "-c", script, url, str(Path(__file__).parent)]
        with killed_on_failure(subprocess.Popen(command)) as process:
            relays = set[int]()

            def started() -> bool:
                nonlocal relays
                relays = set(children(process.pid))
                return len(relays) == (1 if protocol == "rtmp" else 2)

            wait_for(started, "the relays")
            process.kill()
    wait_for(lambda: not any(map(alive, relays)), "the end of the relays")


@needs_ffmpeg
def test_srt_waits_to_be_called(tmp_path: Path) -> None:
    port = free_port()
    sink = StreamSink([f"srt://127.0.0.1:{port}?mode=listener"], live_info(None))
    received = tmp_path / "received.ts"
    answer = ["-c", "copy", "-flush_packets", "1", "-f", "mpegts", str(received)]
    caller = ["-i", f"srt://127.0.0.1:{port}?latency=20000", *answer]
    with pumping(sink) as pump:
        for _ in range(2):  # who hangs up can call again
            received.unlink(missing_ok=True)
            frames = pump.frames
            wait_for(lambda frames=frames: pump.frames > frames + 2 * RATE, "frames that nobody takes")

            def arrived() -> bool:
                return received.exists() and received.stat().st_size > 20_000

            for _ in range(20):
                with ffmpeg(caller, tmp_path) as called:
                    assert called.process is not None
                    wait_for(
                        lambda called=called: arrived() or called.process.poll() is not None, "an answer"
                    )
                if arrived():
                    break
            assert arrived()
    with av.open(str(received)) as container:
        assert next(container.decode(video=0)).width == 160


@pytest.mark.usefixtures("patient")
def test_a_film_is_sent_from_its_first_frame_to_its_last(tmp_path: Path) -> None:
    info = replace(live_info(None), live=False)
    sink = StreamSink([f"hls:{tmp_path}"], info)
    for number in range(2 * RATE + 1):
        sink.write(live_frame(number))
    sink.close(complete=True)
    flashes, _, _ = flashes_and_beeps(str(tmp_path / "stream.m3u8"), 10)
    assert len(flashes) == 3
    with av.open(str(tmp_path / "stream.m3u8")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2 * RATE + 1
    assert "#EXT-X-ENDLIST" in (tmp_path / "stream.m3u8").read_text()


@pytest.mark.usefixtures("patient")
def test_who_takes_too_little_loses_packets_up_to_a_key_frame_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_process, "_PIPE_BYTES", 4096)
    before = own_children()
    sink = StreamSink([f"hls:{tmp_path}"], live_info(None))

    def counted(name: str) -> int:
        return sink.report().counters[name]

    with pumping(sink):
        wait_for(lambda: counted("packets") > RATE, "packets that are taken")
        (relay,) = own_children() - before
        os.kill(relay, signal.SIGSTOP)
        wait_for(lambda: counted("dropped") > RATE, "packets that are dropped")
        os.kill(relay, signal.SIGCONT)
        taken = counted("packets")
        wait_for(lambda: counted("packets") > taken + 3 * RATE, "packets that are taken again")
    assert counted("restarts") == 0
    assert "too slow" in sink.report().notes[0]
    with av.open(str(tmp_path / "stream.m3u8")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    broken = [p for p in shown if p.mean() < 235 and np.abs(patch_colours(p) - np.array(PATCHES)).max() > 24]
    assert not broken  # nothing is decoded without what it refers to
