"""`streamstyle run SOURCE SINK...`"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from streamstyle.cli.numbers import positive_float, positive_int
from streamstyle.cli.settings import add_settings, assignments
from streamstyle.cli.signals import stopping_on_signals
from streamstyle.cli.terminal import EXIT_INTERRUPTED, notify

if TYPE_CHECKING:
    from streamstyle.pipeline.job import Job, LiveState, Progress, RunSummary


LIVE_REFRESH = 0.25
"""Seconds between two updates of a live run's state."""

T = TypeVar("T")


def add_command(commands: Any) -> None:
    """Declare `run` and its options."""
    parser = commands.add_parser(
        "run",
        help="stylize a video, repair it, and write it with its sound",
        description="SOURCE is a file, webcam:0, screen:, rtsp://, rtmp://, http://, udp://, srt://, "
        "zmq+tcp:// or test: (a rendered scene with sound). SINK is a file (.mp4, .mkv, "
        ".webm, .mov), an rtmp, rtsp, srt or udp address, hls:DIR, zmq+tcp://, preview:, virtualcam: or "
        "null:. Several sinks may be named.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="(default: what --config names)")
    parser.add_argument("sinks", metavar="SINK", nargs="*", help="(default: what --config names)")
    add_settings(parser)
    parser.add_argument("--events", type=Path, metavar="FILE.jsonl", help="write one line per flagged frame")
    parser.add_argument(
        "--report", type=Path, metavar="PAGE.html", help="write a page on findings and repairs"
    )
    parser.add_argument(
        "--control",
        metavar="URL",
        help="zmq+ipc://PATH: change the run while it runs, see `streamstyle control`",
    )
    parser.add_argument("--captures", type=Path, metavar="FOLDER", help="folder of snapshots and recordings")
    parser.add_argument("--duration", type=positive_float, metavar="S", help="stop after S seconds of source")
    parser.add_argument("--frames", type=positive_int, metavar="N", help="stop after N frames")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="paint a film in segments, and go on where an earlier run with --resume stopped",
    )
    add_workers(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings, see configs/")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    parser.set_defaults(command=command)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `run --resume` and `batch`."""
    parser.add_argument(
        "--workers", type=positive_int, metavar="N", help="processes that paint segments (default: 1)"
    )
    parser.add_argument(
        "--segment", type=positive_float, metavar="S", help="seconds of a segment, about (default: 60)"
    )
    parser.add_argument(
        "--cluster", metavar="local|ray://HOST:PORT", help="the workers' machines (default: this one)"
    )


def command(arguments: argparse.Namespace) -> int:
    """Run the job and print its summary."""
    from streamstyle.config import RunConfig, load_config
    from streamstyle.errors import ConfigError
    from streamstyle.pipeline.job import Job

    config = load_config(RunConfig, arguments.config, [*arguments.set, *assignments(arguments)])
    job = Job(
        _named(arguments.source or config.source, "a SOURCE"),
        _named(tuple(arguments.sinks) or config.sinks, "a SINK"),
        events=arguments.events,
        frames=arguments.frames,
        duration=arguments.duration,
        report=arguments.report,
        control=arguments.control,
        captures=arguments.captures,
    )
    if arguments.resume:
        from streamstyle.cli.resume import resume

        return resume(job, config, arguments)
    if job.captures is not None and job.control is None:
        raise ConfigError(
            "--captures is the folder for requests of --control: add --control, or leave --captures out"
        )
    if arguments.workers or arguments.segment or arguments.cluster:
        raise ConfigError("--workers, --segment and --cluster are for films in segments: add --resume")
    from streamstyle.pipeline.run_job import run_job  # what --resume leaves to its workers

    return run_and_report(partial(run_job, job, config), job, as_json=arguments.json)


def _named(value: T | None, what: str) -> T:
    """Source and sinks of the command line, or of the preset. Raises ConfigError if neither names any."""
    from streamstyle.errors import ConfigError

    if not value:
        raise ConfigError(f"{what} is missing: name it, or use --config with a preset that names it")
    return value


def run_and_report(start: Callable[..., RunSummary], job: Job, *, as_json: bool) -> int:
    """Start a job with a progress display that Ctrl-C finishes, and print its summary; returns the exit
    code."""
    from streamstyle.flow import StopRequest
    from streamstyle.media.paths import is_standard_output
    from streamstyle.pipeline.run_hooks import RunHooks

    stop = StopRequest()
    with stopping_on_signals(stop), progress_bar() as on_progress:
        summary = start(stop=stop, hooks=RunHooks(on_progress=on_progress, notify=notify))
    out = sys.stderr if any(map(is_standard_output, job.sinks)) else sys.stdout
    print(json.dumps(summary.to_json()) if as_json else summary_text(summary), file=out)
    return EXIT_INTERRUPTED if summary.interrupted else 0


@contextmanager
def progress_bar() -> Iterator[Any]:
    """Show frames, fps, ETA and flagged frames on stderr, if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from tqdm import tqdm

    due = 0.0
    with tqdm(unit=" frames", dynamic_ncols=True) as bar:

        def on_progress(progress: Progress) -> None:
            nonlocal due
            if progress.frames == 1:
                bar.reset(progress.total or None)  # loading does not count
            shown = f"{progress.flagged} flagged"
            if progress.live is not None:
                if time.monotonic() < due:
                    return
                due = time.monotonic() + LIVE_REFRESH
                shown = f"{live_text(progress.live())}, {shown}"
            bar.set_postfix_str(shown, refresh=False)
            bar.update(progress.frames - bar.n)

        yield on_progress


def live_text(state: LiveState) -> str:
    """State of a live run in a few words: `age 41/58 ms` is the recent median and 99th percentile."""
    waiting = "+".join(str(n) for n in state.waiting)
    eased = f", {state.degradations} relieved" if state.degradations else ""
    return f"age {state.p50_ms:.0f}/{state.p99_ms:.0f} ms, {state.dropped} dropped, {waiting} waiting{eased}"


def _painted(engine: dict[str, Any]) -> str:
    """Painting size, interval and tiles, if they differ from whole frames at their own size."""
    size = f" at {engine['size'][0]}x{engine['size'][1]}" if engine["size"] else ""
    every = f" one frame of {engine['every']}" if engine["every"] > 1 else ""
    tiles = f" in {engine['tiles']} tiles" if engine["tiles"] > 1 else ""
    return f", painting{every}{size}{tiles}" if every or size or tiles else ""


def _live_lines(summary: RunSummary) -> list[str]:
    if summary.live is None:
        return []
    drops = ", ".join(f"{n} at {place}" for place, n in summary.drops.items() if n) or "none"
    ages = [
        f"age       p50 {age['p50_ms']:.0f}, p95 {age['p95_ms']:.0f}, p99 {age['p99_ms']:.0f} ms at {sink}"
        for sink, age in summary.live["age"].items()
        if age
    ]
    stood_in, slates = summary.live["stand_ins"], summary.live["slates"]
    latency = summary.live["latency"]
    eased = [] if latency is None else [f"latency   {latency['steps']} changes: {_eased(latency)}"]
    return [f"dropped   {drops}", f"stood in  {stood_in} frames, {slates} of them a slate", *ages, *eased]


def _eased(latency: dict[str, Any]) -> str:
    return "; ".join(latency["active"]) or "no degradation at the end"


def _network_line(summary: RunSummary) -> list[str]:
    if summary.network is None:
        return []
    why = f" ({summary.network.why})" if summary.network.why else ""
    return [f"network   {summary.network.name}{why}"]


def summary_text(summary: RunSummary) -> str:
    """The summary for people."""
    values = summary.to_json()
    engine = values["engine"]
    anomalies = ", ".join(f"{n} {kind}" for kind, n in summary.anomalies.items()) or "none"
    lines = [
        f"{'interrupted after' if summary.interrupted else 'done:'} {summary.frames_out} frames of "
        f"{summary.frames_in} in {summary.seconds:.1f} s, {values['fps']:.1f} fps "
        f"at {summary.info.width}x{summary.info.height}",
        f"style     {summary.style}" + (f" at {summary.strength:g}" if summary.strength < 1 else ""),
        *([f"region    {summary.region} in {summary.region_style}"] if summary.region else []),
        *_network_line(summary),
        f"engine    {engine['name']} {engine['precision']} on {engine['device']}{_painted(engine)}"
        + (f" ({engine['why']})" if engine["why"] else ""),
        *([f"plan      {engine['plan']}"] if engine["plan"] else []),
        f"anomalies {summary.flagged_frames} flagged frames: {anomalies}",
        *_live_lines(summary),
        "fps alone " + ", ".join(f"{name} {stage['fps']:.0f}" for name, stage in summary.stages.items()),
        *(f"output    {url}" for url in summary.outputs),
        *([f"events    {summary.job.events}"] if summary.job.events else []),
        *(f"note      {note}" for note in summary.notes),
    ]
    return "\n".join(lines)
