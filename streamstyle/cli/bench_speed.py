"""`streamstyle bench engine | pipeline`: speed, the theoretical bound, and other engines."""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from streamstyle.cli.numbers import positive_int

if TYPE_CHECKING:
    from streamstyle.bench.rounds import MeasuredTask
    from streamstyle.bench.speed import Task

Size = tuple[int, int]
SIZES: tuple[Size, ...] = ((640, 360), (960, 540), (1280, 720), (1920, 1080))
STYLE = "starry-night"
_WARM_UP_FRAMES = 10
_MIN_FRAMES = 16  # frames of a round
_LONG_SIZE = (320, 180)
_STARTS = 5
_HALVED_LINES = 720  # from here on painting at half the size is measured too
_PEER_SHARE = {"classic": 20, "torch": 4, "inductor": 4, "aotinductor": 4, "onnxruntime": 2}


def add_commands(actions: Any) -> None:
    """Declare `bench engine` and `bench pipeline`."""
    engine = actions.add_parser(
        "engine",
        help="measure the network alone, in every engine",
        description="Measures the network on pictures in memory, each engine in a process of its own, in "
        "turn. Peers: torch eager, inductor, AOTInductor and ONNX Runtime on the same network, and the "
        "classic style network. The last line is one JSON document.",
    )
    engine.add_argument("--engines", nargs="+", default=("auto",), metavar="NAME", help="default: auto")
    engine.add_argument("--layers", action="store_true", help="measure each layer in OpenVINO as well")
    _add_options(engine)
    engine.set_defaults(command=bench_engine)
    pipeline = actions.add_parser(
        "pipeline",
        help="measure a whole run, stage by stage, against the theoretical bound",
        description="Measures decoding, the network, detection and encoding alone, the bound that follows, "
        "and whole runs: without an output and film to film, with and without repair. The last line is "
        "one JSON document.",
    )
    _add_options(pipeline)
    pipeline.add_argument("--engine", default="auto", metavar="NAME", help="default: auto")
    pipeline.add_argument(
        "--long", type=positive_int, metavar="N", help="measure memory over N frames at 320x180 as well"
    )
    pipeline.add_argument(
        "--start",
        action="store_true",
        help="measure a start as well, with and without compiling",
    )
    pipeline.set_defaults(command=bench_pipeline)


def _add_options(parser: Any) -> None:
    parser.add_argument(
        "clip", nargs="?", default="test:", metavar="CLIP", help="default: test:, a rendered scene"
    )
    parser.add_argument(
        *("--sizes",), nargs="+", type=_size, default=SIZES, metavar="WxH", help="default: 640x360 to 1080p"
    )
    parser.add_argument("--style", default=STYLE, metavar="NAME", help=f"default: {STYLE}")
    parser.add_argument("--network", default="lite", metavar="NAME", help="lite (the default) or full")
    parser.add_argument(
        *("--frames",),
        type=positive_int,
        default=150,
        metavar="N",
        help="pictures of a round at 640x360, fewer at larger sizes (default: 150)",
    )
    parser.add_argument(
        "--rounds", type=positive_int, default=3, metavar="N", help="number of rounds (default: 3)"
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="NAME",
        help="other engines to measure at the first size; without names none",
    )


def _size(text: str) -> Size:
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise argparse.ArgumentTypeError("must be written as 640x360")
    width, height = map(int, text.split("x"))
    return width, height


def bench_engine(arguments: argparse.Namespace) -> int:
    """Measure, print."""
    from streamstyle.bench.baseline_engines import PEERS
    from streamstyle.bench.speed import figures, linear
    from streamstyle.bench.speed_report import engine_report

    _check(arguments)
    peers = PEERS if arguments.peers is None else arguments.peers
    sizes: dict[str, Any] = {}
    fps: dict[Size, float] = {}
    with TemporaryDirectory() as folder:
        for size in arguments.sizes:
            name, frames = _named(size), _frames(arguments, size)
            clip = _film(arguments, Path(folder), size, _MIN_FRAMES)
            tasks = {e: _task(arguments, "engine", clip, frames, engine=e) for e in arguments.engines}
            if size == arguments.sizes[0]:
                tasks |= {
                    f"peer:{p}": _task(
                        arguments, "engine", clip, max(4, frames // _PEER_SHARE.get(p, 1)), engine=f"peer:{p}"
                    )
                    for p in peers
                }
            found, skipped = _measured(tasks, arguments.rounds, f"{name}, ")
            _insist(skipped, arguments.engines)
            engines: dict[str, dict[str, Any]] = {
                e: {"spec": m.spec, **figures(m.rounds)} for e, m in found.items()
            }
            sizes[name] = {"engines": engines, "skipped": skipped}
            fps[size] = engines[arguments.engines[0]]["fps"]
    document = {**_head("engine", arguments), "sizes": sizes, "linear": linear(fps)}
    if arguments.layers:
        document["layers"] = _layers(arguments)
    print(engine_report(document))
    print(json.dumps(document))
    return 0


def _layers(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from msgspec import to_builtins

    from streamstyle.engines.layers import layer_times
    from streamstyle.styles.bundle import load_bundle, network_folder

    bundle = load_bundle(network_folder(arguments.network))
    width, height = arguments.sizes[0]
    found = layer_times(bundle.manifest.architecture, bundle.weights, height, width)
    return [to_builtins(layer) for layer in found]


def bench_pipeline(arguments: argparse.Namespace) -> int:
    """Measure, print."""
    from streamstyle.bench.speed import linear
    from streamstyle.bench.speed_report import pipeline_report

    _check(arguments)
    peers = ["classic"] if arguments.peers is None else arguments.peers
    sizes: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for size in arguments.sizes:
            beside = peers if size == arguments.sizes[0] else []
            sizes[_named(size)] = _pipeline_at(arguments, Path(folder), size, beside)
        document = {
            **_head("pipeline", arguments),
            "sizes": sizes,
            "linear": linear({size: sizes[_named(size)]["film to film"]["fps"] for size in arguments.sizes}),
        }
        if arguments.start:
            document["start"] = _start_times(arguments, Path(folder))
        if arguments.long:
            document["long"] = _long_run(arguments, Path(folder))
    print(pipeline_report(document))
    print(json.dumps(document))
    return 0


def _pipeline_at(arguments: argparse.Namespace, folder: Path, size: Size, peers: list[str]) -> dict[str, Any]:
    """Everything at one size; names of runs are keys, with the figures of each."""
    from streamstyle.bench.speed import bound, figures
    from streamstyle.engines.machine import usable_cpus

    frames = _frames(arguments, size)
    clip = _film(arguments, folder, size, frames + _WARM_UP_FRAMES)

    def task(what: str, count: int = frames, **options: Any) -> Task:
        return _task(arguments, what, clip, count, **{"engine": arguments.engine, **options})

    out = {name: str(folder / f"{name}.mp4") for name in ("repair", "off", "half", "write", *peers)}
    half = _named((size[0] // 2, size[1] // 2))
    alone = {
        "decode": task("decode"),
        "engine": task("engine"),
        "judge": task("judge"),
        "write": task("write", sink=out["write"]),
    }
    runs = {
        "null sink": task("run"),
        "film to film": task("run", sink=out["repair"]),
        "correct off": task("run", sink=out["off"], correct="off"),
        **({"half size": task("run", sink=out["half"], size=half)} if size[1] >= _HALVED_LINES else {}),
        **{
            f"peer:{p}": task(
                *("run", max(4, frames // _PEER_SHARE.get(p, 1))), sink=out[p], engine=f"peer:{p}", warm=2
            )
            for p in peers
        },
    }
    found, skipped = _measured({**alone, **runs}, arguments.rounds, f"{_named(size)}, ")
    _insist(skipped, [*alone, "null sink", "film to film", "correct off"])
    values: dict[str, dict[str, Any]] = {name: dict(figures(m.rounds)) for name, m in found.items()}
    cores = usable_cpus()
    stages = {
        "null sink": ("decode", "engine", "judge"),
        "film to film": ("decode", "engine", "judge", "write"),
        "correct off": ("decode", "engine", "write"),
    }
    for name, parts in stages.items():
        limit = bound({part: values[part] for part in parts}, cores)
        told = found[name].rounds[-1].summary
        values[name] |= {
            "bound": limit,
            "efficiency": round(values[name]["fps"] / limit["fps"], 3),
            "stages": told["stages"],
            "queues": told.get("queues", {}),
            "spec": found[name].spec,
        }
    return {**values, "skipped": skipped}


def _long_run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Resident memory over many frames, film to film."""
    from streamstyle.bench.speed import growth

    count = arguments.long
    clip = _film(arguments, folder, _LONG_SIZE, count)
    options = {"engine": arguments.engine, "sink": str(folder / "long.mp4"), "watch": max(1, count // 100)}
    task = _task(arguments, "run", clip, count - _WARM_UP_FRAMES, **options)
    found, skipped = _measured({"long run": task}, 1, "")
    _insist(skipped, ["long run"])
    memory = found["long run"].rounds[0].memory
    return {"size": _named(_LONG_SIZE), "frames": count, **growth(memory)}


def _start_times(arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Median seconds of whole processes: `--help`; one frame at the first size, with an engine that is kept;
    the same where it must be compiled."""
    clip = _film(arguments, folder, arguments.sizes[0], _MIN_FRAMES)
    environ = {**os.environ, "STREAMSTYLE_CACHE": str(folder / "cache")}

    def seconds(*command: str) -> float:
        started = time.perf_counter()
        python = (sys.executable, "-m", "streamstyle")
        subprocess.run((*python, *command), capture_output=True, check=True, env=environ)
        return time.perf_counter() - started

    named = ("--style", arguments.style, "--network", arguments.network, "--engine", arguments.engine)
    frame = ("run", clip, "null:", "--frames", "1", *named)
    compiling = seconds(*frame)
    return {
        "help_seconds": round(statistics.median(seconds("--help") for _ in range(_STARTS)), 3),
        "compiling_seconds": round(compiling, 3),
        "kept_seconds": round(statistics.median(seconds(*frame) for _ in range(_STARTS)), 3),
    }


def _task(arguments: argparse.Namespace, what: str, clip: str, frames: int, **options: Any) -> Task:
    from streamstyle.bench.speed import Task

    named = {"style": arguments.style, "network": arguments.network, "warm": _WARM_UP_FRAMES}
    return Task(what, clip, frames=frames, **{**named, **options})


def _measured(
    tasks: Mapping[str, Task], rounds: int, where: str
) -> tuple[dict[str, MeasuredTask], dict[str, str]]:
    from streamstyle.bench.rounds import measured

    return measured(tasks, rounds, _notify_of(where))


def _notify_of(where: str) -> Callable[[str], None]:
    def notify(sentence: str) -> None:
        print(f"{where}{sentence}", file=sys.stderr, flush=True)

    return notify


def _check(arguments: argparse.Namespace) -> None:
    """Raises ConfigError, SourceError, ModelError before the work, if something cannot be measured."""
    from streamstyle.bench.baseline_engines import PEERS
    from streamstyle.config import RunConfig
    from streamstyle.engines.open_engine import ENGINES
    from streamstyle.errors import ConfigError, nearest
    from streamstyle.media.open import open_source
    from streamstyle.pipeline.model import load_model

    load_model(RunConfig(style=arguments.style, network=arguments.network))
    with open_source(arguments.clip):
        pass
    for name in arguments.engines if hasattr(arguments, "engines") else (arguments.engine,):
        if name not in (known := ("auto", *ENGINES)):
            raise ConfigError(f"unknown engine '{name}'{nearest(name, known)}; known are {', '.join(known)}")
    for name in arguments.peers or ():
        if name not in PEERS:
            raise ConfigError(f"unknown peer '{name}'{nearest(name, PEERS)}; known are {', '.join(PEERS)}")


def _insist(skipped: Mapping[str, str], names: Any) -> None:
    """A peer may be missing, an engine under test may not."""
    from streamstyle.errors import EngineError

    for name in names:
        if name in skipped:
            raise EngineError(skipped[name])


def _film(arguments: argparse.Namespace, folder: Path, size: Size, frames: int) -> str:
    from streamstyle.bench.sized import sized_film

    _notify_of(f"{_named(size)}, ")(f"writing {frames} frames of {arguments.clip}")
    return str(sized_film(arguments.clip, folder / f"clip-{_named(size)}.mp4", size, frames))


def _frames(arguments: argparse.Namespace, size: Size) -> int:
    """Number of frames, so that every size has as many pixels."""
    (width, height), (w, h) = size, SIZES[0]
    return max(_MIN_FRAMES, round(int(arguments.frames) * w * h / (width * height)))


def _named(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _head(benchmark: str, arguments: argparse.Namespace) -> dict[str, Any]:
    from streamstyle.engines.machine import facts

    measured = {"clip": Path(arguments.clip).name, "style": arguments.style, "network": arguments.network}
    return {"benchmark": benchmark, **measured, "rounds": arguments.rounds, "machine": facts()}
