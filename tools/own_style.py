"""How near a style learnt on the frozen network comes to the same style trained with the network.

python3 tools/own_style.py [--styles scream garden ...] [--judge FILE] [--features FILE] [--content DIR]

For each style: forget its code, learn it again from the painting as `streamstyle train --style` does,
beginning from the nearest of the others, and measure both on the held-out photos. The network itself has seen
the painting; one that it has not seen is measured with --painting FILE. --judge are the features to measure
with, others than those that it learnt with. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import environment

DATA = Path(os.environ.get("STREAMSTYLE_DATA", environment.ROOT.parent / "shared" / "data"))


def main() -> None:
    """Learn, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", default="lite")
    parser.add_argument("--styles", nargs="+", default=["scream", "great-wave", "san-giorgio"])
    parser.add_argument("--painting", type=Path, nargs="+", default=[])
    judge = DATA / "weights" / "squeezenet1_0_features.safetensors"
    parser.add_argument("--judge", type=Path, default=judge)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--content", type=Path, help="photos to learn on; default: synthetic pictures")
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    environment.enter()
    import torch

    from streamstyle.nets.features import load_features
    from streamstyle.nets.generator import restore_generator
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.train.data import PictureFolder, read_folder, read_picture
    from streamstyle.train.options import TrainConfig
    from streamstyle.train.own import OWN_STYLE, synthetic_photos, train_own_style
    from streamstyle.train.publish import measure_styles

    bundle = load_bundle(network_folder(arguments.network))
    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    held_out = bundle.manifest.training["held_out"]
    pictures = tuple(read_picture(DATA / "content" / name) for name in held_out)
    photos = PictureFolder(pictures, tuple(held_out), {})
    content = read_folder(arguments.content, min_side=192) if arguments.content else synthetic_photos()
    features, judging = load_features(arguments.features), load_features(arguments.judge)
    config = replace(OWN_STYLE, steps=arguments.steps) if arguments.steps else OWN_STYLE
    paintings = dict(zip(bundle.names, bundle.manifest.training["styles"], strict=True))
    jobs = [(name, DATA / "styles" / paintings[name]) for name in arguments.styles]
    jobs += [(path.stem, path) for path in arguments.painting]
    results = {}
    for name, path in jobs:
        others = replace(bundle, styles=tuple(s for s in bundle.styles if s.name != name))
        picture = read_picture(path)
        started = time.perf_counter()
        own = train_own_style(picture, others, features, content, config=config)
        seconds = time.perf_counter() - started
        trained = [s.code for s in bundle.styles if s.name == name]
        codes = torch.stack([torch.from_numpy(code) for code in (own.code, *trained)])
        measured = measure_styles(generator, codes, TrainConfig(), photos, [picture] * len(codes), judging)
        results[name] = {
            "seconds": round(seconds),
            "began_from": own.began_from,
            "own": measured[0],
            **({"base": measured[1]} if trained else {}),
        }
        if trained:
            ratio = measured[0]["style_loss"] / measured[1]["style_loss"]
            results[name]["ratio"] = round(ratio, 3)
        print(name, results[name], flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
