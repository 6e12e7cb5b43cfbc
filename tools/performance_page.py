"""Measure speed on this machine, idle please, and write docs/performance.md. Takes about ten minutes.

python3 tools/performance_page.py [CLIP] [-o PAGE.md] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import environment

ROOT = environment.ROOT
CLIP = (
    Path(os.environ.get("STREAMSTYLE_DATA", ROOT.parent / "shared" / "data")) / "video/clips/sam2_02_cups.mp4"
)
Options: TypeAlias = tuple[list[str], list[str]]
"""Results of `bench pipeline` and of `bench engine`."""

FULL: Options = (["--start", "--long", "5000"], [])
QUICK: Options = (
    ["--sizes", "64x48", "128x96", "--frames", "1", "--rounds", "1", "--start", "--long", "60"],
    ["--sizes", "64x48", "--frames", "1", "--rounds", "1", "--peers", "onnxruntime", "classic"],
)


def main() -> int:
    """Measure and write."""
    environment.enter(extra="dev")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", nargs="?", default=str(CLIP) if CLIP.exists() else "test:")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--quick", action="store_true", help="tiny films: does the page come out?")
    arguments = parser.parse_args()
    pipeline_options, engine_options = QUICK if arguments.quick else FULL
    # The pipeline first: engines are kept then, and no process holds what only compiling needs.
    pipeline = measured("pipeline", arguments.clip, pipeline_options)
    engine = measured("engine", arguments.clip, engine_options)
    arguments.out.write_text(page(pipeline, engine), encoding="utf-8")
    print(f"wrote {arguments.out}")
    return 0


def measured(what: str, clip: str, options: list[str]) -> dict[str, Any]:
    """The document that `streamstyle bench` prints last."""
    command = [sys.executable, "-m", "streamstyle", "bench", what, clip, *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def page(pipeline: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    """The whole page."""
    from streamstyle.bench.speed_report import engine_report, machine_line, pipeline_report, table

    first = next(iter(pipeline["sizes"]))
    plan = pipeline["sizes"][first]["film to film"]["spec"].get("plan", "")
    return "\n".join(
        [
            *("# Speed and memory", ""),
            "This page measures runs and engines on one machine. It is written by",
            "",
            *("    python3 tools/performance_page.py", ""),
            "with `streamstyle bench pipeline CLIP --start --long 5000` and `streamstyle bench engine CLIP`,",
            "which measure your films and machine as well. Compare ratios rather than frames per second: the",
            "measured processes take turns, so that a busy machine slows all of them.",
            *("", machine_line(pipeline["machine"]), ""),
            f"Clip {pipeline['clip']}, resized; style {pipeline['style']}, network {pipeline['network']}; "
            f"medians of {pipeline['rounds']} rounds, warm-up left out; x264 veryfast, sound copied.",
            f"The engine at {first}: {plan}." if plan else "",
            *("", "## Goals", ""),
            *table(("goal", "must", "measured", ""), goals(pipeline, engine)),
            *("", "## Film to film", "", READING),
            without_machine(pipeline_report(pipeline)),
            *("", "## The network alone", "", *alone(engine), ""),
            without_machine(engine_report(engine)),
            *("", ELSEWHERE),
        ]
    )


def goals(pipeline: Mapping[str, Any], engine: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Limits that must hold on any machine: name, least, measured, met or missed."""
    found = next(iter(pipeline["sizes"].values()))
    run, size = found["film to film"], next(iter(pipeline["sizes"]))
    engines = next(iter(engine["sizes"].values()))["engines"]
    ours = [v["fps"] for name, v in engines.items() if name != "peer:classic"]
    rows = [("of its bound, film to film", 0.85, run["efficiency"], "{:.0%}", True)]
    if "peer:classic" in found:
        rows.append(
            (
                "times the classic network, film to film",
                30,
                run["fps"] / found["peer:classic"]["fps"],
                "{:.1f}",
                True,
            )
        )
    rows += [
        ("chosen engine, of the fastest", 0.95, engines["auto"]["fps"] / max(ours), "{:.0%}", True),
        ("fps x pixels, from the mean", 0.20, pipeline["linear"]["spread"], "{:.0%}", False),
    ]
    if "start" in pipeline:
        rows.append(("s for one frame, kept engine", 2.0, pipeline["start"]["kept_seconds"], "{:.1f}", False))
    if "long" in pipeline:
        rows.append(
            (
                "MiB that memory grows over the long run",
                16,
                pipeline["long"]["late_mib"] - pipeline["long"]["early_mib"],
                "{:.1f}",
                False,
            )
        )
    return [
        (
            f"{name} ({size})" if "film" in name else name,
            ("at least " if more else "at most ") + how.format(must),
            how.format(value),
            "met" if (value >= must) == more or value == must else "**missed**",
        )
        for name, must, value, how, more in rows
    ]


def alone(engine: Mapping[str, Any]) -> list[str]:
    """The reason for the choice of `auto` on a CPU."""
    engines = next(iter(engine["sizes"].values()))["engines"]
    names = [
        name for name in ("aotinductor", "inductor", "onnxruntime", "torch") if f"peer:{name}" in engines
    ]
    shares = ", ".join(f"{n} {engines[f'peer:{n}']['fps'] / engines['auto']['fps']:.0%}" for n in names)
    return [
        "Each engine runs on pictures in memory, in a process of its own. Milliseconds are from start to",
        "result, with as many frames in flight as the engine asks for. *peer* is our network in another",
        "engine, or the classic network.",
        *(
            [
                "",
                f"Peers reach these shares of the chosen engine's frames per second: {shares}. A peer would",
                "be added if it came near; AOTInductor took 1.4 to 1.8 times OpenVINO's CPU time when that",
                "was decided.",
            ]
            if shares
            else []
        ),
    ]


def without_machine(report: str) -> str:
    """The report without its first paragraph, which the page has already."""
    return report.split("\n\n", 1)[1]


READING = """\
*Alone* is a stage with nothing beside it; its CPU time is that of all threads. *judge* is detection, repair
and the flash guard. The *bound* of a run is the lower of two rates: that of its slowest stage alone, and that
of all cores if they did nothing but the CPU work of all stages. *null sink* writes nothing; *correct off*
neither detects nor repairs; *half size* paints at half the width and height (`--size`). p50 to p99 are
percentiles of the time from one frame to the next. Start-up and the memory of a long run come last.
"""
ELSEWHERE = """\
Every clip whole, frame by frame and packet by packet: [clips.md](clips.md). Detection and repair:
[anomaly-benchmark.md](anomaly-benchmark.md). Styles: [styles.md](styles.md).
"""

if __name__ == "__main__":
    sys.exit(main())
