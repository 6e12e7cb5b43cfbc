"""Measure the effect of `--consistency 1` on a network that flickers, by the scores of Lai et al. 2018.

python3 tools/steadiness.py CLIP... [--bundle DIR] [--styles NAME...] [--frames N] [--consistency C]

Paints each clip at 640x360 frame by frame, and again stabilised; prints D_t = 1 - E_warp / E_warp of the
plain film, the perceptual distance between the two, and the ratios of sharpness and contrast. --bundle names
the network, by default the bundled one; docs/training.md says how to train one without the temporal losses.
The last line is one JSON document."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from streamstyle.styles.bundle import StyleBundle

NAMES = ("steadier", "perceptual_to_reference", "sharpness_to_reference", "contrast_to_reference")


def measure(
    clip: Path, bundle: StyleBundle, styles: list[str], frames: int, consistency: float
) -> dict[str, dict[str, float]]:
    """Figures of one clip by style."""
    from streamstyle.bench.films import read_film, stabilised
    from streamstyle.engines.open_engine import NetworkOpener, open_engine, paint_all
    from streamstyle.engines.request import EngineRequest, NetworkWeights
    from streamstyle.metrics.comparison import Comparison
    from streamstyle.nets.features import load_features
    from streamstyle.pipeline.model import Model
    from streamstyle.styles.mix import condition_codes
    from streamstyle.types import StyleCondition

    film, fps = read_film(str(clip), frames)
    found = {}
    for style in styles:
        codes = condition_codes(bundle, style, None)
        network = NetworkWeights(bundle.manifest.architecture, bundle.weights)
        asked = EngineRequest(film[0].shape[0], film[0].shape[1], network)
        model = Model(NetworkOpener(), codes, asked=replace(asked, stateful=True), normalises=True)
        height, width = film[0].shape[:2]
        plain = list(paint_all(open_engine(asked), film, StyleCondition(codes)))
        steady = stabilised(film, fps, model.open_engine(height, width), model, consistency)
        comparison = Comparison(load_features())
        for original, reference, styled in zip(film, plain, steady, strict=True):
            comparison.add(original, styled, reference)
        figures = comparison.figures()
        found[style] = {name: round(figures[name], 4) for name in NAMES}
        print(f"{clip.name:30} {style:16}", *(f"{found[style][name]:8.4f}" for name in NAMES), flush=True)
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--bundle", type=Path, metavar="DIR")
    parser.add_argument("--styles", nargs="+", default=["starry-night", "udnie"], metavar="NAME")
    parser.add_argument("--frames", type=int, default=60, metavar="N")
    parser.add_argument("--consistency", type=float, default=1.0, metavar="C")
    arguments = parser.parse_args()
    from streamstyle.styles.bundle import BUNDLED, load_bundle

    bundle = load_bundle(arguments.bundle or BUNDLED)
    print(" " * 47, *(f"{name[:8]:>8}" for name in NAMES))
    by_clip = {
        clip.name: measure(clip, bundle, arguments.styles, arguments.frames, arguments.consistency)
        for clip in arguments.clips
    }
    every = [figures for styles in by_clip.values() for figures in styles.values()]
    means = {name: round(sum(f[name] for f in every) / len(every), 4) for name in NAMES}
    print(f"{'mean':47}", *(f"{means[name]:8.4f}" for name in NAMES))
    print(json.dumps({"clips": by_clip, "mean": means}))


if __name__ == "__main__":
    environment.enter()
    main()
