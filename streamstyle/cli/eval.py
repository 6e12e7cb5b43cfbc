"""`streamstyle eval ORIGINAL STYLED`"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamstyle.cli.numbers import positive_int

if TYPE_CHECKING:
    from streamstyle.metrics.comparison import Comparison
    from streamstyle.types import Picture

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_MIN_SIDE = 64
# Strokes are compared at the size at which the bundled network learnt them.
_PAINTING_SIDE = 512

# The meaning of each figure, in the order of the report.
_LINES = {
    "ssim": "structural similarity to the original, 1 is equal",
    "psnr": "dB to the original",
    "edge_similarity": "of the gradients, 1 is equal",
    "sharpness_ratio": "detail over the original's, below 1 is blurred",
    "contrast_ratio": "contrast over the original's, below 1 is flattened",
    "grid_contrast": "checkerboard, photos have .03 to .06",
    "perceptual_distance": "of features to the original's",
    "style_distance": "relative Gram error to the painting",
    "frechet_distance": "of the sets of features to the painting, relative",
    "colour_distance": "of the Lab colours to the painting",
    "warp_error": "between frames, along the original's motion",
    "warp_error_gap10": "the same over 10 frames",
    "warp_error_reference": "of the reference",
    "steadier": "D_t: share of the reference's warping error that is gone",
    "steadier_gap10": "the same over 10 frames",
    "perceptual_to_reference": "of features to the reference's",
    "sharpness_to_reference": "detail over the reference's, below 1 is blurred",
    "contrast_to_reference": "contrast over the reference's, below 1 is flattened",
    "flicker": "levels of brightness from frame to frame beyond the original's",
}


def add_command(commands: Any) -> None:
    """Declare `eval` and its options."""
    parser = commands.add_parser(
        "eval",
        help="measure a styled picture or film against its original",
        description="Both are pictures, or both are videos with the same frames in the same size.",
    )
    parser.add_argument("original", metavar="ORIGINAL")
    parser.add_argument("styled", metavar="STYLED")
    parser.add_argument("--style-picture", type=Path, metavar="PAINTING", help="measure the style against it")
    parser.add_argument(
        "--reference",
        metavar="FILE",
        help="film that STYLED was repaired from: measures the gain in stability and its price",
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help="safetensors of SqueezeNet features; default: the bundled ones",
    )
    parser.add_argument("--frames", type=positive_int, metavar="N", help="stop after N frames")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Measure, and print the result."""
    from tqdm import tqdm

    from streamstyle.files import read_picture
    from streamstyle.metrics.comparison import Comparison
    from streamstyle.nets.features import load_features
    from streamstyle.train.data import resize_to_area

    features = load_features(arguments.features)
    painting = None
    if arguments.style_picture is not None:
        painting = resize_to_area(read_picture(arguments.style_picture), _PAINTING_SIDE)
    comparison = Comparison(features, painting)
    beside = [] if arguments.reference is None else [arguments.reference]
    sets = frame_sets(arguments.original, arguments.styled, *beside, limit=arguments.frames)
    frames = 0
    for pictures in tqdm(sets, unit=" frames", disable=not sys.stderr.isatty()):
        comparison.add(*pictures)
        frames += 1
    report = _report(arguments, comparison, frames)
    print(json.dumps(report) if arguments.json else _text(report))
    return 0


def frame_sets(*urls: str, limit: int | None) -> Iterator[tuple[Picture, ...]]:
    """The frames of all files, in order. Raises ConfigError if they do not belong together, SourceError."""
    from streamstyle.errors import ConfigError

    if len({_is_picture(url) for url in urls}) > 1:
        raise ConfigError("one input is a picture and another a video: give two pictures or two videos.")
    for index, found in enumerate(zip_longest(*(_frames_of(url, limit) for url in urls))):
        pictures = {url: picture for url, picture in zip(urls, found, strict=True) if picture is not None}
        for url in urls:
            if url not in pictures:
                raise ConfigError(
                    f"{url} ends after {index} frames and {next(iter(pictures))} goes on: give a film and "
                    f"its styled film whole, or compare their first frames with --frames {index}."
                )
        (first, height, width), *rest = ((url, *picture.shape[:2]) for url, picture in pictures.items())
        for url, other_height, other_width in rest:
            if (other_height, other_width) != (height, width):
                raise ConfigError(
                    f"{first} is {width}x{height} and {url} is {other_width}x{other_height}: both "
                    f"must have the same size."
                )
        if min(height, width) < _MIN_SIDE:
            raise ConfigError(f"{first} is {width}x{height}: the measures need {_MIN_SIDE} pixels a side.")
        yield tuple(pictures[url] for url in urls)


def _is_picture(url: str) -> bool:
    return Path(url).suffix.lower() in _PICTURES


def _frames_of(url: str, limit: int | None) -> Iterator[Picture]:
    from streamstyle.files import read_picture
    from streamstyle.media.open import open_source

    if _is_picture(url):
        yield read_picture(Path(url))
        return
    with open_source(url) as source:
        for frame in islice(source, limit):
            yield frame.pixels


def _report(arguments: argparse.Namespace, comparison: Comparison, frames: int) -> dict[str, Any]:
    figures = {name: _significant(value) for name, value in comparison.figures().items()}
    notes = []
    if arguments.style_picture is None:
        notes.append("distances to the painting are left out: give --style-picture PAINTING.")
    return {
        "original": arguments.original,
        "styled": arguments.styled,
        "reference": arguments.reference,
        "frames": frames,
        "figures": figures,
        "notes": notes,
    }


def _significant(value: float) -> float | None:
    """Four significant digits; None for infinity, which JSON lacks (PSNR of equal pictures)."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _text(report: dict[str, Any]) -> str:
    figures = report["figures"]
    lines = [f"{report['frames']} frames of {report['styled']} against {report['original']}"]
    for name, meaning in _LINES.items():
        if name in figures:
            of_original = figures.get(f"{name}_original")
            beside = "" if of_original is None else f" (original {of_original:g})"
            value = "infinite" if figures[name] is None else f"{figures[name]:g}"
            lines.append(f"{name:23} {value:>9}{beside:22} {meaning}")
    return "\n".join([*lines, *(f"note: {note}" for note in report["notes"])])
