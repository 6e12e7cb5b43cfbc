"""Films in segments while workers and commands are killed, and many films of which some are damaged.

python3 tools/segment_faults.py kills FILM [--kills N] [--seed N] [--workers N] [-- OPTIONS OF run]
python3 tools/segment_faults.py films [--films N] [--damaged N] [--workers N]
python3 tools/segment_faults.py long [--hours H]

kills: paints FILM undisturbed, then again, killing a worker or the command with SIGKILL at moments drawn by
chance and going on each time. The film must be the same: frames, time stamps, packets of sound. films: a
folder of short films, some damaged: `batch` must make all others, once, and give a reason for each damaged
one. long: a film of hours of small frames; memory of the command and its workers, size of the manifest, and
how long the plan takes to be read again. JSON at the end; exit code 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import environment

PROGRAM = (sys.executable, "-m", "streamstyle")
LOOK = 0.02


def main() -> int:
    """Run what is asked for."""
    environment.enter(extra="dev")
    sys.path.insert(0, str(environment.ROOT / "tests"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("kills", "films", "long"))
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--damaged", type=int, default=50)
    parser.add_argument("--hours", type=float, default=3.0)
    asked, options = parser.parse_known_args()
    run: dict[str, Callable[[Path, argparse.Namespace, list[str]], dict[str, Any]]] = {
        "kills": kills,
        "films": films,
        "long": long,
    }
    with tempfile.TemporaryDirectory() as folder:
        found = run[asked.what](Path(folder), asked, [one for one in options if one != "--"])
    print(json.dumps(found))
    return 1 if found["wrong"] else 0


def kills(folder: Path, asked: argparse.Namespace, options: list[str]) -> dict[str, Any]:
    """See above."""
    from segmented import children

    dice, film = random.Random(asked.seed), str(asked.film.absolute())
    more = ["--resume", "--json", "--workers", str(asked.workers), *options]
    plain, out = folder / "plain.mkv", folder / "out.mkv"
    began = time.monotonic()
    subprocess.run([*PROGRAM, "run", film, str(plain), *more], check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - began
    ends, wrong = Counter[str](), list[str]()
    parts = folder / "out.mkv.parts"
    while ends.total() < asked.kills:
        process = subprocess.Popen([*PROGRAM, "run", film, str(out), *more], stdout=subprocess.DEVNULL)
        due = time.monotonic() + dice.uniform(0.05, 0.5) * whole
        while process.poll() is None and ends.total() < asked.kills:
            time.sleep(LOOK)
            if time.monotonic() < due:
                continue
            due += dice.uniform(0.05, 0.5) * whole
            workers = [c for c in children(process.pid) if b"worker_child" in _command(c)]
            before = _records(parts)
            if workers and dice.random() < 0.5:
                with suppress(ProcessLookupError):  # it ended by itself just now
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    ends["worker"] += 1
            else:
                process.kill()
                process.wait()
                ends["command"] += 1
            print(f"{ends.total()} of {asked.kills} kills", file=sys.stderr, flush=True)
            # A film that is whole has its folder removed meanwhile.
            if not out.exists() and not before <= _records(parts):
                wrong.append("a segment that was done is gone")
        process.wait()
        if out.exists():
            wrong += [] if contents(out) == contents(plain) else ["the film is another one"]
            out.unlink()
    shown = subprocess.run(
        [*PROGRAM, "run", film, str(out), *more], check=True, capture_output=True, text=True
    )
    wrong += [] if contents(out) == contents(plain) else ["the film is another one"]
    return {
        "kills": ends,
        "undisturbed_s": round(whole, 1),
        "painted_last": json.loads(shown.stdout)["frames_painted"],
        "wrong": wrong,
    }


def films(folder: Path, asked: argparse.Namespace, options: list[str]) -> dict[str, Any]:
    """See above."""
    from damaged_films import DAMAGES, make_damaged, whole_film

    dice, source = random.Random(asked.seed), folder / "films"
    source.mkdir()
    whole = whole_film(folder / "film.mp4").read_bytes()
    damaged, kinds = set(dice.sample(range(asked.films), asked.damaged)), dict[int, str]()
    for number in range(asked.films):
        path = source / f"{number:05}.mp4"
        if number in damaged:
            kinds[number] = dice.choice(list(DAMAGES))
            make_damaged(path, whole, kinds[number])
        else:
            path.write_bytes(whole)
    command = [*PROGRAM, "batch", str(source), "-o", str(folder / "out"), "--json"]
    command += ["--network", "lite", "--workers", str(asked.workers), *options]
    began = time.monotonic()
    first = json.loads(subprocess.run(command, check=False, capture_output=True, text=True).stdout)
    seconds = time.monotonic() - began
    again = json.loads(subprocess.run(command, check=False, capture_output=True, text=True).stdout)
    states = Counter(film["state"] for film in first["films"])
    wrong = []
    if states != {"done": asked.films - asked.damaged, "failed": asked.damaged}:
        wrong.append(f"states are {dict(states)}")
    if {n for n, film in enumerate(first["films"]) if film["state"] == "failed"} != damaged:
        wrong.append("others failed than were damaged")
    for number, kind in kinds.items():
        if not re.search(DAMAGES[kind][1], first["films"][number]["reason"] or ""):
            wrong.append(f"of a film that is damaged ({kind}): {first['films'][number]['reason']}")
    if any(film["state"] == "done" for film in again["films"]):
        wrong.append("a film was painted twice")
    return {"states": states, "seconds": round(seconds, 1), "again_s": again["seconds"], "wrong": wrong}


def long(folder: Path, asked: argparse.Namespace, options: list[str]) -> dict[str, Any]:
    """See above."""
    from segmented import children

    film, out = folder / "film.mkv", folder / "out.mkv"
    make_long(film, asked.hours)
    command = [*PROGRAM, "run", str(film), str(out), "--resume", "--json", "--network", "lite"]
    command += ["--correct", "off", "--workers", str(asked.workers), *options]
    most: list[int] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        parts = folder / "out.mkv.parts"
        while process.poll() is None and len(_records(parts)) < 0.9 * asked.hours * 60:
            time.sleep(1.0)
            most.append(sum(map(_memory, [process.pid, *children(process.pid)])))
        manifest = (parts / "manifest.json").stat().st_size
        process.kill()
    began, kept = time.monotonic(), len(_records(parts))
    resumed = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not list(parts.glob("*.part")) and resumed.poll() is None:
        time.sleep(LOOK)
    seconds = time.monotonic() - began
    resumed.wait()
    tenth = max(len(most) // 10, 1)
    early, late = max(most[tenth : 3 * tenth]), max(most[-2 * tenth :])
    wrong = [] if late < 1.1 * early else ["memory grows"]
    wrong += [] if resumed.returncode == 0 else ["it did not end well"]
    return {
        "memory_mb": [round(early / 1e6), round(late / 1e6)],
        "manifest_kb": round(manifest / 1e3, 1),
        "segments_kept": kept,
        "resumed_after_s": round(seconds, 2),
        "wrong": wrong,
    }


def make_long(path: Path, hours: float) -> None:
    """A film of small frames, 25 a second, whose picture changes every second."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": "100", "bf": "0"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(round(hours * 3600 * 25)):
            if number % 25 == 0:
                noise = np.random.default_rng(number // 100).integers(0, 255, (8, 12, 3)).astype(np.uint8)
                picture = np.kron(noise, np.ones((8, 8, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number % 25, axis=1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def contents(path: Path) -> list[Any]:
    """Time stamps and digests of pictures and of packets of sound."""
    import av

    found: list[Any] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            data = frame.reformat(format="rgb24").to_ndarray().tobytes()
            found.append((frame.pts, hashlib.sha256(data).hexdigest()))
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.audio) if container.streams.audio else ():
            found.append((packet.pts, hashlib.sha256(bytes(packet)).hexdigest()))
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _memory(pid: int) -> int:
    """Bytes of its own memory."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Private_", "Swap:")))


def _records(parts: Path) -> set[str]:
    return {path.name for path in parts.glob("[0-9]*.json")}


if __name__ == "__main__":
    sys.exit(main())
