"""`streamstyle styles import FILE`: another program's model as a style."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.engines.imported_engine import Contract

RANGES = ("unit", "signed", "bytes")


def add_import(actions: Any) -> None:
    """Declare `styles import` and its options."""
    parser = actions.add_parser(
        "import",
        help="import an ONNX or PyTorch style network as a style",
        description="FILE is an ONNX network from one RGB picture to one, or a PyTorch state_dict of the "
        "classic TransformerNet. It is examined in a process of its own; PyTorch files are read without "
        "running anything in them. Import only what you may use: nothing checks a licence.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--name", help="name of the style (default: from the name of FILE)")
    parser.add_argument(
        "--range",
        metavar="IN[,OUT]",
        type=_ranges,
        help="values of black and white: unit (0, 1), signed (-1, 1) or bytes (0, 255); OUT if it differs "
        "from IN (default: detected with a test picture)",
    )
    parser.add_argument("--layout", choices=["nchw", "nhwc"], help="order of the axes (default: detected)")
    parser.add_argument("--replace", action="store_true", help="replace an imported model of that name")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.set_defaults(command=import_style)


def import_style(arguments: argparse.Namespace) -> int:
    """Examine the file, store it, and print the findings."""
    import json

    from streamstyle.engines.imported_examine import examine_file
    from streamstyle.engines.imported_probe import Declared
    from streamstyle.errors import ConfigError
    from streamstyle.styles.bundle import BUNDLED, ORIGINAL, load_manifest
    from streamstyle.styles.imported import check_free, save_model

    path: Path = arguments.file
    name = arguments.name or re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    check_free(name, replace=arguments.replace)  # before the minutes that an examination may take
    if name in {ORIGINAL, *(style.name for style in load_manifest(BUNDLED).styles)}:
        raise ConfigError(f"'{name}' is a bundled style; choose another --name")
    range_in, range_out = arguments.range or (None, None)
    examined = examine_file(path, Declared(arguments.layout, range_in, range_out))
    contract = examined.contract
    folder = save_model(
        name, examined.kind, examined.data, contract.to_json(), path.name, replace=arguments.replace
    )
    if arguments.json:
        found = {"name": name, "kind": examined.kind, "folder": str(folder), "contract": contract.to_json()}
        print(json.dumps(found))
        return 0
    print(f"imported '{name}': {_contract_text(contract)}")
    if contract.size:
        height, width = contract.size
        print(f"note: it runs at {width}x{height} only; every frame is resized to that size and back")
    print(f"use it with --style {name}; if its colours are wrong, import it again with --range")
    return 0


def _contract_text(contract: Contract) -> str:
    multiple = f", sides padded to multiples of {contract.multiple}" if contract.multiple > 1 else ""
    return (
        f"{contract.layout_in.upper()} {contract.range_in} to "
        f"{contract.layout_out.upper()} {contract.range_out}{multiple}"
    )


def _ranges(text: str) -> tuple[str, str]:
    first, _, second = text.partition(",")
    found = (first, second or first)
    if not set(found) <= set(RANGES):
        raise argparse.ArgumentTypeError(
            f"must be unit, signed or bytes, or two of them as IN,OUT, not '{text}'"
        )
    return found
