"""Measure every style of a bundle and write the table of docs/styles.md; the last line is one JSON document.

python3 tools/style_table.py                          all styles; rewrites the table
python3 tools/style_table.py --quick                  4 photos, 12 frames of one clip; prints the table only
python3 tools/style_table.py --styles scream udnie    some styles, grid on photos alone; prints the table only
python3 tools/style_table.py --bar               the VGG columns alone; prints them
python3 tools/style_table.py --peer FILE PAINTING     beside them, a classic network for this painting
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment
from picture_bar import DATA, bar_figures, bar_frames, bar_table, face_frames, faces_kept, resized_frames

if TYPE_CHECKING:
    from streamstyle.metrics.diversity import Diversity
    from streamstyle.metrics.perceptual import FeatureNetwork, Grams, Taps
    from streamstyle.types import Picture

ROOT = environment.ROOT
PAGE = ROOT / "docs" / "styles.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
CLIPS = ("sam2_bedroom.mp4", "handheld_rabbit.mp4", "street_car_detection.mp4")
PHOTO_SIDE = 448
NOISE_PHOTOS = 3
GRID_FRAMES = (0, 20, 40)  # of every clip
LONG_GAP = 10


@dataclass(frozen=True)
class Painter:
    """A style to measure. paint: RGB uint8 (H, W, 3), sides multiples of 8, to the same. painting: learnt."""

    name: str
    paint: Callable[[Picture], Picture]
    painting: Picture


@dataclass(frozen=True)
class Photo:
    """A held-out photo, RGB uint8 (PHOTO_SIDE, PHOTO_SIDE, 3), and its features."""

    pixels: Picture
    taps: Taps


def main() -> int:
    """Measure, print, write."""
    environment.enter(extra="dev")
    arguments = _parser().parse_args()
    from streamstyle.errors import StreamStyleError

    try:
        if arguments.bar:
            print("\n".join(bar_table(measure_bar(arguments))))
            return 0
        measured = measure(arguments)
        table = markdown(measured)
        print(table)
        if not (arguments.quick or arguments.styles or arguments.bundle):
            write_between_markers(PAGE, table)
            print(f"wrote {PAGE}")
    except StreamStyleError as error:
        print(f"style_table: {error}", file=sys.stderr)
        return 1
    print(json.dumps(measured))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    features = DATA / "weights" / "squeezenet1_0_features.safetensors"
    parser.add_argument("--bundle", type=Path, help="folder of a style bundle, instead of --network")
    vgg = DATA / "weights" / "vgg19_relu3_1.safetensors"
    parser.add_argument("--network", default="lite", help="a bundled network; default: lite")
    parser.add_argument("--features", type=Path, default=features, help="SqueezeNet features")
    parser.add_argument("--vgg", type=Path, default=vgg, help="VGG-19 features, to relu3_1 at least")
    parser.add_argument("--styles", nargs="+", metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bar", action="store_true")
    parser.add_argument("--peer", nargs=2, type=Path, metavar=("FILE", "PAINTING"))
    return parser


def measure_bar(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """{style: `bar_figures`} of a bundle."""
    from streamstyle.nets.features import load_features
    from streamstyle.styles.bundle import load_bundle, network_folder

    vgg, frames, faces = load_features(arguments.vgg), bar_frames(), face_frames()
    bundle = load_bundle(arguments.bundle or network_folder(arguments.network))
    return {
        p.name: bar_figures(p.paint, p.painting, frames, vgg) | {"faces": faces_kept(p.paint, faces)}
        for p in bundle_painters(bundle, arguments.styles)
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """{"styles": {name: figures}, "clips": {name: figures}, ...}: see `markdown` for their meaning."""
    from streamstyle.files import read_picture
    from streamstyle.metrics import perceptual
    from streamstyle.metrics.diversity import diversity
    from streamstyle.nets.features import load_features
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.train.data import center_square

    features, vgg = load_features(arguments.features), load_features(arguments.vgg)
    bundle = load_bundle(arguments.bundle or network_folder(arguments.network))
    names = _held_out(bundle.manifest.training)[: 4 if arguments.quick else None]
    squares = [center_square(read_picture(DATA / "content" / name), PHOTO_SIDE) for name in names]
    photos = [Photo(square, perceptual.taps(features, square)) for square in squares]
    painters = bundle_painters(bundle, arguments.styles)
    halves: dict[str, tuple[Grams, Grams]] = {}
    figures: dict[str, dict[str, Any]] = {}
    peers = [peer_painter(*arguments.peer)] if arguments.peer else []
    for painter in (*painters, *peers):
        figures[painter.name], halves[painter.name] = photo_figures(painter, photos, features)
    clips = CLIPS[:1] if arguments.quick else CLIPS
    some = arguments.quick or arguments.styles
    frames = bar_frames()
    for painter in (*painters, *peers):
        figures[painter.name] |= bar_figures(painter.paint, painter.painting, frames, vgg)
        print(f"{painter.name}: {figures[painter.name]}", file=sys.stderr)
    by_clip = {clip: clip_figures(clip, (*painters, *peers), 12 if arguments.quick else 48) for clip in clips}
    for name, values in figures.items():
        for key in ("warp_error", f"warp_error_gap{LONG_GAP}"):
            values[key] = sum(by_clip[clip][name][key] for clip in clips) / len(clips)
    for name, excess in grid_excess(() if some else all_clips(), (*painters, *peers)).items():
        figures[name]["grid_excess"] = max(figures[name]["grid_excess"], excess)
    if len(painters) > 1:
        of_bundle = {painter.name: halves[painter.name] for painter in painters}
        _add_diversity(figures, diversity(of_bundle))
    return {
        "bundle": bundle.manifest.name,
        "photos": len(photos),
        "photo_side": PHOTO_SIDE,
        "clips": {clip: by_clip[clip]["original"] for clip in clips},
        "styles": figures,
    }


def _held_out(training: Mapping[str, Any]) -> list[str]:
    from streamstyle.errors import ModelError

    names = [str(name) for name in training.get("held_out", ())]
    names = [name for name in names if (DATA / "content" / name).exists()]  # others are frames of clips
    if len(names) < 2:
        raise ModelError("the manifest names no held-out photos: give a bundle that `train base` published")
    return names


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

    Raises ModelError where the file is no such network.
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


def photo_figures(
    painter: Painter, photos: Sequence[Photo], features: FeatureNetwork
) -> tuple[dict[str, Any], tuple[Grams, Grams]]:
    """Figures of one style on the photos, and the mean Gram matrices of two halves of its paintings."""
    import numpy as np

    from streamstyle.metrics import perceptual as p
    from streamstyle.metrics.colour_distance import sliced_wasserstein_lab
    from streamstyle.metrics.grid import grid_contrast
    from streamstyle.metrics.noise_gain import noise_gain
    from streamstyle.metrics.similarity import edge_similarity, ssim

    target = p.taps(features, painter.painting)
    style = p.grams(target)
    painted = [painter.paint(photo.pixels) for photo in photos]
    taps = [p.taps(features, picture) for picture in painted]
    pixels = [photo.pixels for photo in photos]
    grams = [p.grams(t) for t in taps]

    def style_figures(of: Sequence[Taps], pictures: Sequence[Picture], end: str) -> dict[str, float]:
        vectors = np.concatenate([p.positions(t) for t in of])
        return {
            f"gram{end}": float(np.mean([p.gram_distance(p.grams(t), style) for t in of])),
            f"frechet{end}": p.set_distance(vectors, p.positions(target)),
            f"colour{end}": float(np.mean([sliced_wasserstein_lab(x, painter.painting) for x in pictures])),
        }

    kept = {
        "perceptual": [p.perceptual_distance(a.taps, b) for a, b in zip(photos, taps, strict=True)],
        "ssim": [ssim(a, b) for a, b in zip(pixels, painted, strict=True)],
        "edges": [edge_similarity(a, b) for a, b in zip(pixels, painted, strict=True)],
        "noise_gain": [noise_gain(painter.paint, photo, frames=5) for photo in pixels[:NOISE_PHOTOS]],
    }
    figures = style_figures(taps, painted, "") | style_figures([x.taps for x in photos], pixels, "_photo")
    figures |= {name: float(np.mean(values)) for name, values in kept.items()}
    grids = [grid_contrast(picture) for picture in painted]
    over = [grid - grid_contrast(photo) for grid, photo in zip(grids, pixels, strict=True)]
    figures |= {"grid_contrast": float(np.mean(grids)), "grid_excess": max(over)}
    half = len(grams) // 2 * 2
    return figures, (p.mean_grams(grams[0:half:2]), p.mean_grams(grams[1:half:2]))


def clip_figures(clip: str, painters: Sequence[Painter], frames: int) -> dict[str, dict[str, float]]:
    """{"original" or style: {"warp_error", "warp_error_gap10"}} on the first frames of a clip."""
    from streamstyle.metrics.warp_error import WarpError

    short, long = WarpError(), WarpError(LONG_GAP)
    names = ("original", *(painter.name for painter in painters))
    for pixels in resized_frames(DATA / "video" / "clips" / clip, frames):
        films = [painter.paint(pixels) for painter in painters]
        short.add(pixels, *films)
        long.add(pixels, *films)
    print(f"{clip}: done", file=sys.stderr)
    return {
        name: {"warp_error": near, f"warp_error_gap{LONG_GAP}": far}
        for name, near, far in zip(names, short.means(), long.means(), strict=True)
    }


def all_clips() -> list[str]:
    """The file names of every clip, in order."""
    return sorted(path.name for path in (DATA / "video" / "clips").iterdir())


def grid_excess(clips: Sequence[str], painters: Sequence[Painter]) -> dict[str, float]:
    """{style: by how much its grid contrast exceeds the input's, at most, on some frames of the clips}."""
    from streamstyle.metrics.grid import grid_contrast

    excess = {painter.name: float("-inf") for painter in painters}
    for clip in clips:
        for index, pixels in enumerate(resized_frames(DATA / "video" / "clips" / clip, GRID_FRAMES[-1] + 1)):
            if index not in GRID_FRAMES:
                continue
            floor = grid_contrast(pixels)
            for painter in painters:
                over = grid_contrast(painter.paint(pixels)) - floor
                excess[painter.name] = max(excess[painter.name], over)
    return excess


def _add_diversity(figures: Mapping[str, dict[str, Any]], found: Diversity) -> None:
    for name, spread in zip(found.names, found.spread, strict=True):
        other, distance = found.nearest(name)
        figures[name] |= {"nearest": other, "nearest_distance": distance, "spread": float(spread)}


def markdown(measured: Mapping[str, Any]) -> str:
    """The measured figures as two tables and a sentence."""
    styles = measured["styles"]
    lines = [
        *bar_table(styles),
        "",
        f"{measured['photos']} photos, {len(measured['clips'])} clips, bundle `{measured['bundle']}`.",
        "",
        "| style | Gram | Fréchet | colours | perceptual | SSIM | edges | grid | E_warp | noise | nearest |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(name, values) for name, values in styles.items()),
        "",
        "The clips themselves, which is the floor of E_warp:",
        "",
        "| clip | E_warp |",
        "|---|---|",
    ]
    for clip, values in measured["clips"].items():
        lines.append(f"| {clip} | {_warp_cell(values)} |")
    alone = {name: v for name, v in styles.items() if "nearest" in v}
    if alone:
        name, closest = min(alone.items(), key=lambda item: item[1]["nearest_distance"])
        widest = max(v["spread"] for v in alone.values())
        lines += [
            "",
            f"The closest two styles, {name} and {closest['nearest']}, are {closest['nearest_distance']:.3f} "
            f"apart; two halves of one style differ by {widest:.3f} at most.",
        ]
    return "\n".join(lines)


def _row(name: str, values: Mapping[str, Any]) -> str:
    def beside(key: str, digits: int) -> str:
        return f"{values[key]:.{digits}f} ({values[f'{key}_photo']:.{digits}f})"

    nearest = "-"
    if "nearest" in values:
        nearest = f"{values['nearest']} {values['nearest_distance']:.3f} (itself {values['spread']:.3f})"
    cells = [
        name,
        *(beside("gram", 2), beside("frechet", 2), beside("colour", 1)),
        *(f"{values[key]:.2f}" for key in ("perceptual", "ssim", "edges")),
        f"{values['grid_contrast']:.2f} ({values['grid_excess']:+.2f})",
        *(_warp_cell(values), f"{values['noise_gain']:.2f}", nearest),
    ]
    return f"| {' | '.join(cells)} |"


def _warp_cell(values: Mapping[str, float]) -> str:
    return f"{1e3 * values['warp_error']:.2f}, {1e3 * values[f'warp_error_gap{LONG_GAP}']:.2f}"


def write_between_markers(page: Path, table: str) -> None:
    """Put the table between the two markers of the page. Raises ConfigError, SinkError."""
    from streamstyle.errors import ConfigError, SinkError

    try:
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        part = page.with_name(page.name + ".part")
        part.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")
        part.replace(page)
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{page} lacks the lines '{BEGIN}' and '{END}': put them back") from error
    except OSError as error:
        raise SinkError(f"cannot write {page}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
