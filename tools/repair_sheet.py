"""Show what repair does to faults that are planted in a painted film.

python3 tools/repair_sheet.py CLIP [--style NAME] [--frames N] -o docs/repair.jpg

Paints the clip without repair, plants one fault after the other in the painting (a flickering frame, a
flickering patch, strokes drawn anew, another style in a region, a broken frame), and lets `streamstyle
repair` mend the film, which knows nothing of them. The sheet has a column for each fault: the painting, the
painting with the fault, and the repaired film. The last line is one JSON document: for each fault, the mean
difference to the painting without it in levels, before and after the repair.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import environment
from style_sheet import names_above, small

if TYPE_CHECKING:
    from streamstyle.bench.injections import Film, Injection
    from streamstyle.types import Picture

CELL = (320, 180)
APART = 18  # frames from one fault to the next: longer than what the detector remembers
LENGTH = 3  # frames of a fault


def main() -> None:
    """Paint, plant, repair, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--style", default="starry-night")
    parser.add_argument("--other", default="scream", help="style of the region with another style")
    parser.add_argument("--frames", type=int, default=140)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    environment.enter()
    import numpy as np

    from streamstyle.files import write_picture

    with tempfile.TemporaryDirectory() as folder:
        painted, other = (
            paint(arguments.clip, style, arguments.frames, Path(folder))
            for style in (arguments.style, arguments.other)
        )
        planted, shown = plant(painted, faults(other))
        repaired = repair(arguments.clip, planted, Path(folder))
    columns, figures = [], {}
    for name, at in shown.items():
        cells = [small(film[at], CELL) for film in (painted, planted, repaired)]
        columns.append(np.vstack([names_above((name,), CELL[0]), *cells]))
        figures[name] = [difference(film[at], painted[at]) for film in (planted, repaired)]
    write_picture(arguments.out, np.hstack(columns))
    print(json.dumps(figures))


def faults(other: Film) -> dict[str, Injection]:
    """Faults by what the sheet calls them. other: the film in another style."""
    from streamstyle.bench import injections

    return {
        "the frame flickers": injections.alternating_gain(0.12),
        "a patch flickers": injections.patch_gain(0.12, 0.25),
        "strokes drawn anew": injections.texture(0.12),
        "another style in a region": injections.restyled_patch(0.12, other, list),
        "broken blocks": injections.damage("blocks"),
    }


def plant(painted: Film, of_kinds: dict[str, Injection]) -> tuple[Film, dict[str, int]]:
    """The film with LENGTH frames of every fault, and the frame to show of each."""
    import numpy as np

    film, shown = list(painted), {}
    for number, (name, fault) in enumerate(of_kinds.items()):
        first = APART * (number + 1)
        if first + LENGTH > len(film):
            raise SystemExit(f"{len(film)} frames are too few for {len(of_kinds)} faults")
        found = fault.apply(painted, first, np.random.default_rng(number))
        hit = [at for at in range(first, min(first + APART, len(film))) if found.hit[at]][:LENGTH]
        for at in hit:
            film[at] = found.frames[at]
        shown[name] = hit[0]
    return film, shown


def paint(clip: str, style: str, frames: int, folder: Path) -> Film:
    """Frames of the painted film."""
    from streamstyle.cli.main import main as streamstyle

    film = folder / f"{style}.mkv"
    asked = ["--style", style, "--frames", str(frames), "--correct", "off", "--codec", "ffv1"]
    if streamstyle(["run", clip, str(film), *asked]):
        raise SystemExit(1)
    return read(film)


def repair(clip: str, planted: Film, folder: Path) -> Film:
    """Frames of the film as `streamstyle repair` leaves it."""
    from streamstyle.cli.main import main as streamstyle
    from streamstyle.media.encoding import Encoding
    from streamstyle.media.open import open_sink, open_source

    styled, film = folder / "planted.mkv", folder / "repaired%05d.png"
    with open_source(clip) as source:
        sink = open_sink(str(styled), source.info, Encoding(codec="ffv1"))
        for frame, pixels in zip(source, planted, strict=False):
            sink.write(replace(frame, pixels=pixels))
        sink.close(complete=True)
    if streamstyle(["repair", clip, str(styled), str(film), "--frames", str(len(planted))]):
        raise SystemExit(1)
    return read(film)


def read(film: Path) -> Film:
    """All frames."""
    from streamstyle.media.open import open_source

    with open_source(str(film)) as source:
        return [frame.pixels for frame in source]


def difference(one: Picture, other: Picture) -> float:
    """Mean difference in levels."""
    import numpy as np

    return round(float(np.abs(one.astype(np.int16) - other).mean()), 2)


if __name__ == "__main__":
    main()
