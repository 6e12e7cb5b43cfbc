"""`streamstyle keys NAME`: keys that say who may read, and who may publish, frames over a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """Declare `keys` and its options."""
    parser = commands.add_parser(
        "keys",
        help="make a pair of keys for frames over a network",
        description="Writes NAME.key, to give away, and NAME.key_secret, to keep. A publisher needs its own "
        "secret key and a folder with the public keys of those who may listen; who listens needs a secret "
        "key and the publisher's public one.",
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path(), metavar="DIR", help="where to, default: the current folder"
    )
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Make the key pair, and say what to do with it."""
    from streamstyle.media.zmq_address import make_keys

    public, secret = make_keys(arguments.out, arguments.name)
    print(f"{public}: give it to the others")
    print(f"{secret}: keep it; whoever has it is {arguments.name}")
    return 0
