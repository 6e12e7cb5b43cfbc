"""The servers that live tests talk to do serve: checked with ffmpeg, which is none of ours."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import av
import pytest
from peers import (
    ffmpeg,
    needs_ffmpeg,
    needs_gstreamer,
    needs_nginx,
    nginx_rtmp,
    rtsp_server,
    tcp_relay,
    wait_for,
)

PICTURE = ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=15"]
TONE = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "8"]


def first_frames(url: str, *options: str, frames: int = 3) -> bytes:
    command = ["ffmpeg", "-v", "error", *options, "-i", url, "-frames:v", str(frames), "-f", "framecrc", "-"]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


@needs_ffmpeg
@needs_gstreamer
def test_the_rtsp_server_plays(tmp_path: Path) -> None:
    with rtsp_server(tmp_path) as server:
        told = first_frames(f"{server.url}/play", "-rtsp_transport", "tcp")
    assert b"160x96" in told
    assert b"opus" in told or b"pcm" in told


@needs_ffmpeg
@needs_gstreamer
@pytest.mark.parametrize("sound", [False, True])
def test_the_rtsp_server_records(tmp_path: Path, sound: bool) -> None:
    inputs = [*PICTURE, *TONE, "-c:a", "aac"] if sound else PICTURE
    path = "record-sound" if sound else "record"
    recorded = tmp_path / "recorded.mkv"
    with rtsp_server(tmp_path) as server:
        target = ["-f", "rtsp", "-rtsp_transport", "tcp", f"{server.url}/{path}"]
        with ffmpeg([*inputs, *H264, *target], tmp_path) as client:
            wait_for(lambda: recorded.exists() and recorded.stat().st_size > 60_000, "a recording")
        assert client.log() == ""
    with av.open(str(recorded)) as film:
        assert len(film.streams.audio) == sound
        assert next(film.decode(film.streams.video[0])).width == 160


@needs_ffmpeg
@needs_nginx
def test_the_rtmp_server_passes_on_what_is_published(tmp_path: Path) -> None:
    with nginx_rtmp(tmp_path) as server:
        target = ["-f", "flv", f"{server.url}/film"]
        with ffmpeg([*PICTURE, *H264, *target], tmp_path):
            assert b"160x96" in first_frames(f"{server.url}/film")


def test_the_relay_passes_both_ways_on_and_nothing_while_it_is_cut(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        tcp_relay(server.getsockname()[1], tmp_path) as relay,
    ):
        host, _, port = relay.url.partition(":")
        server.accept()[0].close()  # of those who looked whether the relay listens
        with socket.create_connection((host, int(port)), 60) as client, server.accept()[0] as peer:
            client.sendall(b"to")
            assert peer.recv(2) == b"to"
            relay.freeze()
            peer.sendall(b"fro")
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(3)
            relay.thaw()
            client.settimeout(60)
            assert client.recv(3) == b"fro"
