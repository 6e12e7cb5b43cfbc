"""Measure how near a style learnt on the frozen network comes to the same style trained with the network.

python3 tools/own_style.py [--styles scream woodcut ...] [--judge FILE] [--features FILE] [--content DIR]

For each style: forget its code, learn it again from the painting as `streamstyle train --style` does,
beginning from the nearest of the others, and measure both on the held-out photos. The network itself has seen
the painting; one that it has not seen is measured with --painting FILE, and compared with --taught BUNDLE, a
network that learnt it as well (docs/training.md says how). --judge are the features to measure with,
others than those that it learnt with. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment

if TYPE_CHECKING:
    from torch import Tensor

    from streamstyle.nets.features import PerceptualFeatures
    from streamstyle.styles.bundle import StyleBundle
    from streamstyle.train.data import PictureFolder

DATA = Path(os.environ.get("STREAMSTYLE_DATA", environment.ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class Exam:
    """Everything that styles are learnt with and measured with."""

    bundle: StyleBundle
    taught: StyleBundle
    features: PerceptualFeatures
    judge: PerceptualFeatures
    content: PictureFolder
    held_out: PictureFolder
    steps: int | None

    def learn(self, name: str, picture: str) -> dict[str, Any]:
        """Learn one style without its own code in reach; figures of it and of the one trained in the base."""
        import torch

        from streamstyle.train.drawn import read_style
        from streamstyle.train.own import OWN_STYLE, train_own_style

        others = replace(self.bundle, styles=tuple(s for s in self.bundle.styles if s.name != name))
        config = replace(OWN_STYLE, steps=self.steps) if self.steps else OWN_STYLE
        pixels = read_style(DATA / "styles", picture)
        started = time.perf_counter()
        own = train_own_style(pixels, others, self.features, self.content, config=config)
        seconds = round(time.perf_counter() - started)
        measured = self._measure(self.bundle, torch.from_numpy(own.code), picture)
        result: dict[str, Any] = {"seconds": seconds, "began_from": own.began_from, "own": measured}
        known = dict(zip(self.taught.manifest.training["styles"], self.taught.styles, strict=True))
        if picture in known:
            trained = self._measure(self.taught, torch.from_numpy(known[picture].code), picture)
            ratio = round(measured["style_loss"] / trained["style_loss"], 3)
            result |= {"base": trained, "ratio": ratio}
        return result

    def _measure(self, bundle: StyleBundle, code: Tensor, picture: str) -> dict[str, float]:
        from streamstyle.nets.generator import restore_generator
        from streamstyle.train.drawn import read_style
        from streamstyle.train.options import TrainConfig
        from streamstyle.train.publish import measure_styles

        generator = restore_generator(bundle.manifest.architecture, bundle.weights)
        painting = [read_style(DATA / "styles", picture)]
        options = TrainConfig(style_layers=self.judge.style_layers, content_layer=self.judge.content_layer)
        (measured,) = measure_styles(generator, code[None], options, self.held_out, painting, self.judge)
        return measured


def main() -> None:
    """Learn, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", default="lite")
    parser.add_argument("--styles", nargs="*", default=["scream", "great-wave", "woodcut"])
    parser.add_argument("--painting", type=Path, nargs="+", default=[])
    parser.add_argument("--taught", type=Path, metavar="BUNDLE")
    judge = DATA / "weights" / "vgg19_relu3_1.safetensors"
    parser.add_argument("--judge", type=Path, default=judge)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--content", type=Path, help="photos to learn on; default: synthetic pictures")
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    environment.enter()
    from streamstyle.files import read_picture
    from streamstyle.nets.features import BUNDLED_VGG, load_features
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.train.data import PictureFolder, read_folder
    from streamstyle.train.own import synthetic_photos

    bundle = load_bundle(network_folder(arguments.network))
    photos = DATA / "content"
    held_out = [name for name in bundle.manifest.training["held_out"] if (photos / name).exists()]
    pictures = tuple(read_picture(photos / name) for name in held_out)
    exam = Exam(
        bundle=bundle,
        taught=load_bundle(arguments.taught) if arguments.taught else bundle,
        features=load_features(arguments.features or BUNDLED_VGG),
        judge=load_features(arguments.judge),
        content=read_folder(arguments.content, min_side=192) if arguments.content else synthetic_photos(),
        held_out=PictureFolder(pictures, tuple(held_out), {}),
        steps=arguments.steps,
    )
    paintings = dict(zip(bundle.names, bundle.manifest.training["styles"], strict=True))
    jobs = {name: paintings[name] for name in arguments.styles}
    results = {}
    for name, picture in (jobs | {path.stem: str(path.absolute()) for path in arguments.painting}).items():
        results[name] = exam.learn(name, picture)
        print(name, results[name], flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
