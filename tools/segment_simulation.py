"""Simulates films in segments on many workers: stragglers, failures, shared storage, one scheduling process.
JSON at the end.

python3 tools/segment_simulation.py [--workers 1,8,1000] [--hours H] [--fps F] [--segment S] [--films N] ...

Give the figures of your machines: --fps is the rate of one worker, measured by `streamstyle run`. Everything
is drawn from --seed, so a run can be repeated. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import sys
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Machines:
    """Assumptions of a simulation."""

    workers: int
    fps: float
    """Frames a second that one worker paints, decoding and encoding beside it."""
    spread: float
    """Standard deviation of the logarithm of a segment's time: stragglers."""
    start: float
    """Seconds until a worker paints: imports, engine."""
    mtbf: float
    """Hours between two failures of one worker; 0 for none."""
    hand_out: float
    """Seconds for which the scheduling process is busy with a task."""
    storage: float
    """Bytes a second that all workers together read and write."""
    join: float
    """Frames a second that joining passes."""
    plan: float
    """Frames a second that planning passes."""


@dataclass(frozen=True)
class Work:
    """Films to paint."""

    films: int
    frames: int
    """Number of frames of each film."""
    segment: int
    """Number of frames of a segment."""
    warm_up: int
    """Frames that are painted before a segment and left out."""
    bytes_a_frame: float
    """Read and written."""


@dataclass(frozen=True)
class Outcome:
    """seconds: to the last joined film. painted: frames, with those left out and those lost. busy: share of
    the workers' time. lost: segments that died with their worker."""

    seconds: float
    painted: int
    busy: float
    lost: int


def simulate(work: Work, machines: Machines, seed: int) -> Outcome:
    """One run. Tasks are handed out as by `streamstyle.batch.schedule`: joins, segments, then plans."""
    dice = random.Random(seed)
    waiting: deque[tuple[str, int]] = deque()
    unplanned, unfinished = deque(range(work.films)), dict.fromkeys(range(work.films), 0)
    free = [(machines.start, number) for number in range(machines.workers)]
    heapq.heapify(free)
    running: list[tuple[float, int, str, int, bool]] = []
    head = disk = end = busy = 0.0
    painted = lost = 0

    def seconds_of(kind: str) -> tuple[float, int]:
        nonlocal disk
        if kind == "paint":
            frames = work.segment + work.warm_up
            slow = math.exp(dice.gauss(-(machines.spread**2) / 2, machines.spread))
            return frames / machines.fps * slow, frames
        return work.frames / (machines.join if kind == "join" else machines.plan), 0

    while unplanned or waiting or running:
        ready = bool(waiting or unplanned)
        if ready and free and (not running or free[0][0] <= running[0][0]):
            at, worker = heapq.heappop(free)
            kind, film = waiting.popleft() if waiting else ("plan", unplanned.popleft())
            begin = head = max(at, head) + machines.hand_out
            seconds, frames = seconds_of(kind)
            moved = (frames or work.frames) * work.bytes_a_frame
            # Storage serves one after the other; a worker waits only where it is behind.
            disk = max(disk, begin) + moved / machines.storage
            finish = max(begin + seconds, disk)
            dies = machines.mtbf > 0 and dice.expovariate(1 / (machines.mtbf * 3600)) < finish - begin
            if dies:
                finish = begin + dice.random() * (finish - begin)
            busy += finish - begin
            painted += frames
            heapq.heappush(running, (finish, worker, kind, film, dies))
            continue
        finish, worker, kind, film, dies = heapq.heappop(running)
        heapq.heappush(free, (finish + (machines.start if dies else 0.0), worker))
        # Nobody begins before the event that made work for him.
        free = [(max(at, finish) if not (waiting or unplanned) else at, number) for at, number in free]
        heapq.heapify(free)
        if dies:
            lost += kind == "paint"
            waiting.appendleft((kind, film))
        elif kind == "plan":
            unfinished[film] = math.ceil(work.frames / work.segment)
            waiting.extend(("paint", film) for _ in range(unfinished[film]))
        elif kind == "paint":
            unfinished[film] -= 1
            if not unfinished[film]:
                waiting.appendleft(("join", film))
        end = max(end, finish)
    return Outcome(end, painted, busy / (end * machines.workers), lost)


def main() -> int:
    """Simulate each number of workers."""
    asked = _asked()
    rate = asked.rate
    work = Work(
        asked.films,
        round(asked.hours * 3600 * rate),
        round(asked.segment * rate),
        asked.warm_up,
        asked.megabits * 1e6 / 8 / rate,
    )
    rows = []
    for workers in asked.workers:
        machines = Machines(
            workers,
            asked.fps,
            asked.spread,
            asked.start,
            asked.mtbf,
            asked.hand_out,
            asked.storage * 1e6,
            asked.join,
            asked.plan,
        )
        found = simulate(work, machines, asked.seed)
        hours = asked.films * asked.hours
        rows.append(
            {
                "workers": workers,
                "hours": round(found.seconds / 3600, 4),
                "film_hours_an_hour": round(hours / (found.seconds / 3600), 2),
                "busy": round(found.busy, 3),
                "painted_again": round(found.painted / (work.films * work.frames) - 1, 4),
                "lost_segments": found.lost,
                "cost_a_film_hour": round(asked.price * workers * found.seconds / 3600 / hours, 4),
            }
        )
    print(json.dumps({"asked": vars(asked), "runs": rows}, indent=1))
    return 0


def _asked() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(each) for each in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=numbers, default=[1, 8, 1000], metavar="N,...")
    parser.add_argument("--films", type=int, default=1)
    parser.add_argument("--hours", type=float, default=2.0, help="of each film")
    parser.add_argument("--rate", type=float, default=24.0, help="frames a second of the films")
    parser.add_argument("--fps", type=float, default=60.0, help="that one worker paints")
    parser.add_argument("--segment", type=float, default=60.0, help="seconds")
    parser.add_argument("--warm-up", type=int, default=48, help="frames")
    parser.add_argument(
        "--spread", type=float, default=0.15, help="of a segment's time, sigma of its logarithm"
    )
    parser.add_argument("--start", type=float, default=5.0, help="seconds until a worker paints")
    parser.add_argument("--mtbf", type=float, default=200.0, help="hours between failures of one worker")
    parser.add_argument("--hand-out", type=float, default=0.005, help="seconds a task")
    parser.add_argument("--storage", type=float, default=1000.0, help="megabytes a second, of all together")
    parser.add_argument("--megabits", type=float, default=16.0, help="a second of film, read and written")
    parser.add_argument("--join", type=float, default=20000.0, help="frames a second")
    parser.add_argument("--plan", type=float, default=5000.0, help="frames a second")
    parser.add_argument("--price", type=float, default=2.0, help="of an hour of one worker")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
