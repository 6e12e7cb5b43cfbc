"""Measure what it brings that strokes move with the camera: E_warp of films painted with `--canvas still` and
with `--canvas follow`.

python3 tools/canvas_motion.py CLIP... [--network lite] [--styles NAME...] [--frames N]

Paints each clip at 640x360, without repair. Prints a line for each clip: the camera's way in pixels, E_warp
x1000 of the film, and for each style E_warp x1000 on a canvas that stands, and on one that follows."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import environment


def measure(clip: Path, network: str, styles: list[str], frames: int) -> str:
    """The line of one clip, as Markdown."""
    import numpy as np

    from streamstyle.bench.films import read_film
    from streamstyle.engines.open_engine import open_engine
    from streamstyle.engines.request import EngineRequest, NetworkWeights
    from streamstyle.metrics.warp_error import WarpError
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.temporal.camera_motion import CameraMotion
    from streamstyle.types import StyleCondition

    film, _ = read_film(str(clip), frames)
    bundle = load_bundle(network_folder(network))
    weights = NetworkWeights(bundle.manifest.architecture, bundle.weights)
    height, width = film[0].shape[:2]
    engine = open_engine(EngineRequest(height, width, weights, "openvino"))
    codes = [bundle.styles[bundle.names.index(name)].code for name in styles]
    still = [StyleCondition(np.stack([code, code])) for code in codes]
    camera, warp, ways = CameraMotion(), WarpError(), []
    for frame in film:
        ways.append(camera.shift(frame))
        both = [c for one in still for c in (one, replace(one, canvas_shift=ways[-1]))]
        warp.add(frame, *(engine.start(frame, condition).result() for condition in both))
    engine.close()
    own, *errors = (f"{1000 * error:.2f}" for error in warp.means())
    pairs = [f"{stands}, {follows}" for stands, follows in zip(errors[::2], errors[1::2], strict=True)]
    way = np.abs(np.diff(ways, axis=0)).sum(axis=0).max()
    return " | ".join([f"| {clip.stem}", f"{way:.0f}", own, *pairs]) + " |"


def main() -> None:
    """Measure all clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--network", default="lite")
    parser.add_argument("--styles", nargs="+", default=["starry-night", "composition-vii", "udnie"])
    parser.add_argument("--frames", type=int, default=48)
    arguments = parser.parse_args()
    print("| clip | way | film |", " | ".join(arguments.styles), "|")
    print("|---|---|---|" + "---|" * len(arguments.styles))
    for clip in arguments.clips:
        print(measure(clip, arguments.network, arguments.styles, arguments.frames), flush=True)


if __name__ == "__main__":
    environment.enter()
    main()
