"""`streamstyle styles list | show NAME | swatch NAME | gallery | import FILE`"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamstyle.cli.styles_import import add_import

if TYPE_CHECKING:
    from streamstyle.styles.bundle import StyleRecord
    from streamstyle.types import Picture

_MAX_SIDE = 4096
_MAX_SEED = 2**63 - 1


def add_command(commands: Any) -> None:
    """Declare `styles` and its sub-commands."""
    parser = commands.add_parser("styles", help="list and show styles, and import others")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list all styles")
    listing.add_argument("--json", action="store_true", help="print an array of objects")
    listing.set_defaults(command=list_styles)
    showing = actions.add_parser("show", help="show everything known of one style")
    showing.add_argument("name", metavar="NAME")
    showing.add_argument("--json", action="store_true", help="print one object")
    showing.set_defaults(command=show_style)
    painting = actions.add_parser("swatch", help="paint a style's own texture from noise")
    painting.add_argument("style", metavar="STYLE", help="NAME, or a mix: NAME:0.7,OTHER:0.3")
    painting.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.png")
    painting.add_argument("--mix", metavar="OTHER[:SHARE]", help="mix with another style (default: by half)")
    painting.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of the noise")
    painting.add_argument("--size", type=_size, default=(512, 512), metavar="WxH", help="default 512x512")
    painting.set_defaults(command=write_swatch)
    showing_all = actions.add_parser("gallery", help="write an HTML page of all styles")
    showing_all.add_argument("-o", "--out", type=Path, required=True, metavar="PAGE.html")
    showing_all.add_argument(
        "--photo", type=Path, metavar="FILE", help="photo to paint instead of the rendered scene"
    )
    showing_all.set_defaults(command=write_gallery)
    for reading in (listing, showing, painting, showing_all):
        reading.add_argument("--network", default="lite", metavar="NAME", help="lite (default) or full")
    add_import(actions)


def list_styles(arguments: argparse.Namespace) -> int:
    """Print name, title and artist of every style: bundled, own and imported."""
    styles = _records(arguments.network)
    if arguments.json:
        keys = ("name", "title", "artist", "year", "licence")
        print(json.dumps([{key: getattr(style, key) for key in keys} for style in styles]))
        return 0
    width = max(len(style.name) for style in styles)
    for style in styles:
        print(f"{style.name:{width}}  " + ", ".join(filter(None, (style.title, style.artist, style.year))))
    return 0


def _records(network: str) -> list[StyleRecord]:
    """All styles, own styles of other networks included."""
    from streamstyle.styles.bundle import StyleRecord, load_manifest, network_folder
    from streamstyle.styles.code_file import own_files
    from streamstyle.styles.library import model_names

    imported = [StyleRecord(name, "imported model", "", "", "") for name in model_names()]
    bundled = load_manifest(network_folder(network)).styles
    return [*bundled, *(file.record for file in own_files()), *imported]


def show_style(arguments: argparse.Namespace) -> int:
    """Print everything about one style: its measures, and the path of its thumbnail."""
    import msgspec

    from streamstyle.errors import ConfigError, nearest
    from streamstyle.styles.thumbnail import thumbnail

    styles = {style.name: style for style in _records(arguments.network)}
    if arguments.name not in styles:
        raise ConfigError(f"unknown style '{arguments.name}'{nearest(arguments.name, styles)}")
    values = msgspec.to_builtins(styles[arguments.name])
    picture = thumbnail(arguments.name)
    values |= {"thumbnail": str(picture) if picture else None}
    if arguments.json:
        print(json.dumps(values))
        return 0
    for key, value in (values | values.pop("metrics")).items():
        if key != "metrics" and value:
            print(f"{key:20} {value}")
    return 0


def write_swatch(arguments: argparse.Namespace) -> int:
    """Paint a style or a mix from noise into a picture file."""
    from streamstyle.explain.swatch import swatch
    from streamstyle.files import check_format, write_picture
    from streamstyle.nets.generator import restore_generator
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.styles.mix import style_code

    check_format(arguments.out)
    bundle = load_bundle(network_folder(arguments.network))
    code = style_code(bundle, _mixed(arguments.style, arguments.mix))
    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    width, height = arguments.size
    write_picture(arguments.out, swatch(generator, code, height, width, seed=arguments.seed))
    print(f"swatch {arguments.out}")
    return 0


def _mixed(style: str, other: str | None) -> str:
    from streamstyle.errors import ConfigError

    if other is None:
        return style
    name, colon, number = other.partition(":")
    try:
        share = float(number) if colon else 0.5
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"cannot read --mix {other}: write OTHER or OTHER:SHARE with a share of 0 to 1")
    return f"{style}:{1 - share},{name}:{share}"


def write_gallery(arguments: argparse.Namespace) -> int:
    """Write the page of all styles."""
    from streamstyle.explain.gallery import gallery_page
    from streamstyle.files import check_writable, read_picture
    from streamstyle.files.page import write_page
    from streamstyle.nets.generator import restore_generator
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.styles.code_file import own_entries

    check_writable(arguments.out)
    bundle = load_bundle(network_folder(arguments.network))
    if arguments.photo is None:
        sample, name = _rendered_scene(), "a rendered scene"
    else:
        sample, name = read_picture(arguments.photo), arguments.photo.name
    styles = (*bundle.styles, *own_entries(bundle.manifest))
    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    write_page(arguments.out, gallery_page(generator, styles, sample, name))
    print(f"page {arguments.out}")
    return 0


def _rendered_scene() -> Picture:
    """A frame of `test:`, the one picture that comes with the program."""
    from streamstyle.media.open import open_source

    with open_source("test:?seconds=1&size=640x448") as source:
        return next(iter(source)).pixels


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _MAX_SEED):
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 to {_MAX_SEED}, not '{text}'")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    width, height = (int(part) for part in match.groups()) if match else (0, 0)
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise argparse.ArgumentTypeError(f"write WIDTHxHEIGHT, each 1 to {_MAX_SIDE}")
    return width, height
