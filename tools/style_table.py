"""Measure every style of a bundled network and write its table into docs/styles.md.

python3 tools/style_table.py                          all styles of lite; rewrites its table
python3 tools/style_table.py --network full           of full
python3 tools/style_table.py --styles scream udnie    some styles; prints their table
python3 tools/style_table.py --bundle DIR             of another bundle; prints the table
python3 tools/style_table.py --peer FILE PAINTING     beside them, a classic network for this painting
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment
from picture_bar import (
    DATA,
    bar_figures,
    bar_frames,
    bar_table,
    face_frames,
    faces_kept,
    grid_excess,
    warp_errors,
)

if TYPE_CHECKING:
    from streamstyle.types import Picture

PAGE = environment.ROOT / "docs" / "styles.md"


@dataclass(frozen=True)
class Painter:
    """A style to measure."""

    name: str
    """Name of the style."""
    paint: Callable[[Picture], Picture]
    """RGB uint8 (H, W, 3), sides multiples of 8, to the same."""
    painting: Picture
    """The picture that it was learnt from, RGB uint8."""


def main() -> int:
    """Measure, print, write."""
    environment.enter(extra="dev")
    arguments = _parser().parse_args()
    from streamstyle.errors import StreamStyleError

    try:
        table = measure(arguments)
        print(table)
        if not (arguments.styles or arguments.bundle or arguments.peer):
            write_between_markers(PAGE, arguments.network, table)
            print(f"wrote {PAGE}")
    except StreamStyleError as error:
        print(f"style_table: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    vgg = DATA / "weights" / "vgg19_relu3_1.safetensors"
    parser.add_argument("--bundle", type=Path, help="folder of a style bundle, instead of --network")
    parser.add_argument("--network", default="lite", help="a bundled network; default: lite")
    parser.add_argument("--vgg", type=Path, default=vgg, help="VGG-19 features, to relu3_1 at least")
    parser.add_argument("--styles", nargs="+", metavar="NAME")
    parser.add_argument("--peer", nargs=2, type=Path, metavar=("FILE", "PAINTING"))
    return parser


def measure(arguments: argparse.Namespace) -> str:
    """The table of a bundle's styles, see docs/styles.md for the columns."""
    from streamstyle.nets.features import load_features
    from streamstyle.styles.bundle import load_bundle, network_folder

    vgg, frames, faces = load_features(arguments.vgg), bar_frames(), face_frames()
    bundle = load_bundle(arguments.bundle or network_folder(arguments.network))
    painters = bundle_painters(bundle, arguments.styles)
    painters += [peer_painter(*arguments.peer)] if arguments.peer else []
    figures = {
        p.name: bar_figures(p.paint, p.painting, frames, vgg) | {"faces": faces_kept(p.paint, faces)}
        for p in painters
    }
    paints = [painter.paint for painter in painters]
    film, *errors = warp_errors(paints)
    for values, excess, error in zip(figures.values(), grid_excess(paints), errors, strict=True):
        values |= {"grid_excess": excess, "warp_error": error}
    return "\n".join(bar_table(figures, film))


def bundle_painters(bundle: Any, chosen: Sequence[str] | None) -> list[Painter]:
    """The styles of a bundle, all or the chosen ones. Raises ConfigError for an unknown name."""
    import torch

    from streamstyle.errors import ConfigError, nearest
    from streamstyle.nets.generator import paint, restore_generator
    from streamstyle.train.data import resize_to_area
    from streamstyle.train.drawn import read_style

    for name in chosen or ():
        if name not in bundle.names:
            raise ConfigError(f"unknown style '{name}'{nearest(name, bundle.names)}")
    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    side = int(bundle.manifest.training["options"]["style_side"])

    def painter(style: Any, picture: str) -> Painter:
        code = torch.from_numpy(style.code)
        painting = resize_to_area(read_style(DATA / "styles", picture), side)
        return Painter(style.name, lambda pixels: paint(generator, pixels[None], code)[0], painting)

    pictures = bundle.manifest.training["styles"]
    pairs = zip(bundle.styles, pictures, strict=True)
    return [painter(style, picture) for style, picture in pairs if not chosen or style.name in chosen]


def peer_painter(weights: Path, painting: Path) -> Painter:
    """A classic fast style network from a state dict (safetensors, or a .pth of tensors alone).

    Raises ModelError if the file is not such a network.
    """
    import numpy as np
    import torch
    from safetensors.torch import load_file

    from streamstyle.errors import ModelError
    from streamstyle.files import read_picture
    from streamstyle.nets.transformer import TransformerNet
    from streamstyle.train.data import resize_to_area

    network = TransformerNet()
    try:
        if weights.suffix == ".safetensors":
            tensors = load_file(weights)
        else:
            tensors = torch.load(weights, map_location="cpu", weights_only=True)
        # Old files hold statistics that instance normalisation never used.
        used = {k: v.float() for k, v in tensors.items() if not k.endswith(("_mean", "_var", "_tracked"))}
        network.load_state_dict(used)
    except Exception as error:  # torch and safetensors raise many types of their own
        # Not torch's own words: they advise to read the file in a way that can run code.
        raise ModelError(
            f"cannot read {weights}: give the state dict of a classic TransformerNet, safetensors or a .pth"
        ) from error

    def paint(pixels: Picture) -> Picture:
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            y = network(x)[0].round().clamp(0, 255).byte()
        return np.ascontiguousarray(y.permute(1, 2, 0).numpy())

    return Painter(f"peer ({weights.stem})", paint, resize_to_area(read_picture(painting), 512))


def write_between_markers(page: Path, network: str, table: str) -> None:
    """Put the table between the two markers of the network in the page. Raises ConfigError, SinkError."""
    from streamstyle.errors import ConfigError, SinkError

    begin, end = f"<!-- figures of {network} -->", f"<!-- end of figures of {network} -->"
    try:
        before, rest = page.read_text(encoding="utf-8").split(begin)
        after = rest.split(end)[1]
        part = page.with_name(page.name + ".part")
        part.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")
        part.replace(page)
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{page} lacks the lines '{begin}' and '{end}': put them back") from error
    except OSError as error:
        raise SinkError(f"cannot write {page}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
