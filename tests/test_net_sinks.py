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
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from live_film import PERIOD, RATE, flashes_and_beeps, live_frame, live_info, pumping
from media_files import PATCHES, patch_colours
from peers import (
    ffmpeg,
    free_port,
    needs_ffmpeg,
    needs_gstreamer,
    needs_nginx,
    nginx_rtmp,
    rtsp_server,
    wait_for,
)

from streamstyle.media.live_sound import SoundBuffer
from streamstyle.media.net import relay_process
from streamstyle.media.net.stream_sink import StreamSink
from streamstyle.media.open import grouped, open_sink


def assert_in_step(flashes: list[float], beeps: list[float]) -> None:
    """Every white frame came with its beep, to less than a frame."""
    assert len(flashes) >= 2
    assert np.allclose(np.diff(flashes), PERIOD / RATE, atol=0.02)
    for flash in flashes[:-1]:
        nearest = min(beeps, key=lambda beep: abs(beep - flash))
        assert abs(nearest - flash) < 1 / RATE, (flashes, beeps)


def assert_same_card(shown: np.ndarray) -> None:
    assert np.abs(patch_colours(shown) - np.array(PATCHES)).max() < 24


@needs_nginx
def test_rtmp_arrives_with_its_sound_in_step(tmp_path: Path) -> None:
    sound = SoundBuffer()
    with nginx_rtmp(tmp_path) as server:
        sink = StreamSink([f"{server.url}/film"], live_info(sound))
        with pumping(sink, sound) as pump:
            flashes, beeps, shown = flashes_and_beeps(f"{server.url}/film", 3, settle=0.2)
    assert_in_step(flashes, beeps)
    assert_same_card(shown)
    report = sink.report()
    assert report.counters["restarts"] == report.counters["dropped"] == 0
    assert report.counters["frames"] == pump.frames
    assert report.notes == ()


@needs_nginx
@needs_ffmpeg
@needs_gstreamer
def test_every_address_gets_the_one_encode(tmp_path: Path) -> None:
    sound = SoundBuffer()
    recorded, received = tmp_path / "recorded.mkv", tmp_path / "received.ts"
    udp, srt = free_port(), free_port()
    listener = f"srt://127.0.0.1:{srt}?mode=listener&passphrase=long-enough&latency=20000"
    take = ["-i", listener, "-c", "copy", "-flush_packets", "1"]
    with (
        rtsp_server(tmp_path) as rtsp,
        ffmpeg([*take, "-f", "mpegts", str(received)], tmp_path),
    ):
        urls = grouped(
            (
                f"{rtsp.url}/record-sound",
                f"srt://127.0.0.1:{srt}?passphrase=long-enough",
                f"udp://127.0.0.1:{udp}",
                f"hls:{tmp_path / 'hls'}",
            )
        )
        assert len(urls) == 1
        sink = open_sink(urls[0], live_info(sound))
        with pumping(sink, sound):
            assert_in_step(*flashes_and_beeps(f"udp://127.0.0.1:{udp}", 3, settle=0.2)[:2])
            assert_in_step(*flashes_and_beeps(str(tmp_path / "hls" / "stream.m3u8"), 3, settle=0.2)[:2])
            wait_for(lambda: recorded.exists() and recorded.stat().st_size > 60_000, "the recording")
            wait_for(lambda: received.exists() and received.stat().st_size > 20_000, "what SRT brings")
        report = sink.report()
    assert report.notes == ()
    names = [name for name in report.counters if name.startswith("packets")]
    assert len(names) == 4
    assert all(report.counters[name] > 100 for name in names)
    for file in (recorded, received):
        flashes, beeps, shown = flashes_and_beeps(str(file), 2.5, settle=0.2)
        assert_in_step(flashes, beeps)
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


def family(process: int) -> set[int]:
    """The process and all that descend from it."""
    found, new = set[int](), {process}
    while new:
        found |= new
        listings = [t / "children" for pid in new if alive(pid) for t in Path(f"/proc/{pid}/task").iterdir()]
        new = {int(pid) for listing in listings for pid in listing.read_text().split()} - found
    return found


def children() -> set[int]:
    """All that this process has started and not yet ended."""
    return family(os.getpid()) - {os.getpid()}


def alive(pid: int) -> bool:
    """Whether it is more than an entry that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@needs_nginx
def test_a_server_that_is_killed_or_frozen_is_called_again_and_nothing_leaks(tmp_path: Path) -> None:
    told = list[str]()
    before, descriptors, threads = children(), open_files(), threading.active_count()
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
        assert pump.slowest < 1  # waiting for a mute peer would cost seconds
        report = sink.report()
    name = f"rtmp://127.0.0.1:{server.url.split(':')[2].split('/')[0]}/live/***"
    assert report.counters[f"restarts {name}"] >= 2
    assert report.counters[f"dropped {name}"] > 0
    assert report.counters[f"dropped hls:{tmp_path}"] == 0
    assert [line.split(": ")[0] for line in told[:2]] == [f"{name} is cut off", told[1]]
    assert "is back" in told[1]
    assert "very-secret" not in " ".join([*told, *report.notes])
    assert children() == before
    assert open_files() == descriptors
    assert threading.active_count() == threads


def test_a_mute_peer_never_holds_a_frame_up_nor_the_end(tmp_path: Path) -> None:
    told = list[str]()
    before = children()
    with Black() as peer:
        sink = StreamSink([peer.url], live_info(None), notify=told.append)
        with pumping(sink) as pump:
            wait_for(lambda: bool(told), "word of the mute peer")
            assert pump.frames > 2 * RATE
            commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children() - before]
            assert all(b"secret-key" not in command for command in commands)
            closing = time.monotonic()
        assert time.monotonic() - closing < 30
    assert "mute" in told[0]
    assert children() == before
    assert sink.report().counters["packets"] == 0
    assert sink.report().notes[0].startswith("Nothing was sent to rtmp://127.0.0.1")


@pytest.mark.parametrize("patience", ["rtmp", "srt"])
def test_relays_die_with_the_process_that_started_them(tmp_path: Path, patience: str) -> None:
    if patience == "srt" and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    with Black() as peer:
        url = peer.url if patience == "rtmp" else f"srt://127.0.0.1:{free_port()}?mode=listener"
        script = (
            "import sys, time; sys.path.insert(0, sys.argv[2])\n"
            "from live_film import live_frame, live_info\n"
            "from streamstyle.media.net.stream_sink import StreamSink\n"
            "sink = StreamSink([sys.argv[1]], live_info(None))\n"
            "for i in range(10000):\n"
            "    sink.write(live_frame(i)); print(i, flush=True); time.sleep(0.02)\n"
        )
        command = [sys.executable, "-c", script, url, str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(100):
                process.stdout.readline()
            relays = family(process.pid) - {process.pid}
            assert len(relays) == (1 if patience == "rtmp" else 2)
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


def test_who_takes_too_little_loses_packets_up_to_a_key_frame_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_process, "_PIPE_BYTES", 4096)
    before = children()
    sink = StreamSink([f"hls:{tmp_path}"], live_info(None))

    def counted(name: str) -> int:
        return sink.report().counters[name]

    with pumping(sink):
        wait_for(lambda: counted("packets") > RATE, "packets that are taken")
        (relay,) = children() - before
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
