"""`streamstyle explain --image PHOTO --style NAME -o PAGE`, `streamstyle explain EVENTS -o PAGE`"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from streamstyle.errors import ConfigError


def add_command(commands: Any) -> None:
    """Declare `explain` and its options."""
    parser = commands.add_parser(
        "explain",
        help="explain a painted picture, or what was repaired in a film",
        description="With --image and --style: paints one picture and writes an HTML page on the shares of "
        "photo and style, the discriminator's verdict, the numbers of the style that matter, and the "
        "layers. With an event log: writes a page on what was found in the film, why, and what was done.",
    )
    parser.add_argument("events", type=Path, nargs="?", metavar="EVENTS.jsonl", help="the log of a run")
    parser.add_argument("--image", type=Path, metavar="FILE", help="the photo")
    parser.add_argument("--style", metavar="NAME", help="NAME, or a mix: NAME:0.7,OTHER:0.3")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="PAGE.html")
    parser.add_argument(
        "--turn",
        metavar="GROUP=FACTOR,...",
        help="more or less of texture, contrast or colour: texture=1.4,colour=0.8",
    )
    parser.add_argument("--network", default="lite", metavar="NAME", help="lite (default) or full")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Write the page, and print the figures or the totals."""
    from streamstyle.files import check_writable

    check_writable(arguments.out)
    if arguments.events is not None:
        return explain_events(arguments)
    if arguments.image is None or arguments.style is None:
        raise ConfigError("nothing to explain: name an event log, or give --image FILE and --style NAME")
    from streamstyle.explain.adjust import adjuster, parse_adjustments
    from streamstyle.explain.critic import load_critic
    from streamstyle.explain.explanation import AdjustedStyle, explain, explanation_page
    from streamstyle.files import read_picture
    from streamstyle.files.page import write_page
    from streamstyle.nets.generator import restore_generator
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.styles.mix import parse_mix, style_code

    bundle = load_bundle(network_folder(arguments.network))
    factors = parse_adjustments(arguments.turn) if arguments.turn is not None else {}
    style = AdjustedStyle(
        name=arguments.style,
        shares=parse_mix(arguments.style),
        factors=factors,
        code=style_code(bundle, arguments.style, adjust=adjuster(bundle, factors)),
        mean=bundle.mean,
    )
    explanation = explain(
        restore_generator(bundle.manifest.architecture, bundle.weights),
        read_picture(arguments.image),
        style,
        critic=load_critic(bundle.folder, bundle.manifest),
    )
    write_page(arguments.out, explanation_page(explanation))
    values = explanation.to_json() | {"page": str(arguments.out)}
    if arguments.json:
        print(json.dumps(values))
        return 0
    for part in values["ablation"][:3]:
        print(f"{part['layer']} {part['part']:6} changes the picture by {part['change']:.1f} Lab units")
    regions = values["attribution"]
    print(f"edges left {regions['edges']:.2f}, colour {regions['colour']:.2f} and texture ", end="")
    print(f"{regions['texture']:.2f} the style's")
    print(f"page {arguments.out}")
    return 0


def explain_events(arguments: argparse.Namespace) -> int:
    """Write the page of an event log, and print how often each kind was found."""
    from streamstyle.explain.moments import read_events, totals
    from streamstyle.explain.run_report import events_page
    from streamstyle.files.page import write_page

    if arguments.image is not None or arguments.style is not None or arguments.turn is not None:
        raise ConfigError("an event log is explained without --image, --style and --turn")
    events = read_events(arguments.events)
    write_page(arguments.out, events_page(f"What happened: {arguments.events.name}", events))
    counts = totals(events)
    if arguments.json:
        print(json.dumps({"flagged_frames": len(events), "kinds": counts, "page": str(arguments.out)}))
        return 0
    found = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing"
    print(f"{len(events)} flagged frames: {found}")
    print(f"page {arguments.out}")
    return 0
