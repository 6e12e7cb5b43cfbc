"""`streamstyle repair ORIGINAL STYLED OUT`"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from streamstyle.cli.numbers import positive_int


def add_command(commands: Any) -> None:
    """Declare `repair`."""
    parser = commands.add_parser(
        "repair",
        help="detect and repair flicker in films that other programs painted",
        description="ORIGINAL is the film, and STYLED another program's painting of it, frame by frame. OUT "
        "is STYLED with its flicker, pops, drift and flashes repaired, in its size and timing, with its "
        "sound or else that of ORIGINAL.",
    )
    parser.add_argument("original", metavar="ORIGINAL")
    parser.add_argument("styled", metavar="STYLED")
    parser.add_argument("sinks", metavar="OUT", nargs="+")
    parser.add_argument("--events", type=Path, metavar="FILE.jsonl", help="write one line per flagged frame")
    parser.add_argument(
        "--report", type=Path, metavar="PAGE.html", help="write a page on findings and repairs"
    )
    parser.add_argument("--overlay", action="store_true", help="draw findings and repairs over OUT")
    parser.add_argument(
        "--consistency",
        type=float,
        default=0.0,
        metavar="0..1",
        help="smooth every frame, for films that flicker everywhere; 0 repairs flagged ones only (default)",
    )
    parser.add_argument("--flash-guard", action="store_true", help="limit flashes of ORIGINAL as well")
    parser.add_argument("--frames", type=positive_int, metavar="N", help="stop after N frames")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Repair and print the summary."""
    from streamstyle.cli.run import run_and_report
    from streamstyle.config import RunConfig
    from streamstyle.errors import ConfigError
    from streamstyle.pipeline.job import Job
    from streamstyle.pipeline.run_job import repair_job

    job = Job(
        arguments.styled,
        tuple(arguments.sinks),
        events=arguments.events,
        frames=arguments.frames,
        report=arguments.report,
    )
    if not 0 <= arguments.consistency <= 1:
        raise ConfigError(f"--consistency must lie in 0..1, not {arguments.consistency:g}")
    config = RunConfig(
        style=arguments.styled,
        flash_guard=arguments.flash_guard,
        consistency=arguments.consistency,
        overlay=arguments.overlay,
    )
    return run_and_report(partial(repair_job, arguments.original, job, config), job, as_json=arguments.json)
