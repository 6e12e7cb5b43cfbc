"""Show a film with its repair beside the same film without.

python3 tools/repair_sheet.py CLIP [--style NAME] [--frames N] [--at FRAME] -o SHEET.jpg

Paints the clip twice, with `--correct off` and with `--correct repair`. The sheet shows three neighbouring
frames around the one with the most flagged tiles (or FRAME): the film, painted, repaired, and under both
how much each painted frame differs from the one before it, four times enlarged. The last line is one JSON
document: the mean change between neighbouring frames of either film, over the flagged frames.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment
from style_sheet import names_above, small

if TYPE_CHECKING:
    from streamstyle.types import Picture

CELL = (384, 216)
GAIN = 4


def main() -> None:
    """Paint twice, choose, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--style", default="udnie")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--at", type=int, metavar="FRAME", help="middle one of the shown frames")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    environment.enter()
    import numpy as np

    from streamstyle.files import write_picture

    with tempfile.TemporaryDirectory() as folder:
        off, _ = paint(arguments, "off", Path(folder))
        repaired, events = paint(arguments, "repair", Path(folder))
    film = read(arguments.clip, arguments.frames)
    flagged = [event for event in events if event["index"] > 0]
    if not flagged and arguments.at is None:
        raise SystemExit(f"nothing was flagged in {arguments.clip}: name another clip, or a frame by --at")
    middle = (
        arguments.at if arguments.at is not None else max(flagged, key=lambda e: len(e["tiles"]))["index"]
    )
    shown = [i for i in (middle - 1, middle, middle + 1) if 0 < i < len(film)]
    rows = [("the film", [film[i] for i in shown])]
    for name, pictures in (("painted", off), ("repaired", repaired)):
        rows.append((name, [pictures[i] for i in shown]))
        rows.append((f"{name}: change, x {GAIN}", [change(pictures[i - 1], pictures[i]) for i in shown]))
    width = CELL[0] * len(shown)
    sheet = [np.vstack([names_above((n,), width), np.hstack([small(p, CELL) for p in ps])]) for n, ps in rows]
    write_picture(arguments.out, np.vstack(sheet))
    indices = [event["index"] for event in flagged]
    figures = {
        name: round(float(np.mean([np.abs(p[i].astype(int) - p[i - 1]).mean() for i in indices])), 3)
        for name, p in (("painted", off), ("repaired", repaired))
        if indices
    }
    print(json.dumps({"frames": shown, "flagged": len(indices), "mean_change": figures}))


def paint(arguments: argparse.Namespace, correct: str, folder: Path) -> tuple[list[Picture], list[Any]]:
    """Frames of the painted film, and the lines of its event log."""
    from streamstyle.cli.main import main as streamstyle

    film, log = folder / f"{correct}.mkv", folder / f"{correct}.jsonl"
    common = ["--style", arguments.style, "--frames", str(arguments.frames), "--events", str(log)]
    if streamstyle(["run", arguments.clip, str(film), "--correct", correct, *common]):
        raise SystemExit(1)
    return read(str(film), arguments.frames), [json.loads(line) for line in log.read_text().splitlines()]


def read(url: str, count: int) -> list[Picture]:
    """The first `count` frames."""
    from itertools import islice

    from streamstyle.media.open import open_source

    with open_source(url) as source:
        return [frame.pixels for frame in islice(source, count)]


def change(before: Picture, after: Picture) -> Picture:
    """Absolute difference, enlarged."""
    import numpy as np

    difference = np.abs(after.astype(np.int16) - before)
    return np.asarray((GAIN * difference).clip(0, 255), np.uint8)


if __name__ == "__main__":
    main()
