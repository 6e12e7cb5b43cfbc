"""Paint films in segments while workers and commands are killed, and many films of which some are damaged.

python3 tools/segment_faults.py kills [FILM] [--kills N] [--seed N] [--workers N] [-- OPTIONS OF run]
python3 tools/segment_faults.py films [--films N] [--damaged N] [--workers N]
python3 tools/segment_faults.py long [--hours H] [--rate FPS] [--workers N]

kills: paints FILM, by default one of five shots and segments, undisturbed, then again, killing a worker or
the command with SIGKILL at random moments and resuming each time. The film must be the same: frames, time
stamps, packets of sound; and no more segments may be painted again than workers were killed, alone or with
the command.
films: a folder of short films, some damaged: `batch` must make all others, once, and give a reason for each
damaged one.
long: a film of hours of small frames, whose command is killed after nine tenths; memory of the command and
its workers, size of the plan, and the time, with the start of all processes, until the existing segments are
checked and until the next one is painted.
JSON at the end; exit code 1 after a fault.
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
from fractions import Fraction
from pathlib import Path
from typing import Any

import environment

PROGRAM = (sys.executable, "-m", "streamstyle")
POLL_SECONDS = 0.02
VICTIMS = ("worker", "command")


def main() -> int:
    """Run the test of the arguments."""
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
    parser.add_argument("--rate", type=int, default=25, help="frames a second of that film")
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
    from segmented import make_shots

    if asked.film is None:
        options = ["--segment", "1.6", "--codec", "ffv1", "--network", "lite", *options]
    dice = random.Random(asked.seed)
    film = str(make_shots(folder / "film.mp4") if asked.film is None else asked.film.absolute())
    more = ["--resume", "--json", "--workers", str(asked.workers), *options]
    plain, out = folder / "plain.mkv", folder / "out.mkv"
    began = time.monotonic()
    subprocess.run([*PROGRAM, "run", film, str(plain), *more], check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - began
    expected, count = contents(plain), Counter[str]()
    wrong: list[str] = []
    victim = dice.choice(VICTIMS)
    while count["kills of workers"] + count["kills of the command"] < asked.kills and not wrong:
        begun, segments = set[str](), 0
        while not out.exists() and not wrong:
            process = subprocess.Popen([*PROGRAM, "run", film, str(out), *more], stdout=subprocess.DEVNULL)
            due = time.monotonic() + dice.uniform(0.05, 0.5) * whole
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                begun |= {path.name for path in out.with_name("out.mkv.parts").glob("[0-9]*.part")}
                segments = _segments(out.with_name("out.mkv.parts")) or segments
                if time.monotonic() > due and _killed(process, victim, count, asked.kills):
                    victim = dice.choice(VICTIMS)
                    due = time.monotonic() + dice.uniform(0.05, 0.5) * whole
            if process.returncode not in {0, -signal.SIGKILL}:
                wrong.append(f"it ended with {process.returncode}")
        count["films"] += 1
        count["segments painted again"] += len(begun) - segments
        wrong += [] if wrong or contents(out) == expected else ["the film is another one"]
        out.unlink(missing_ok=True)
    if count["segments painted again"] > count["workers lost"]:
        wrong.append("more segments were painted again than workers were lost")
    return {**count, "undisturbed_s": round(whole, 1), "wrong": wrong}


def _killed(process: subprocess.Popen[bytes], victim: str, count: Counter[str], most: int) -> bool:
    """Kill a worker of the command, or the command, and count that; False if there is no worker yet, and
    after enough kills."""
    from peers import children

    if count["kills of workers"] + count["kills of the command"] == most:
        return False
    workers = [pid for pid in children(process.pid) if b"worker_child" in _command(pid)]
    if victim == "worker":
        try:
            os.kill(workers[-1], signal.SIGKILL)
        except (IndexError, ProcessLookupError):  # it ended by itself just now
            return False
        count["kills of workers"] += 1
        count["workers lost"] += 1
    else:
        process.kill()
        process.wait()
        count["kills of the command"] += 1
        count["workers lost"] += len(workers)
    print(dict(count), file=sys.stderr, flush=True)
    return True


def _segments(parts: Path) -> int:
    """The number of segments of the plan; 0 without a plan."""
    try:
        return len(json.loads((parts / "manifest.json").read_bytes())["segments"])
    except OSError:
        return 0


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
    film, out, parts = folder / "film.mkv", folder / "out.mkv", folder / "out.mkv.parts"
    make_long(film, asked.hours, asked.rate)
    command = [*PROGRAM, "run", str(film), str(out), "--resume", "--json", "--network", "lite"]
    command += ["--correct", "off", "--workers", str(asked.workers), *options]
    began, memory = time.monotonic(), list[int]()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(_records(parts)) < int(0.9 * (_segments(parts) or 1e9)):
            time.sleep(1.0)
            memory.append(_memory_of_all(process.pid))
        process.kill()
    painted, kept = time.monotonic() - began, len(_records(parts))
    manifest, segments = (parts / "manifest.json").stat().st_size, _segments(parts)
    left = parts / "left.part"  # what is not of the plan goes when that is read and all segments are checked
    left.touch()
    began, checked, begun = time.monotonic(), 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as resumed:
        while resumed.poll() is None and not begun:
            time.sleep(POLL_SECONDS)
            checked = checked or (0.0 if left.exists() else time.monotonic() - began)
            begun = time.monotonic() - began if checked and list(parts.glob("[0-9]*.part")) else 0.0
        summary = json.loads(resumed.communicate()[0])
    early, late = memory[len(memory) // 4 : len(memory) // 2], memory[3 * len(memory) // 4 :]
    wrong = [] if max(late) < 1.1 * max(early) else ["memory grows"]
    wrong += [] if resumed.returncode == 0 and summary["segments_kept"] >= kept else ["it did not go on well"]
    return {
        "frames": summary["frames"],
        "segments": segments,
        "segments_kept": kept,
        "painted_s": round(painted),
        "memory_mb": [round(max(early) / 1e6), round(max(late) / 1e6)],
        "manifest_kb": round(manifest / 1e3, 1),
        "checked_after_s": round(checked, 2),
        "painting_after_s": round(begun, 2),
        "wrong": wrong,
    }


def make_long(path: Path, hours: float, rate: int) -> None:
    """A film of small frames, whose picture changes every four seconds, and moves."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": "100", "bf": "0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(round(hours * 3600 * rate)):
            if number % (4 * rate) == 0:
                noise = np.random.default_rng(number).integers(0, 255, (8, 12, 3)).astype(np.uint8)
                picture = np.kron(noise, np.ones((8, 8, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number % 96, axis=1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
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


def _memory_of_all(pid: int) -> int:
    """Bytes of a process and of all that it started."""
    from peers import children

    return sum(map(_memory, [pid, *children(pid)]))


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
