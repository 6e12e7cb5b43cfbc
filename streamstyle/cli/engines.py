"""`streamstyle engines list | build | clear`: compiled engines of this machine."""

from __future__ import annotations

import argparse
from typing import Any

from streamstyle.cli import engines_build


def add_command(commands: Any) -> None:
    """Declare `engines` and its sub-commands."""
    parser = commands.add_parser("engines", help="list, build and clear compiled engines")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", help="list compiled engines, and where they are; the last used first"
    )
    listing.set_defaults(command=list_engines)
    engines_build.add_command(actions)
    clearing = actions.add_parser("clear", help="remove all; the next run compiles again")
    clearing.set_defaults(command=clear_engines)


def list_engines(_arguments: argparse.Namespace) -> int:
    """Print the engines, their precision and size."""
    from streamstyle.engines.cache import EngineCache, cache_folder
    from streamstyle.engines.pace import PaceCache

    cache = EngineCache(cache_folder())
    manifests = cache.manifests()
    for manifest in manifests:
        engine, precision = (manifest.key.get(name, "?") for name in ("engine", "precision"))
        statistics = ", holds statistics" if manifest.key.get("holds") else ""
        print(f"{manifest.what:36} {manifest.size / 1e6:6.1f} MB  {engine} {precision}{statistics}")
    for sentence in PaceCache().sentences():
        print(sentence)
    total = sum(manifest.size for manifest in manifests)
    print(f"{len(manifests)} engines, {total / 1e6:.1f} MB in {cache.folder}")
    return 0


def clear_engines(_arguments: argparse.Namespace) -> int:
    """Remove all engines and their measured speeds."""
    from streamstyle.engines.cache import EngineCache, cache_folder
    from streamstyle.engines.pace import PaceCache

    EngineCache(cache_folder()).clear()
    PaceCache().clear()
    return 0
