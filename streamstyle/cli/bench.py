"""`streamstyle bench anomaly`"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamstyle.cli.numbers import positive_int

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamstyle.bench.injections import Film

SIZE = (640, 360)  # width, height
LEAST_FRAMES = 48
STYLES = ("starry-night", "great-wave", "udnie", "composition-vii")


def add_command(commands: Any) -> None:
    """Declare `bench` and its sub-commands."""
    parser = commands.add_parser("bench", help="measure detection and repair on your own clips")
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    anomaly = actions.add_parser(
        "anomaly",
        help="plant anomalies in painted clips, and see what is found and repaired",
        description="Paints each clip in each style at 640x360, as it is and with everything a camera or an "
        "editor may do to it; plants anomalies in the painted clip; prints what the detector found, what the "
        "corrector repaired and what others would have. The last line is one JSON document.",
    )
    anomaly.add_argument("clips", nargs="+", metavar="CLIP")
    anomaly.add_argument(
        "--styles", nargs="+", default=STYLES, metavar="NAME", help=f"default: {' '.join(STYLES)}"
    )
    anomaly.add_argument(
        "--frames", type=positive_int, default=100, metavar="N", help="of each clip, default 100"
    )
    anomaly.add_argument("--quick", action="store_true", help="four anomalies and five scenes")
    anomaly.add_argument("-o", "--out", type=Path, metavar="PAGE.html", help="write a page as well")
    anomaly.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Measure, print, write."""
    from streamstyle.bench import protocol, report
    from streamstyle.errors import ConfigError
    from streamstyle.page import write_page

    if arguments.frames < LEAST_FRAMES:
        raise ConfigError(f"--frames must be {LEAST_FRAMES} or more: a shot's colours are learnt from 24")
    films = [read_film(clip, arguments.frames) for clip in arguments.clips]
    subjects = []
    for style in arguments.styles:
        stylize = open_style(style)
        for number, (clip, (film, fps)) in enumerate(zip(arguments.clips, films, strict=True)):
            other = films[(number + 1) % len(films)][0] if len(films) > 1 else film[::-1]
            count = min(len(film), len(other))
            name = Path(clip).name
            subjects.append(protocol.Subject(name, style, film[:count], other[:count], fps, stylize))
    injections = protocol.chosen(protocol.QUICK if arguments.quick else None)
    scenes = protocol.chosen_scenes(protocol.QUICK_SCENES if arguments.quick else None)
    tally = protocol.measure(subjects, injections, scenes)
    figures = protocol.figures(tally, injections)
    print(report.as_text(figures))
    if arguments.out is not None:
        write_page(arguments.out, report.as_page("Anomaly benchmark", figures))
        print(f"wrote {arguments.out}", file=sys.stderr)
    clips = [Path(clip).name for clip in arguments.clips]
    print(json.dumps({"clips": clips, "styles": list(arguments.styles), **figures}))
    return 0


def read_film(url: str, frames: int) -> tuple[Film, float]:
    """The first frames at 640x360 and their rate. Raises SourceError, ConfigError where they are too few."""
    from itertools import islice

    import cv2
    import numpy as np

    from streamstyle.errors import ConfigError
    from streamstyle.media.open import open_source

    with open_source(url) as source:
        fps = float(source.info.rate or 30)
        film = [
            np.asarray(cv2.resize(frame.pixels, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
            for frame in islice(source, frames)
        ]
    if len(film) < LEAST_FRAMES:
        raise ConfigError(f"{url} has {len(film)} frames, and {LEAST_FRAMES} are needed")
    return film, fps


def open_style(style: str) -> Callable[[Film], Film]:
    """What paints a film in a style at 640x360. Raises ConfigError, ModelError, EngineError."""
    from streamstyle.build import load_model
    from streamstyle.config import RunConfig
    from streamstyle.engines.open import paint_all
    from streamstyle.types import Look

    model = load_model(RunConfig(style=style))
    engine, look = model.open_engine(SIZE[1], SIZE[0]), Look(model.codes)

    return lambda film: list(paint_all(engine, film, look))
