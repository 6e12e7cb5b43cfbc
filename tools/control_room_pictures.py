"""Take the pictures of docs/control-room.md: the control room on a desk and on a phone.

    python3 tools/control_room_pictures.py FILM -o docs

Chromium is driven by Playwright; tools/live_peers.py installs the browser.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import environment

CHROMIUM = "/usr/bin/chromium"
TOKEN = "pictures-of-the-control-room"
PORT = 8041
SIZES = {"control-room.jpg": (1200, 800), "control-room-phone.jpg": (390, 844)}
SETTLED = 20.0  # seconds until every style on the wall was painted several times


def main() -> None:
    """Start a control room on the film, look at it in both sizes, write the pictures."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("film")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "streamstyle", "serve", "--address", f"127.0.0.1:{PORT}"]
        command += ["--token", TOKEN, "--set", "style=composition-vii", options.film, "null:"]
        server = subprocess.Popen(command, env=os.environ | {"STREAMSTYLE_HOME": home})
        try:
            _wait_until_it_answers(server)
            _take(options.output)
        finally:
            server.terminate()
            server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the control room did not start")


def _take(folder: Path) -> None:
    import cv2
    import numpy as np
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            page = chromium.new_page(viewport={"width": width, "height": height})
            page.goto(f"http://127.0.0.1:{PORT}/?token={TOKEN}")
            if width > height:
                page.click("#compare")
            page.wait_for_timeout(1000 * SETTLED)
            shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            assert shot is not None
            cv2.imwrite(str(folder / name), shot, [cv2.IMWRITE_JPEG_QUALITY, 88])
            page.close()
        chromium.close()


if __name__ == "__main__":
    main()
