"""`streamstyle engines build`: compile engines before a run needs them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any


def add_command(actions: Any) -> None:
    """Declare `build` and its options."""
    parser = actions.add_parser(
        "build",
        help="compile an engine now, so that a run starts at once",
        description="Compiles the engine that `run` would with the same options, and keeps it. One that is "
        "kept already is only checked. The speed of each network is measured too, for --network auto.",
    )
    parser.add_argument(
        "--size",
        action="append",
        required=True,
        type=size,
        metavar="WxH",
        help="size of the frames; repeatable",
    )
    parser.add_argument("--engine", metavar="NAME", help="auto, tensorrt, cuda, openvino or torch")
    parser.add_argument("--network", metavar="NAME", help="auto (the default, all of them), lite or full")
    parser.add_argument(
        "--style",
        metavar="NAME",
        help="only for an imported model; the network's engine paints all its styles",
    )
    parser.add_argument(
        "--consistency", type=float, metavar="0..1", help="above 0: build for runs with --consistency"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, such as precision=bf16"
    )
    parser.set_defaults(command=command)


def size(text: str) -> tuple[int, int]:
    """(width, height) of WxH."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size: write 1920x1080")
    return int(width), int(height)


def command(arguments: argparse.Namespace) -> int:
    """Open the engine for every size; engines that are not cached are compiled."""

    from streamstyle.config import RunConfig, load_config
    from streamstyle.pipeline.model import load_model
    from streamstyle.pipeline.network import each_network, measured_paces
    from streamstyle.pipeline.opencv_threads import single_threaded_opencv

    given = [(name, getattr(arguments, name)) for name in ("engine", "network", "style", "consistency")]
    shorthands = [
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given if value is not None
    ]
    config = load_config(RunConfig, None, [*arguments.set, *shorthands])
    started = time.monotonic()

    def notify(sentence: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {sentence}", file=sys.stderr, flush=True)

    configs = each_network(config)
    for one in configs:
        model = load_model(one, notify)
        for width, height in arguments.size:
            engine = model.open_engine(height, width)
            spec = engine.spec
            engine.close()
            why = f" ({spec.why})" if spec.why else ""
            named = f"{one.network} in " if len(configs) > 1 else ""
            print(f"{width}x{height}: {named}{spec.name} {spec.precision} on {spec.device} is ready{why}")
    sizes = [(height, width) for width, height in arguments.size]
    with single_threaded_opencv():  # as in a run
        for (height, width), pace in measured_paces(config, sizes, notify):
            fast = f"about {pace.fps:.3g} fps in a run" if pace.fps else f"cannot be opened: {pace.error}"
            busy = (
                f", measured while other programs took {pace.others:.0%} of the processors"
                if pace.others
                else ""
            )
            print(f"{width}x{height}: {pace.name}, {fast}{busy}")
    return 0
