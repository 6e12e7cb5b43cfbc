"""`streamstyle styles list | show NAME`"""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_command(commands: Any) -> None:
    """Declare `styles` and its sub-commands."""
    parser = commands.add_parser("styles", help="list and show the bundled styles")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all styles, a line each")
    listing.add_argument("--json", action="store_true", help="print an array of objects")
    listing.set_defaults(command=list_styles)
    showing = actions.add_parser("show", help="all that is known of one style")
    showing.add_argument("name", metavar="NAME")
    showing.add_argument("--json", action="store_true", help="print one object")
    showing.set_defaults(command=show_style)


def list_styles(arguments: argparse.Namespace) -> int:
    """Print name, title and artist of every style."""
    from streamstyle.styles.bundle import BUNDLED, load_manifest

    styles = load_manifest(BUNDLED).styles
    if arguments.json:
        keys = ("name", "title", "artist", "year", "licence")
        print(json.dumps([{key: getattr(style, key) for key in keys} for style in styles]))
        return 0
    width = max(len(style.name) for style in styles)
    for style in styles:
        print(f"{style.name:{width}}  {style.title}, {style.artist}, {style.year}")
    return 0


def show_style(arguments: argparse.Namespace) -> int:
    """Print everything of one style, its measured figures too."""
    import msgspec

    from streamstyle.errors import ConfigError, nearest
    from streamstyle.styles.bundle import BUNDLED, load_manifest

    styles = {style.name: style for style in load_manifest(BUNDLED).styles}
    if arguments.name not in styles:
        raise ConfigError(f"unknown style '{arguments.name}'{nearest(arguments.name, styles)}")
    values = msgspec.to_builtins(styles[arguments.name])
    if arguments.json:
        print(json.dumps(values))
        return 0
    for key, value in (values | values.pop("metrics")).items():
        if key != "metrics":
            print(f"{key:20} {value}")
    return 0
