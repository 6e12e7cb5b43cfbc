"""Print digests of the output of runs, to show that a change of the code changes no frame and no event.

python3 tools/output_digest.py [--frames 24] [--engine openvino] [--network lite] [--clips DIR] [--only TEXT]

Paints three real clips in two styles each, and one of them once in every way of painting frames (consistency,
keyframes, a smaller size, tiles, a region, the film's own colours, an overlay, the flash guard). Repairs a
film that pulses, so that there are events. Prints one line a run: the digest of its frames (index, time
stamp, every byte of the picture), that of its event log, and how many frames and events there were. Neither
holds a clock time. Run it before and after a change, on the same machine, and compare the lines.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import environment

CLIPS = ("webcam_asl_book.mkv", "film_friday_1940.mp4", "street_car_detection.mp4")
STYLES = ("starry-night", "scream")
WAYS = (
    "--consistency 0.8",
    "--every 2",
    "--size 320x180",
    "--size 320x180 --every 3 --consistency 0.5",
    "--tile 256x256",
    "--region rect:25%,25%,50%,50% --region-style udnie",
    "--colour keep",
    "--overlay",
    "--flash-guard",
    "--correct off",
)


def main() -> int:
    """Print the digests."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=24, help="of each clip (default 24)")
    parser.add_argument(
        "--engine", default="openvino", help="default openvino; torch is the reference, and slow"
    )
    parser.add_argument("--network", default="lite", help="default lite")
    parser.add_argument("--clips", type=Path, default=_clips(), help="where the real clips lie")
    parser.add_argument("--only", default="", help="runs whose line holds this text")
    given = parser.parse_args()
    runs = [(clip, f"--style {style}") for clip in CLIPS for style in STYLES]
    runs += [(CLIPS[0], f"--style {STYLES[1]} {way}") for way in WAYS]
    asked = ("--engine", given.engine, "--network", given.network, "--frames", str(given.frames))
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        for clip, options in runs:
            if given.only in f"run {clip} {options}":
                command = ["run", str(given.clips / clip), "null:", *options.split(), *asked]
                print(f"run {clip} {options}: {digests(command, events)}", flush=True)
        for clip in CLIPS:
            if given.only in f"repair {clip}":
                pulsing = Path(folder) / f"{clip}.mkv"
                pulse(given.clips / clip, pulsing, 3 * given.frames)
                command = ["repair", str(given.clips / clip), str(pulsing), "null:"]
                command += ["--frames", str(3 * given.frames)]
                print(f"repair {clip}: {digests(command, events)}", flush=True)
    return 0


def _clips() -> Path:
    data = os.environ.get("STREAMSTYLE_DATA", environment.ROOT.parent / "shared" / "data")
    return Path(data) / "video" / "clips"


def digests(command: list[str], events: Path) -> str:
    """Digests of one run: frames and events. events: a path for its log."""
    from streamstyle.cli.main import main as streamstyle
    from streamstyle.media.null_sink import NullSink
    from streamstyle.types import Frame

    pictures, frames = hashlib.sha256(), 0

    class DigestSink(NullSink):
        """Takes in every frame that leaves."""

        def write(self, frame: Frame) -> None:
            nonlocal frames
            frames += 1
            pictures.update(f"{frame.index} {frame.pts} {frame.time_base} {frame.pixels.shape}".encode())
            pictures.update(frame.pixels.tobytes())
            super().write(frame)

    with patch("streamstyle.media.open.NullSink", DigestSink), redirect_stdout(io.StringIO()):
        code = streamstyle([*command, "--events", str(events)])
    if code:
        sys.exit(code)
    log = events.read_bytes()
    lines = len(log.splitlines())
    said = hashlib.sha256(log).hexdigest()[:16]
    return f"{frames} frames {pictures.hexdigest()[:16]}, {lines} events {said}"


def pulse(clip: Path, out: Path, frames: int) -> None:
    """Write a painting of the clip that has every fault at times: steps up and down of all and of a part, a
    slow drift, a frame that comes twice, blocks."""
    import numpy as np

    from streamstyle.media.encoding import Encoding
    from streamstyle.media.open import open_sink, open_source

    rng = np.random.default_rng(0)
    with open_source(str(clip)) as source:
        sink = open_sink(str(out), source.info, Encoding(quality=12))
        before = None
        for frame in islice(source, frames):
            painted = 0.75 * frame.pixels[..., ::-1].astype(np.float32) + 16
            step = frame.index % 10
            if step == 5:
                painted *= 1.2
            if step == 7:
                painted[: painted.shape[0] // 2] *= 0.8
            if step == 8:
                painted[::4, : painted.shape[1] // 2] = rng.integers(0, 256)
            painted[..., 0] += 0.4 * frame.index
            pixels = np.clip(painted, 0, 255).astype(np.uint8)
            pixels = before if step == 9 and before is not None else pixels
            before = pixels
            sink.write(replace(frame, pixels=pixels))
        sink.close(complete=True)


if __name__ == "__main__":
    sys.exit(main())
