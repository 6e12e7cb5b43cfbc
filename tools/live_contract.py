"""Measure the latency figures of docs/live.md, and print them as JSON.

python3 tools/live_contract.py [--minutes 5] [--seconds 20] [--source URL] [--latency 60ms]

First `streamstyle run` as users start it, with a subscriber in another process and another style every 10 s
through the control endpoint: ages, drops, the longest gap, and whether a frame that was captured after the
answer is painted in the old style. Then, for a tenth of the time, the same source with an engine that is
three times too slow: waiting frames, ages, and unaccounted frames. With --latency both runs have that
deadline, and the degradation steps are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import environment
from subscriber import Arrival, Subscriber, longest_gap, missed, went_back

RATE = 30
SOURCE = f"test:?live=1&size=640x360&rate={RATE}"
STYLES = ("starry-night", "great-wave")
SWITCH_SECONDS = 10.0
"""Seconds from switch to switch."""

SLOWER = 3
SETTLING_SECONDS = 3.0
"""Seconds after the first painted frame that do not count: engines are warmed up."""

_WAIT_TIMEOUT = 600.0


def main() -> int:
    """Measure both."""
    environment.enter()
    from streamstyle.engines.machine import facts

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, help="instead of minutes")
    parser.add_argument("--source", default=SOURCE, help=f"default {SOURCE}")
    parser.add_argument("--latency", help="100ms: what the runs are given as --latency")
    given = parser.parse_args()
    seconds = given.seconds or 60 * given.minutes
    with tempfile.TemporaryDirectory() as name:
        kept = as_users_do(given.source, Path(name), seconds, given.latency)
        slow = too_slow(given.source, Path(name), max(seconds / 10, 10), given.latency)
    asked = {"source": given.source, "latency": given.latency}
    print(json.dumps({**facts(), **asked, "kept": kept, "engine_3x_too_slow": slow}))
    return 0


def as_users_do(source: str, folder: Path, seconds: float, latency: str | None) -> dict[str, Any]:
    """The program itself, watched from outside."""
    from streamstyle.control.requests import Set, Status
    from streamstyle.media.zmq_control import ControlClient

    frames, control = f"zmq+ipc://{folder}/frames", f"zmq+ipc://{folder}/control"
    command = [sys.executable, "-m", "streamstyle", "run", source, frames, "--style", STYLES[0]]
    command += [] if latency is None else ["--latency", latency]
    run = subprocess.Popen([*command, "--control", control, "--json"], stdout=subprocess.PIPE)
    client = ControlClient(control)
    ask = partial(asked, client)
    try:
        with Subscriber(frames, folder / "came") as subscriber:
            until(lambda: painted(subscriber), "painted frames", run)
            time.sleep(SETTLING_SECONDS)
            before, cpu, began = ask(Status()), cpu_seconds(run.pid), time.monotonic()
            switches, styles = [], cycle(reversed(STYLES))
            while (left := began + seconds - time.monotonic()) > 0:
                time.sleep(min(SWITCH_SECONDS, left))
                if left > SWITCH_SECONDS:
                    style = next(styles)
                    at = time.monotonic()
                    ask(Set(style=style))
                    switches.append((at, time.monotonic(), style))
            cpu, took = cpu_seconds(run.pid) - cpu, time.monotonic() - began
            after = ask(Status())
            subscriber.look()
    finally:
        client.close()
        run.terminate()
        summary = json.loads(run.communicate()[0] or "{}")
    came = [c for c in subscriber.came if began <= c.at <= began + took]
    return {
        "seconds": round(took, 1),
        "frames": after["frames_out"] - before["frames_out"],
        "drops": after["dropped"] - before["dropped"],
        "missed_by_subscriber": missed(came),
        "left_out_by_source": summary.get("source_counters", {}).get("skipped_frames"),
        "stamps_went_back": went_back(came),
        "longest_gap_ms": round(1e3 * longest_gap(came), 1),
        "age_ms": ages([c for c in came if c.captured > began]),
        "switches": len(switches),
        **switched(came, switches),
        "cpu_share": round(cpu / took / (os.cpu_count() or 1), 3),
        "engine": after["engine"],
        "whole_run": {name: summary.get(name) for name in ("frames_in", "frames_out", "drops", "live")},
    }


def asked(client: Any, request: Any) -> dict[str, Any]:
    """The answer of the run; ends this program where it refuses."""
    from streamstyle.control.requests import to_json

    answer: dict[str, Any] = json.loads(client.ask(to_json(request), 30.0))
    if not answer["ok"]:
        sys.exit(f"the run refuses: {answer['error']}")
    return answer


def until(condition: Callable[[], bool], what: str, run: subprocess.Popen[bytes]) -> None:
    """Wait; ends this program where the run ends first, or it takes too long."""
    deadline = time.monotonic() + _WAIT_TIMEOUT
    while not condition():
        if run.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"no {what} came")
        time.sleep(0.1)


def painted(subscriber: Subscriber) -> bool:
    """True if the last picture that came has a style."""
    came = subscriber.look()
    return bool(came) and bool(came[-1].style)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its dead children have used (Linux, proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def fresh(came: Sequence[Arrival]) -> list[Arrival]:
    """Without stand-ins, which repeat the frame before them."""
    return [c for i, c in enumerate(came) if i == 0 or c.frame_index != came[i - 1].frame_index]


def ages(came: Sequence[Arrival]) -> dict[str, float]:
    """Ages from capture to subscriber, in milliseconds."""
    import numpy as np

    real = [1e3 * c.age for c in fresh(came)]
    marks = {f"p{q}": round(float(np.percentile(real, q)), 1) for q in (50, 95, 99)}
    return {**marks, "most": round(max(real), 1), "frames": len(real)}


def switched(came: Sequence[Arrival], switches: Sequence[tuple[float, float, str]]) -> dict[str, Any]:
    """Frames in the old style though captured after the answer, and milliseconds from the request to the
    first picture in the new one at the subscriber, at most."""
    late, shown = 0, list[float]()
    for began, answered, style in switches:
        late += sum(c.style != style for c in came if answered < c.captured < answered + SWITCH_SECONDS / 2)
        shown += [1e3 * (c.at - began) for c in came if c.at > began and c.style == style][:1]
    return {"late_to_switch": late, "switch_shown_ms": round(max(shown), 1) if shown else None}


class SlowEngine:
    """Another engine, whose pictures come no faster than one in so many seconds."""

    def __init__(self, inner: Any, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds
        self._free = 0.0

    @property
    def spec(self) -> Any:
        """Spec of the engine itself."""
        return self._inner.spec

    @property
    def busy_seconds(self) -> float:
        """Seconds that the engine itself was busy."""
        return float(self._inner.busy_seconds)

    def start(self, pixels: Any, condition: Any) -> Any:
        """One after the other."""
        from streamstyle.types import InferenceFuture

        pending = self._inner.start(pixels, condition)
        due = self._free = max(self._free, time.monotonic()) + self._seconds

        def wait() -> Any:
            picture = pending.result()
            time.sleep(max(due - time.monotonic(), 0))
            return picture

        return InferenceFuture(wait)

    def close(self) -> None:
        """Free it."""
        self._inner.close()


def too_slow(source: str, folder: Path, seconds: float, latency: str | None) -> dict[str, Any]:
    """A run whose engine cannot keep up."""
    from streamstyle.config import RunConfig
    from streamstyle.engines.request import SizeOpener
    from streamstyle.flow import StopRequest
    from streamstyle.pipeline.job import Job, Progress
    from streamstyle.pipeline.model import load_model
    from streamstyle.pipeline.run_hooks import RunHooks
    from streamstyle.pipeline.run_job import run_job

    config, address = RunConfig(style=STYLES[0], latency=latency), f"zmq+ipc://{folder}/slow"
    model = load_model(config)
    slow_opener = SizeOpener(lambda h, w: SlowEngine(model.open_engine(h, w), SLOWER / RATE))
    slowed = replace(model, opener=slow_opener)
    waited: list[tuple[int, ...]] = []

    def on_progress(progress: Progress) -> None:
        if progress.live is not None:
            waited.append(progress.live().waiting)

    job = Job(source, (address,), duration=seconds)
    with Subscriber(address, folder / "came-slowly") as subscriber:
        hooks = RunHooks(on_progress=on_progress)
        summary = run_job(job, config, stop=StopRequest(), hooks=hooks, model=slowed)
        subscriber.look()
    live = summary.live or {}
    capture, at_sink = summary.drops["capture"], summary.dropped - summary.drops["capture"]
    written = summary.sink_reports[0].counters["frames"]
    slow = [c for c in fresh(subscriber.came) if c.style]
    return {
        "seconds": round(summary.seconds, 1),
        "most_waiting": {"capture": max(w[0] for w in waited), "sink": max(w[1] for w in waited)},
        "frames_in": summary.frames_in,
        "frames_out": summary.frames_out,
        "drops": {"capture": capture, "sink": at_sink},
        "unaccounted_frames": summary.frames_in - summary.frames_out - capture,
        "unaccounted_at_sink": summary.frames_out + live["stand_ins"] - written - at_sink,
        "engine_ms": 1e3 * SLOWER / RATE,
        "age_ms": ages(slow[len(slow) // 4 :]),
        "stand_ins": live["stand_ins"],
        "gave_way": live["latency"],
        "stamps_went_back": went_back(subscriber.came),
        "longest_gap_ms": round(1e3 * longest_gap(subscriber.came), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
