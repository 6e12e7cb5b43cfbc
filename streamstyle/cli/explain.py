"""`streamstyle explain --image PHOTO --style NAME -o PAGE`"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """Declare `explain` and its options."""
    parser = commands.add_parser(
        "explain",
        help="show why a picture came out so",
        description="Paints one picture and writes an HTML page: what is the photo's and what the style's, "
        "what the discriminator says, which numbers of the style matter and where, what the layers see.",
    )
    parser.add_argument("--image", type=Path, required=True, metavar="FILE", help="the photo")
    parser.add_argument("--style", required=True, metavar="NAME", help="NAME, or a mix: NAME:0.7,OTHER:0.3")
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
    """Write the page and print where the style came from."""
    from streamstyle.explain.critic import load_critic
    from streamstyle.explain.explanation import explain, explanation_page
    from streamstyle.explain.turn import parse_turn, turning
    from streamstyle.nets.generator import restore_generator
    from streamstyle.page import write_page
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.styles.mix import parse_mix, style_code
    from streamstyle.train.data import read_picture

    bundle = load_bundle(network_folder(arguments.network))
    factors = parse_turn(arguments.turn) if arguments.turn is not None else {}
    code = style_code(bundle, arguments.style, turn=turning(bundle, factors))
    explanation = explain(
        restore_generator(bundle.manifest.architecture, bundle.weights),
        read_picture(arguments.image),
        arguments.style,
        code,
        bundle.mean,
        factors=factors,
        shares=parse_mix(arguments.style),
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
