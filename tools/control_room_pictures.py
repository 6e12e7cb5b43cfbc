"""Take the pictures of docs/control-room.md: the control room on a desk and on a phone.

    python3 tools/control_room_pictures.py FILM -o docs

Chromium is driven by Playwright; tools/live_peers.py installs the browser.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import environment
from served_room import browser, serving

SIZES = {"control-room.jpg": (1200, 800), "control-room-phone.jpg": (390, 844)}
SETTLING_SECONDS = 20.0  # seconds until every style on the wall was painted several times


def main() -> None:
    """Start a control room on the film, look at it in both sizes, write the pictures."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("film")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = str(Path(options.film).resolve())
        with serving(Path(folder), "--style", "composition-vii", film, "null:") as room:
            _take(room.address, options.output)


def _take(address: str, folder: Path) -> None:
    import cv2
    import numpy as np

    for name, (width, height) in SIZES.items():
        with browser(viewport={"width": width, "height": height}) as context:
            page = context.new_page()
            page.goto(address)
            if width > height:
                page.click("#compare")
            page.wait_for_timeout(1000 * SETTLING_SECONDS)
            shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            assert shot is not None
            cv2.imwrite(str(folder / name), shot, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
