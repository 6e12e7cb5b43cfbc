"""Set up, stylize a scene that streamstyle renders itself, and leave pictures to look at.

python3 tools/demo.py [OUT]      leaves OUT/streamstyle-demo.mp4 and OUT/streamstyle-demo.png
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import environment

SOURCE = "test:?seconds=10"
STYLE = "composition-vii"
SHEET_COLUMNS = 4


def main() -> int:
    """Run the main job and make its contact sheet."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=Path(), metavar="OUT")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    video, sheet = folder / "streamstyle-demo.mp4", folder / "streamstyle-demo.png"
    run = [sys.executable, "-m", "streamstyle", "run", SOURCE, str(video), "--style", STYLE]
    done = subprocess.run(run, check=False)
    if done.returncode == 0:
        write_sheet(video, sheet)
        print(f"sheet     {sheet}")
    return done.returncode


def write_sheet(video: Path, sheet: Path) -> None:
    """Source frames above the styled ones, at `SHEET_COLUMNS` moments of the film."""
    import cv2
    import numpy as np

    from streamstyle.media.open import open_source

    rows = []
    for url in (SOURCE, str(video)):
        with open_source(url) as source:
            last = source.info.frames - 1
            wanted = {round((column + 0.5) * last / SHEET_COLUMNS) for column in range(SHEET_COLUMNS)}
            rows.append(np.hstack([frame.pixels for frame in source if frame.index in wanted]))
    cv2.imwrite(str(sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    sys.exit(main())
