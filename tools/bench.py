"""Benchmarks on real clips; the last line of output is one JSON document.

python3 tools/bench.py pipeline    640x360 film to film with sound, against the classic network
python3 tools/bench.py engine      each engine alone on the frames of a 640x360 film
python3 tools/bench.py detector    detector and corrector alone on a painted 640x360 film
python3 tools/bench.py patience    alarms in half an hour of clean film
python3 tools/bench.py clips       frames, pts and sound of every clip, through the whole pipeline
python3 tools/bench.py memory      peak memory on a 1080p film
python3 tools/bench.py startup     how long --help takes, and one frame with and without a kept engine
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import environment

ROOT = environment.ROOT
DATA = Path(os.environ.get("STREAMSTYLE_DATA", ROOT.parent / "shared" / "data"))
CLIPS = DATA / "video" / "clips"
STYLE = "starry-night"


def main() -> int:
    """Run the asked benchmark."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=[f.__name__ for f in BENCHMARKS])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = {f.__name__: f for f in BENCHMARKS}
        result = chosen[arguments.what](Path(folder), arguments.repeats)
    print(json.dumps({"benchmark": arguments.what, **machine(), **result}))
    return 0


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import openvino
    import torch

    model = "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((li.split(":", 1)[1].strip() for li in lines if li.startswith("model name")), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "openvino": openvino.__version__.split("-")[0],
    }


def resized_clip(clip: Path, out: Path, width: int, height: int, frames: int) -> Path:
    """A copy of a real clip at another size, with its sound, nearly lossless."""
    from dataclasses import replace

    import cv2

    from streamstyle.media.open import open_sink, open_source

    with open_source(str(clip)) as source:
        sink = open_sink(str(out), replace(source.info, width=width, height=height), quality=12)
        for frame in source:
            if frame.index == frames:
                break
            small = cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_AREA)
            sink.write(replace(frame, pixels=small))
        sink.close(complete=True)
    return out


def run_once(source: Path, out: Path, *, correct: str = "repair", **options: Any) -> dict[str, Any]:
    """One job through the product's own code, engine built beforehand as `run` does."""
    from streamstyle.build.run import run_job
    from streamstyle.config import RunConfig
    from streamstyle.flow import Stop
    from streamstyle.job import Job

    config = RunConfig(style=STYLE, correct=correct)  # type: ignore[arg-type]
    frames = options.pop("frames", None)
    job = Job(str(source), (str(out),), frames=frames)
    moments: list[float] = []

    def clock() -> float:
        moments.append(time.process_time())
        return time.monotonic()

    summary = run_job(job, config, stop=Stop(), on_progress=lambda _: None, clock=clock, **options)
    cpu_seconds = moments[-1] - moments[0]
    return summary.to_json() | {"cpu_ms_per_frame": round(1e3 * cpu_seconds / summary.frames_out, 1)}


def pipeline(folder: Path, repeats: int) -> dict[str, Any]:
    """fps of film to film with detection, repair, sound and x264 veryfast; ratio to the peer."""
    import numpy as np
    from classic_network import ClassicEngine

    from streamstyle.build.model import Model

    clip = resized_clip(CLIPS / "sam2_02_cups.mp4", folder / "clip.mp4", 640, 360, 300)
    peer = Model(lambda _height, _width: ClassicEngine(), np.zeros((2, 0), np.float32))
    ours, peers, plain = [], [], []
    for _ in range(repeats):
        ours.append(run_once(clip, folder / "ours.mp4"))
        plain.append(run_once(clip, folder / "plain.mp4", correct="off"))
        peers.append(run_once(clip, folder / "peer.mp4", model=peer, frames=12))
        print(f"ours {ours[-1]['fps']}, correct off {plain[-1]['fps']}, peer {peers[-1]['fps']} fps")
    fps, peer_fps = (statistics.median(r["fps"] for r in results) for results in (ours, peers))
    plain_fps = statistics.median(r["fps"] for r in plain)
    last = ours[-1]
    return {
        "clip": "sam2_02_cups.mp4 at 640x360, 300 frames, AAC",
        "engine": last["engine"],
        "fps": fps,
        "fps_correct_off": plain_fps,
        "peer_fps": peer_fps,
        "ratio_to_peer": round(fps / peer_fps, 1),
        "cpu_ms_per_frame": last["cpu_ms_per_frame"],
        "cpu_ms_per_frame_correct_off": plain[-1]["cpu_ms_per_frame"],
        "stages": last["stages"],
        "flagged_frames": last["flagged_frames"],
    }


def engine(folder: Path, repeats: int) -> dict[str, Any]:
    """fps and CPU time of each engine alone, as many frames in flight as it asks for."""
    from collections import deque

    from streamstyle.build.model import load_model
    from streamstyle.config import RunConfig
    from streamstyle.engines.open import paint_all
    from streamstyle.media.open import open_source
    from streamstyle.types import Look

    clip = resized_clip(CLIPS / "sam2_02_cups.mp4", folder / "clip.mp4", 640, 360, 100)
    with open_source(str(clip)) as source:
        frames = [frame.pixels for frame in source]
    results = {}
    for name in ("openvino", "torch"):
        model = load_model(RunConfig(style=STYLE, engine=name))
        look = Look(model.codes)
        opened = model.open_engine(360, 640)
        opened.start(frames[0], look)()
        walls, cpus = [], []
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            deque(paint_all(opened, frames, look), maxlen=0)
            walls.append((time.perf_counter() - wall) / len(frames))
            cpus.append((time.process_time() - cpu) / len(frames))
        fps, cpu_ms = 1 / statistics.median(walls), 1e3 * statistics.median(cpus)
        results[name] = {
            "precision": opened.spec.precision,
            "fps": round(fps, 1),
            "cpu_ms_per_frame": round(cpu_ms, 1),
        }
        print(name, results[name])
        opened.close()
    return {"clip": "sam2_02_cups.mp4 at 640x360", "engines": results}


def detector(folder: Path, repeats: int) -> dict[str, Any]:
    """Median milliseconds of detect, commit and a correction of the whole frame, on one thread."""
    import cv2
    import numpy as np

    from streamstyle.temporal.corrector import RepairCorrector
    from streamstyle.temporal.detector import SignedExcessDetector

    cv2.setNumThreads(1)
    films = painted_pair(CLIPS / "sam2_02_cups.mp4", folder, 100)
    seconds: dict[str, list[float]] = {"detect": [], "commit": [], "correct": []}
    flagged = 0
    for _ in range(repeats):
        judge, corrector = SignedExcessDetector(), RepairCorrector()
        for index, (pixels, painted) in enumerate(zip(*films, strict=True)):
            # Every tenth frame is brightened by 8 %, so that there is something to correct.
            styled = (
                np.minimum(painted * np.float32(1.08), 255).astype(np.uint8)
                if index % 10 == 9
                else painted.copy()
            )
            started = time.perf_counter()
            anomaly = judge.detect(pixels, styled)
            detected = time.perf_counter()
            action = corrector.correct_(styled, anomaly)
            corrected = time.perf_counter()
            judge.commit(styled, touched=action.touched)
            if anomaly.flagged:
                flagged += 1
                seconds["correct"].append(corrected - detected)
            else:
                seconds["detect"].append(detected - started)
                seconds["commit"].append(time.perf_counter() - corrected)
    medians = {f"{name}_ms": round(1e3 * statistics.median(s), 2) for name, s in seconds.items()}
    return {"clip": "sam2_02_cups.mp4 at 640x360", "corrected_frames": flagged, **medians}


def painted_pair(clip: Path, folder: Path, frames: int) -> list[list[Any]]:
    """The first frames of a clip at 640x360, and as they are painted."""
    from streamstyle.media.open import open_source

    original = resized_clip(clip, folder / f"{clip.stem}.mp4", 640, 360, frames)
    painted = folder / f"{clip.stem}-painted.mkv"
    run_once(original, painted, correct="off")
    films = []
    for path in (original, painted):
        with open_source(str(path)) as source:
            films.append([frame.pixels for frame in source])
    return films


def patience(folder: Path, _repeats: int) -> dict[str, Any]:
    """Half an hour of clean film: three clips in a style, each played to and fro for ten minutes."""
    import cv2

    from streamstyle.temporal.corrector import RepairCorrector
    from streamstyle.temporal.detector import SignedExcessDetector

    cv2.setNumThreads(1)
    found: dict[str, Any] = {}
    for name in ("sam2_02_cups.mp4", "webcam_asl_sister.mkv", "sam2_05_default_juggle.mp4"):
        original, painted = painted_pair(CLIPS / name, folder, 150)
        once = list(range(len(original)))
        there_and_back = [*once, *once[-2:0:-1]]
        judge, corrector = SignedExcessDetector(), RepairCorrector()
        alarms: dict[str, int] = {}
        before: set[str] = set()
        for index in range(10 * 60 * 30):
            at = there_and_back[index % len(there_and_back)]
            styled = painted[at].copy()
            anomaly = judge.detect(original[at], styled)
            judge.commit(styled, touched=corrector.correct_(styled, anomaly).touched)
            for kind in set(anomaly.kinds) - before:
                alarms[kind] = alarms.get(kind, 0) + 1
            before = set(anomaly.kinds)
        found[name] = alarms
        print(f"{name}: {alarms or 'none'}", flush=True)
    return {"minutes_each": 10, "style": STYLE, "alarms": found}


def clips(folder: Path, _repeats: int) -> dict[str, Any]:
    """Every clip whole: frames in and out, largest difference of pts, sound packets."""
    import hashlib

    import av
    import cv2  # noqa: F401 - before av

    def times(path: Path) -> list[float]:
        with av.open(str(path)) as container:
            return [float(f.pts * f.time_base) for f in container.decode(video=0)]

    def sound(path: Path) -> list[str]:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return []
            return [
                hashlib.sha256(bytes(p)).hexdigest()
                for p in container.demux(container.streams.audio)
                if p.size
            ]

    rows = []
    for clip in sorted(CLIPS.glob("*")):
        # WebM's sound is Vorbis, which mp4 would have to re-encode.
        out = folder / f"{clip.stem}.{'mkv' if clip.suffix == '.webm' else 'mp4'}"
        result = run_once(clip, out)
        before, after = times(clip), times(out)
        row = {
            "clip": clip.name,
            "frames_in": len(before),
            "frames_out": len(after),
            "largest_pts_difference_s": round(
                max(abs(a - b) for a, b in zip(before, after, strict=False)), 6
            ),
            "sound_packets": len(sound(clip)),
            "sound_equal": sound(out) == sound(clip),
            "flagged_frames": result["flagged_frames"],
            "anomalies": result["anomalies"],
            "fps": result["fps"],
        }
        rows.append(row)
        print(row)
        out.unlink()
    return {
        "clips": rows,
        "all_frames": all(r["frames_in"] == r["frames_out"] for r in rows),
        "all_sound_equal": all(r["sound_equal"] for r in rows),
        "largest_pts_difference_s": max(r["largest_pts_difference_s"] for r in rows),
    }


def memory(folder: Path, _repeats: int) -> dict[str, Any]:
    """Peak resident memory of the whole program on a 1920x1080 film."""
    clip = resized_clip(CLIPS / "sam2_02_cups.mp4", folder / "clip.mp4", 1920, 1080, 120)
    watch = (
        "import resource, sys; from streamstyle.cli.main import main; code = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    command = [sys.executable, "-c", watch, "run", str(clip), str(folder / "out.mp4"), "--style", STYLE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(done.stdout)
    return {"size": "1920x1080", "peak_gib": round(int(done.stdout.split()[-1]) / 2**20, 3)}


def startup(folder: Path, repeats: int) -> dict[str, Any]:
    """Median seconds of whole processes: `--help`, one frame with a kept engine; one that compiles."""

    def seconds(*arguments: str) -> float:
        environ = {**os.environ, "STREAMSTYLE_CACHE": str(folder / "cache")}
        started = time.perf_counter()
        command = [sys.executable, "-m", "streamstyle", *arguments]
        subprocess.run(command, capture_output=True, check=True, env=environ)
        return time.perf_counter() - started

    frame = ("run", "test:", "null:", "--frames", "1")
    compiling = seconds(*frame)
    times = range(max(5, repeats))
    return {
        "help_seconds": round(statistics.median(seconds("--help") for _ in times), 3),
        "frame_seconds_compiling": round(compiling, 3),
        "frame_seconds_kept": round(statistics.median(seconds(*frame) for _ in times), 3),
    }


BENCHMARKS = (pipeline, engine, detector, patience, clips, memory, startup)

if __name__ == "__main__":
    sys.exit(main())
