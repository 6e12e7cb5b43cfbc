"""Benchmarks on real clips; the last line of output is one JSON document. Speed: `streamstyle bench`.

python3 tools/bench.py detector    detector and corrector alone on a painted 640x360 film
python3 tools/bench.py patience    alarms in half an hour of clean film
python3 tools/bench.py clips       frames, pts and sound of every clip, through the whole pipeline
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
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
    from streamstyle.engines.machine import facts

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=[f.__name__ for f in BENCHMARKS])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = {f.__name__: f for f in BENCHMARKS}
        result = chosen[arguments.what](Path(folder), arguments.repeats)
    print(json.dumps({"benchmark": arguments.what, **facts(), **result}))
    return 0


def run_once(source: Path, out: Path, *, correct: str = "repair") -> dict[str, Any]:
    """One job through the product's own code."""
    from streamstyle.config import RunConfig
    from streamstyle.flow import StopRequest
    from streamstyle.pipeline.job import Job
    from streamstyle.pipeline.run_job import run_job

    config = RunConfig(style=STYLE, network="lite", correct=correct)  # type: ignore[arg-type]
    job = Job(str(source), (str(out),))
    return run_job(job, config, stop=StopRequest()).to_json()


def detector(folder: Path, repeats: int) -> dict[str, Any]:
    """Median milliseconds of detect, commit and a correction of the whole frame, on one thread."""
    import cv2
    import numpy as np

    from streamstyle.temporal.corrector import RepairCorrector
    from streamstyle.temporal.detector import ResidualDetector

    cv2.setNumThreads(1)
    films = painted_pair(CLIPS / "sam2_02_cups.mp4", folder, 100)
    seconds: dict[str, list[float]] = {"detect": [], "commit": [], "correct": []}
    flagged = 0
    for _ in range(repeats):
        judge, corrector = ResidualDetector(), RepairCorrector()
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
    from streamstyle.bench.sized import sized_film
    from streamstyle.media.open import open_source

    original = sized_film(str(clip), folder / f"{clip.stem}.mp4", (640, 360), frames)
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
    from streamstyle.temporal.detector import ResidualDetector

    cv2.setNumThreads(1)
    found: dict[str, Any] = {}
    for name in ("sam2_02_cups.mp4", "webcam_asl_sister.mkv", "sam2_05_default_juggle.mp4"):
        original, painted = painted_pair(CLIPS / name, folder, 150)
        once = list(range(len(original)))
        there_and_back = [*once, *once[-2:0:-1]]
        judge, corrector = ResidualDetector(), RepairCorrector()
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
            # One without a stamp stands out at 0.
            return [f.time or 0.0 for f in container.decode(video=0)]

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


BENCHMARKS = (detector, patience, clips)

if __name__ == "__main__":
    sys.exit(main())
