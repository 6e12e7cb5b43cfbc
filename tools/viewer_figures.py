"""Measure the age of frames in a browser, and the cost of viewers for the run; JSON at the end.

python3 tools/viewer_figures.py [--seconds 20] [--viewers 3]

Age: from the capture of a frame to its being shown, milliseconds, by WebSocket (the page's picture) and by
WebRTC (WHEP), both in headless Chromium on this machine. A film of 640x360 at 30 fps has its frame number in
a stripe that is not painted; the rest is.
Cost: painted frames a second of the same film at 240 fps, and the server's processor time a frame, with no
viewer, one page, ... and one WebRTC player.
The browser uses the same processors. Other programs make ages longer, so the load is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.request
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment
from served_room import browser, processor_time, serving

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext
    from served_room import ServedRoom

BITS = 9
"""Bits of the frame number in the stripe; they limit the length of the film."""

SIZE = (640, 360)
STRIPE = 40
"""Pixels; BITS + 1 cells side by side, the first one white."""

REGION = f"rect:0,0,{SIZE[0]},{STRIPE + 8}"
SETTLING_SECONDS = 3.0
"""Seconds that a viewer gets before it is measured."""

OPTIONS = ("--style", "udnie", "--set", "region_style=original", "--set", "region_feather=0")

WATCH = """
window.captured = {};
window.thumbnails = 0;
window.ages = { websocket: [], webrtc: [] };
const Plain = window.WebSocket, waiting = [];
const aged = (way, at, shown) => { if (at) ages[way].push(shown - 1000 * at); };
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      if (typeof data === "string") thumbnails += JSON.parse(data).thumbnails.length;
      if (typeof data === "string") return;
      const length = new DataView(data).getUint32(0);
      const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      captured[facts.index % NUMBERS] = facts.captured_at;
      waiting.push(facts);
    });
  }
  send(text) {  // the page asks for one more picture when it has drawn one
    super.send(text);
    const drawn = text === '{"credit":1}' ? waiting.shift() : null;
    if (drawn?.style) requestAnimationFrame(() => aged("websocket", drawn.captured_at, Date.now()));
  }
};
window.play = async () => {
  const peer = new RTCPeerConnection(), video = document.createElement("video");
  Object.assign(video, { muted: true, autoplay: true });
  video.style = "position: fixed; inset: 0; width: 320px; z-index: 99";
  document.body.append(video);
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]); };
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise(done => { peer.onicecandidate = ({ candidate }) => { if (!candidate) done(); }; });
  const token = new URLSearchParams(location.search).get("token");
  const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` };
  const answer = await fetch("/whep", { method: "POST", body: peer.localDescription.sdp, headers });
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  const context = new OffscreenCanvas(CELLS, 1).getContext("2d", { willReadFrequently: true });
  const look = (_, { expectedDisplayTime }) => {
    const width = video.videoWidth / CELLS;
    for (let i = 0; i < CELLS; i++)
      context.drawImage(video, (i + 0.5) * width - 8, STRIPE / 2 - 8, 16, 16, i, 0, 1, 1);
    const cells = context.getImageData(0, 0, CELLS, 1).data;
    let number = 0;
    for (let i = 1; i < CELLS; i++) number = 2 * number + (cells[4 * i] > 127 ? 1 : 0);
    if (cells[0] > 127) aged("webrtc", captured[number], performance.timeOrigin + expectedDisplayTime);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
};
"""


def main() -> int:
    """Measure by the arguments."""
    environment.enter(extra="dev")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of each measurement")
    parser.add_argument("--viewers", type=int, default=3, help="most pages at once")
    asked = parser.parse_args()
    from streamstyle.engines.machine import facts

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "age_ms": ages(folder, asked.seconds),
            "cost": costs(folder, asked.seconds, asked.viewers),
        }
    print(json.dumps({**facts(), "load": os.getloadavg()[0], **found}))
    return 0


def write_film(path: Path, rate: int) -> None:
    """The rendered scene with each frame's number in its stripe."""
    import av

    from streamstyle.media.open import open_source

    count = 2**BITS
    scene = f"test:?seconds={count / 30}&size={SIZE[0]}x{SIZE[1]}&rate=30"
    with open_source(scene) as source, av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", Fraction(rate), options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, frame in zip(range(count), source, strict=False):
            pixels = frame.pixels.copy()
            for cell in range(BITS + 1):
                bright = cell == 0 or number >> (BITS - cell) & 1
                edges = (cell * SIZE[0] // (BITS + 1), (cell + 1) * SIZE[0] // (BITS + 1))
                pixels[:STRIPE, slice(*edges)] = 255 if bright else 0
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24")
            picture.pts, picture.time_base = number, Fraction(1, rate)
            film.mux(stream.encode(picture))
        film.mux(stream.encode())


def ages(folder: Path, seconds: float) -> dict[str, Any]:
    """Percentiles of the age by way: of the first and the last half as well, so that growth shows."""
    film = folder / "film-30.mp4"
    write_film(film, 30)
    with served(folder, film) as room, looking() as context:
        page = context.new_page()
        page.add_init_script(_watch())
        page.goto(room.address)
        page.wait_for_function("ages.websocket.length")
        page.evaluate("play()")
        page.wait_for_function("ages.webrtc.length")
        page.wait_for_timeout(1000 * SETTLING_SECONDS)
        page.evaluate("ages.websocket = []; ages.webrtc = []")
        page.wait_for_timeout(1000 * seconds)
        found: dict[str, list[float]] = page.evaluate("ages")
    return {way: _percentiles(values) for way, values in found.items()}


def _watch() -> str:
    return (
        WATCH.replace("NUMBERS", str(2**BITS)).replace("CELLS", str(BITS + 1)).replace("STRIPE", str(STRIPE))
    )


def _percentiles(values: list[float]) -> dict[str, float]:
    import numpy as np

    half = len(values) // 2
    return {
        "frames": len(values),
        **{f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95, 99)},
        "p50_first_half": round(float(np.median(values[:half])), 1),
        "p50_last_half": round(float(np.median(values[half:])), 1),
    }


def costs(folder: Path, seconds: float, viewers: int) -> list[dict[str, Any]]:
    """Measure painting with this many pages, and with one WebRTC player."""
    film, watch = folder / "film-240.mp4", _watch()
    write_film(film, 240)
    found = []
    with served(folder, film) as room, looking() as context:
        _wait_until_painted(room)
        for pages in range(viewers + 1):
            if pages:
                page = context.new_page()
                page.add_init_script(watch)
                page.goto(room.address)
                # The wall's engine may be compiled first; the stand-ins that come at once are as many as it.
                page.wait_for_function(
                    "(n => n && thumbnails > 2 * n)(document.querySelectorAll('#wall .tile').length)"
                )
            found.append({"pages": pages, "webrtc": 0, **_throughput(room, seconds)})
        for page in context.pages:
            page.close()
        page = context.new_page()
        page.add_init_script(watch)
        page.goto(room.address.replace("/?", "/status.json?"))  # a page that asks for no pictures
        page.evaluate("play()")
        found.append({"pages": 0, "webrtc": 1, **_throughput(room, seconds)})
    return found


def _throughput(room: ServedRoom, seconds: float) -> dict[str, float]:
    time.sleep(SETTLING_SECONDS)
    began, spent, left = time.monotonic(), processor_time(room.pid), _run(room)["frames_out"]
    time.sleep(seconds)
    frames = _run(room)["frames_out"] - left
    return {
        "fps": round(frames / (time.monotonic() - began), 2),
        "processor_ms_a_frame": round(1e3 * (processor_time(room.pid) - spent) / max(frames, 1), 2),
    }


def _run(room: ServedRoom) -> dict[str, Any]:
    with urllib.request.urlopen(room.address.replace("/?", "/status.json?"), timeout=60) as answer:
        return dict(json.load(answer)["run"] or {})


def _wait_until_painted(room: ServedRoom) -> None:
    while _run(room).get("engine", {}).get("name") in {None, "passthrough"}:
        time.sleep(0.5)


def served(folder: Path, film: Path) -> AbstractContextManager[ServedRoom]:
    """A control room that paints the film below its stripe."""
    return serving(folder, *OPTIONS, "--set", f"region={REGION}", str(film))


def looking() -> AbstractContextManager[BrowserContext]:
    """A browser whose pages may be watched from inside."""
    return browser(viewport={"width": 1280, "height": 900}, bypass_csp=True)


if __name__ == "__main__":
    sys.exit(main())
