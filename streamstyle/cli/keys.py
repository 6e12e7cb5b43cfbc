"""`streamstyle keys NAME`: keys for permission to read and to publish frames over a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """Declare `keys` and its options."""
    parser = commands.add_parser(
        "keys",
        help="make a pair of keys to encrypt frames on a network",
        description="Writes NAME.key, to give away, and NAME.key_secret, to keep. A publisher needs its own "
        "secret key and a folder with the public keys of those who may listen; who listens needs a secret "
        "key and the publisher's public one.",
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder of the keys (default: the current one)",
    )
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Make the key pair, and print its use."""
    from streamstyle.media.zmq_address import make_keys

    public, secret = make_keys(arguments.out, arguments.name)
    print(f"{public}: give it to the others")
    print(f"{secret}: keep it; anyone who has it can act as {arguments.name}")
    return 0
