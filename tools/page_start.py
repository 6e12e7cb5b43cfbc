"""Measure how soon the control room shows a picture in headless Chromium; JSON at the end.

python3 tools/page_start.py [--starts 3]

Seconds from the command to the first moving picture in the browser, and to the first painted picture, with
nothing cached (once) and with everything cached (medians); and the processor time until then of the server
with its children. The browser is already open. Other programs make the seconds longer, so the load is
printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import environment
from served_room import browser, processor_time, serving

SCENE = "test:?live=1&size=640x360&rate=30"

WATCH = """
window.seen = { moved: 0, painted: 0 };
const Plain = window.WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      if (typeof data === "string") return;
      const length = new DataView(data).getUint32(0);
      const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      requestAnimationFrame(() => requestAnimationFrame(() => {
        seen.moved ||= Date.now();
        if (facts.style) seen.painted ||= Date.now();
      }));
    });
  }
};
"""


def main() -> int:
    """Measure by the arguments."""
    environment.enter(extra="dev")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--starts", type=int, default=3)
    asked = parser.parse_args()
    from streamstyle.engines.machine import facts

    with tempfile.TemporaryDirectory() as folder:
        start = starts(Path(folder), asked.starts)
    print(json.dumps({**facts(), "load": os.getloadavg()[0], "start_s": start}))
    return 0


def starts(folder: Path, count: int) -> dict[str, Any]:
    """Measure with nothing cached, then with the caches that the first run left."""
    runs = [started(folder) for _ in range(count + 1)]
    cached = {name: round(statistics.median(run[name] for run in runs[1:]), 2) for name in runs[0]}
    return {"nothing_cached": runs[0], "cached": cached}


def started(folder: Path) -> dict[str, float]:
    """Seconds, and seconds of a processor, to something that moves and to the first painted picture."""
    found: dict[str, float] = {}
    with browser(viewport={"width": 1280, "height": 900}, bypass_csp=True) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto("about:blank")
        began = time.time()
        with serving(folder, SCENE) as room:
            page.goto(room.address, wait_until="commit")
            for name in ("moved", "painted"):
                page.wait_for_function(f"window.seen.{name}")
                found[f"{name}_processor"] = round(processor_time(room.pid), 2)
                found[name] = round(page.evaluate(f"window.seen.{name}") / 1000 - began, 2)
    return found


if __name__ == "__main__":
    sys.exit(main())
