"""Measure how many warm-up frames a segment needs to join the previous one.

python3 tools/warm_up.py CLIPS... [--consistency 0..1] [--frames N] [--side PIXELS] [--every N]

Paints each clip once as a whole, and then from its middle on after a number of warm-up frames. Prints, for
each number, the share of frames that are equal bit for bit, and the least PSNR of the others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from streamstyle.types import Picture

TRIED = (0, 1, 2, 4, 8, 16, 24, 32, 48, 64, 96)
CAP = 99.0
"""dB of equal frames in the table."""


def main() -> int:
    """Paint and compare."""
    environment.enter(extra="dev")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--consistency", type=float, default=0.0)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    for clip in asked.clips:
        print(json.dumps({"clip": clip.rpartition("/")[2]} | measured(clip, asked)), flush=True)
    return 0


def measured(clip: str, asked: argparse.Namespace) -> dict[str, object]:
    """The share of equal frames after the join and the least PSNR, by number of frames before it."""
    import cv2
    import numpy as np

    from streamstyle.config import RunConfig
    from streamstyle.media.open import open_source
    from streamstyle.pipeline.chain import chain_opener
    from streamstyle.pipeline.job import Job
    from streamstyle.pipeline.model import load_model
    from streamstyle.pipeline.run_hooks import RunHooks
    from streamstyle.types import Frame

    with open_source(clip) as source:
        info = source.info
        scale = asked.side / max(info.width, info.height)
        size = round(info.width * scale / 2) * 2, round(info.height * scale / 2) * 2
        frames = [
            replace(f, pixels=np.asarray(cv2.resize(f.pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
            for f in islice(source, asked.frames)
        ]
    info = replace(info, width=size[0], height=size[1])
    config = RunConfig(network="lite", consistency=asked.consistency, every=asked.every)
    model = load_model(config)

    def painted(part: Sequence[Frame]) -> list[Picture]:
        with ExitStack() as stack:
            chain = chain_opener(Job(clip, ("null:",)), config, model, RunHooks())(stack, info, None)
            return [frame.pixels.copy() for frame in chain.process(part)]

    whole, middle = painted(frames), len(frames) // 2
    found = {}
    for before in TRIED:
        if before > middle:
            break
        part = painted(frames[middle - before :])[before:]
        levels = [psnr(one, other) for one, other in zip(part, whole[middle:], strict=True)]
        equal = sum(level == CAP for level in levels) / len(levels)
        found[before] = [round(equal, 3), round(min(levels), 1), round(levels[0], 1)]
    return {"frames": len(frames), "warm_up": found}


def psnr(one: Picture, other: Picture) -> float:
    """PSNR in dB; CAP where both are equal."""
    import numpy as np

    error = float(np.mean((one.astype(np.float32) - other) ** 2))
    return CAP if error == 0 else min(10 * np.log10(255**2 / error), CAP - 1)


if __name__ == "__main__":
    sys.exit(main())
