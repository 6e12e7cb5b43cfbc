"""A film of shots, what is in films, and processes that paint them in segments."""

from __future__ import annotations

import hashlib
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from peers import children, command_of

RATE, SHOT, SHOTS = 25, 40, 5
WAIT_TIMEOUT = 300.0


def make_shots(path: Path) -> Path:
    """Five shots of a panning camera, with B-frames and sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "6", "g": "12", "bf": "2"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("aac", rate=48_000)
        for number in range(SHOT * SHOTS):
            shot, place = divmod(number, SHOT)
            noise = np.random.default_rng(shot).integers(0, 256, (8, 30, 3)).astype(np.uint8)
            wide = np.kron(noise, np.ones((8, 8, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(wide[:, 2 * place : 2 * place + 96]), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        wave = np.sin(np.arange(48_000 * SHOT * SHOTS // RATE) / 20).astype(np.float32)
        for first in range(0, len(wave), 1024):
            part = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = 48_000, first, Fraction(1, 48_000)
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def pictures(path: Path) -> list[tuple[int | None, str]]:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        rgb = ((f.pts, f.reformat(format="rgb24").to_ndarray()) for f in frames)
        return [(pts, hashlib.sha256(picture.tobytes()).hexdigest()) for pts, picture in rgb]


def sounds(path: Path) -> list[tuple[int | None, str]]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(audio=0) if p.size]
        return [(p.pts, hashlib.sha256(bytes(p)).hexdigest()) for p in packets]


def workers_of(pid: int) -> list[int]:
    """Those of its children that paint segments, at any depth."""
    return [child for child in children(pid) if b"worker_child" in command_of(child)]


def wait_for(process: subprocess.Popen[bytes], folder: Path, records: int) -> bool:
    """Wait until so many segments are recorded and another one is being painted; False where the run
    ended."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while len(list(folder.glob("0*.json"))) < records or not list(folder.glob("*.part")):
        assert time.monotonic() < deadline
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    return True
