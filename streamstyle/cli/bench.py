"""`streamstyle bench anomaly`; `engine` and `pipeline` are in `bench_speed`, `zmq` in `bench_zmq`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamstyle.cli import bench_speed, bench_zmq
from streamstyle.cli.numbers import positive_int

if TYPE_CHECKING:
    from streamstyle.bench.films import Done, FilmTask

STYLES = ("starry-night", "great-wave", "udnie", "composition-vii")
_MAX_JOBS = 4  # each takes about 1.5 GB


def add_command(commands: Any) -> None:
    """Declare `bench` and its sub-commands."""
    parser = commands.add_parser("bench", help="measure detection, repair, speed and publishing over ZeroMQ")
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    anomaly = actions.add_parser(
        "anomaly",
        help="inject anomalies into painted clips, and measure what is found and repaired",
        description="Paints each clip in each style at 640x360, as it is and with everything a camera or an "
        "editor may do to it; injects anomalies into the painted clip; prints what the detector found and "
        "what the corrector and other methods repaired. The last line is one JSON document.",
    )
    anomaly.add_argument("clips", nargs="+", metavar="CLIP")
    anomaly.add_argument(
        "--styles", nargs="+", default=STYLES, metavar="NAME", help=f"default: {' '.join(STYLES)}"
    )
    anomaly.add_argument(
        "--frames", type=positive_int, default=100, metavar="N", help="frames of each clip (default: 100)"
    )
    anomaly.add_argument("--quick", action="store_true", help="run four anomalies and five scenes only")
    anomaly.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help=f"films at once, each on a processor of its own; default: one for each, at most {_MAX_JOBS}",
    )
    anomaly.add_argument("-o", "--out", type=Path, metavar="PAGE.html", help="write a page as well")
    anomaly.set_defaults(command=command)
    bench_speed.add_commands(actions)
    bench_zmq.add_commands(actions)


def command(arguments: argparse.Namespace) -> int:
    """Measure, print, write."""
    from streamstyle.bench import report, report_page
    from streamstyle.bench.figures import figures
    from streamstyle.bench.films import RENDERED, check, tasks_of
    from streamstyle.bench.goals import compare_to_goals
    from streamstyle.engines.machine import processors
    from streamstyle.files.page import write_page

    check(arguments.clips, arguments.styles, arguments.frames)
    tasks = tasks_of(arguments.clips, arguments.styles, arguments.frames, quick=arguments.quick)
    jobs = arguments.jobs or min(len(processors()), _MAX_JOBS)
    done = _measured(tasks, jobs)
    measured = [m for found in done for m in found.measured]
    exact = next((found.exact for found in done if found.exact is not None), None)
    of_parts = {
        part: [m for m in measured if report.part_of(m.clip, RENDERED) == part] for part in report.PARTS
    }
    of_parts = {part: found for part, found in of_parts.items() if found}
    parts = {part: figures(found) for part, found in of_parts.items()}
    print(report.as_text(parts, exact))
    if arguments.out is not None:
        facts = _facts(arguments, parts)
        first = next(iter(of_parts.values()))
        write_page(arguments.out, report_page.as_page("Anomaly benchmark", facts, parts, first, exact))
        print(f"wrote {arguments.out}", file=sys.stderr)
    goals = [
        dict(zip(_GOAL_KEYS, line.cells, strict=True))
        for line in compare_to_goals(next(iter(parts.values())))
    ]
    clips = [Path(clip).name for clip in arguments.clips]
    said = {"clips": clips, "styles": list(arguments.styles), "frames": arguments.frames}
    print(json.dumps({**said, "goals": goals, "parts": parts, "exact_flow": exact}))
    return 0


_GOAL_KEYS = ("goal", "must", "stretch", "measured", "verdict")


def _measured(tasks: Sequence[FilmTask], jobs: int) -> list[Done]:
    """Run all, telling on stderr how far it is; the results in the order of the tasks."""
    from streamstyle.bench.films import run
    from streamstyle.bench.pool import each

    found: dict[FilmTask, Done] = {}
    begun = time.monotonic()
    for task, done in each(run, tasks, jobs):
        found[task] = done
        passed = time.monotonic() - begun
        left = passed / len(found) * (len(tasks) - len(found))
        told = f"{len(found)} of {len(tasks)}: {task.name} in {task.style}"
        print(f"{told}; {passed / 60:.1f} min, about {left / 60:.1f} left", file=sys.stderr, flush=True)
    return [found[task] for task in tasks]


def _facts(arguments: argparse.Namespace, parts: dict[str, Any]) -> list[str]:
    from streamstyle.bench.protocol import VALIDATION
    from streamstyle.bench.report import PARTS

    first = next(iter(parts))
    minutes = parts[first]["false_alarms_everywhere"]["minutes"]
    return [
        f"{len(arguments.clips)} clips of {arguments.frames} frames or what they have, 640x360, in "
        f"{', '.join(arguments.styles)}. Goals, plots and pictures are of these: {PARTS[first].lower()} "
        f"({', '.join(parts[first]['clips'])}), {minutes:.0f} minutes of film on which no alarm may sound.",
        f"The thresholds were chosen on {', '.join(VALIDATION)} and are the same for every clip and style.",
        "See docs/anomaly-benchmark.md for what each figure means.",
    ]
