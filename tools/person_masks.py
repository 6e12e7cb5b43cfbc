"""Measure the accuracy, edge flicker and cost of `--region person`; JSON at the end.

python3 tools/person_masks.py [--sheet SHEET.png] [--peer] [--record]    needs `streamstyle models get person`

The clips are three of a webcam before a bright wall. Ten frames of each have a reference made without a
network: everything that differs from the wall is the person. The wall is the brightest tenth of each pixel
over all clips, interpolated along the row where it is always covered; a pixel differs by 22 of L or 7 of (a,
b), in 8-bit CIELAB of a picture blurred over 3x3; the largest connected part counts, with its holes filled
but for those that show the wall. It was looked at on the thirty frames: --sheet draws it red, and the mask
green.

The flicker is the distance by which the mask's edge moves away and back again within two frames, in pixels
along the edge, where the picture stands still and everywhere. --peer runs the network in mediapipe's own
runtime too, in a separate environment (build/mediapipe, some minutes), and prints the largest difference;
--record keeps its answer to a drawn figure for the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamstyle.types import Picture

CLIPS = ("webcam_asl_book.mkv", "webcam_asl_night.mkv", "webcam_asl_sister.mkv")
COLUMNS = slice(130, 482)  # between the monitor and the board, where there is but the wall behind
LOOKED_AT = 10  # frames of each clip
LIGHT, COLOUR = 22, 7  # differences to the wall that are none of noise and shadow
GAP = 120  # pixels of a hole that may show the wall
STILL = 6  # levels: a picture that differs by less stands still
PEER = environment.ROOT / "build" / "mediapipe"
RECORD = environment.ROOT / "tests" / "person_reference.npz"
ASK_PEER = """
import sys, numpy, mediapipe
given = numpy.load(sys.argv[1])
with mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=1) as network:
    masks = {name: numpy.stack([network.process(p).segmentation_mask.reshape(144, 256) for p in given[name]])
             for name in given.files}
numpy.savez(sys.argv[2], **masks)
"""


def main() -> int:
    """Measure, print, draw."""
    environment.enter(extra="dev")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    data = Path(os.environ.get("STREAMSTYLE_DATA", environment.ROOT.parent / "shared" / "data"))
    films = {name: film(data / "video" / "clips" / name) for name in CLIPS}
    found: dict[str, Any] = {"clips": {}}
    wall = wall_of([frame for frames in films.values() for frame in frames[::4]])
    sheet = []
    for name, frames in films.items():
        alone, steady = masks(frames)
        wanted = {at: reference(frames[at], wall) for at in looked_at(len(frames))}
        figures = {
            "iou_network": overlaps(alone, wanted),
            "iou_region": overlaps(steady, wanted),
            "flicker_network": flicker(alone, frames),
            "flicker_region": flicker(steady, frames),
        }
        print(f"{name:24}", json.dumps(figures), flush=True)
        found["clips"][name] = figures
        sheet += [drawn(frames[at], wanted[at], steady[at]) for at in wanted]
    found["ms"] = cost(films[CLIPS[0]][0])
    if asked.peer or asked.record:
        found["peer"] = against_peer(films, record=asked.record)
    if asked.sheet:
        write_sheet(asked.sheet, sheet)
    print(json.dumps(found))
    return 0


def film(path: Path) -> list[Picture]:
    """All frames."""
    from streamstyle.media.av_source import FileSource

    with FileSource(str(path)) as source:
        return [frame.pixels for frame in source]


def looked_at(frames: int) -> list[int]:
    """Numbers of the frames that have a reference, from the first to the last."""
    return [round(at * (frames - 1) / (LOOKED_AT - 1)) for at in range(LOOKED_AT)]


def network() -> Any:
    """The downloaded network."""
    from streamstyle.engines.person_network import PersonNetwork
    from streamstyle.styles.downloads import PERSON, model_file

    return PersonNetwork(model_file(PERSON))


def region(size: tuple[int, int]) -> Any:
    """`--region person`, and the frame that it takes for a picture."""
    from streamstyle.config import RunConfig
    from streamstyle.pipeline.conditions import region_opener

    opener = region_opener(RunConfig(region="person"))
    assert opener is not None
    return opener(*size)


def framed(pixels: Picture, number: int) -> Any:
    """A frame of 30 a second."""
    from streamstyle.types import Frame

    return Frame(pixels, number, number, Fraction(1, 30), 1, 0.0)


def masks(frames: list[Picture]) -> tuple[list[Picture], list[Picture]]:
    """The network's answers, stretched over the frames, and the region's masks; (H, W), 0..255."""
    import cv2
    import numpy as np

    from streamstyle.engines.person_network import SIZE

    height, width = frames[0].shape[:2]
    people, alone, steady = network(), [], []
    opened = region((height, width))
    for number, pixels in enumerate(frames):
        small = cv2.resize(pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)
        share = cv2.resize(people.foreground(small), (width, height), interpolation=cv2.INTER_LINEAR)
        alone.append((255 * share).round().astype(np.uint8))
        steady.append(opened.mask(framed(pixels, number)))
    return alone, steady


def lab_of(picture: Picture) -> NDArray[np.float32]:
    """8-bit CIELAB of the columns that have the wall behind them."""
    import cv2
    import numpy as np

    blurred = cv2.GaussianBlur(picture, (3, 3), 0)
    return cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB)[:, COLUMNS].astype(np.float32)


def wall_of(frames: list[Picture]) -> NDArray[np.float32]:
    """The wall behind the person, (H, W, 3) in CIELAB."""
    import cv2
    import numpy as np

    stack = np.stack([lab_of(frame) for frame in frames])
    order = np.argsort(stack[..., 0], axis=0)[round(0.9 * (len(stack) - 1))]
    wall: NDArray[np.float32] = np.take_along_axis(stack, order[None, ..., None], axis=0)[0]
    plain = np.median(wall[:6].reshape(-1, 3), axis=0)
    seen = (wall[..., 0] > 150) & (np.hypot(wall[..., 1] - plain[1], wall[..., 2] - plain[2]) < 8)
    covered = cv2.morphologyEx((~seen).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5)))
    covered = cv2.dilate(covered, np.ones((25, 25)))
    columns = np.arange(wall.shape[1])
    for row, hidden in zip(wall, covered, strict=True):
        at = np.flatnonzero(hidden)
        if len(at):
            known = np.flatnonzero((columns < at[0]) | (columns > at[-1]))
            for channel in range(3):
                row[:, channel] = np.interp(columns, known, row[known, channel])
    return wall


def reference(frame: Picture, wall: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The mask of the person, (H, W)."""
    import cv2
    import numpy as np

    apart = np.abs(lab_of(frame) - wall)
    light, colour = apart[..., 0], np.hypot(apart[..., 1], apart[..., 2])
    differs = ((light > LIGHT) | (colour > COLOUR)).astype(np.uint8)
    differs = cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((3, 3)))
    _, parts, facts, _ = cv2.connectedComponentsWithStats(differs)
    person = (parts == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    person = cv2.morphologyEx(np.pad(person, 9), cv2.MORPH_CLOSE, disc)[9:-9, 9:-9]
    # A person that the lower edge of the picture cuts counts as closed there.
    closed = np.pad(person, 1)
    feet = np.flatnonzero(person[-1])
    closed[-1, feet[0] + 1 : feet[-1] + 2] = 1
    count, holes, facts, _ = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
    for number in range(1, count):
        hole = holes[1:-1, 1:-1] == number
        if holes[0, 0] == number or not hole.any():
            continue
        shows_wall = np.median(light[hole]) < 9 and np.median(colour[hole]) < 4
        if facts[number, cv2.CC_STAT_AREA] < GAP or not shows_wall:
            person[hole] = 1
    whole = np.zeros(frame.shape[:2], np.bool_)
    whole[:, COLUMNS] = person > 0
    return whole


def overlaps(found: list[Picture], wanted: dict[int, NDArray[np.bool_]]) -> dict[str, float]:
    """Intersection over union with the references: their mean, and the least."""
    shares = []
    for at, person in wanted.items():
        mask = found[at] > 127
        shares.append(float((mask & person).sum() / (mask | person).sum()))
    return {"mean": round(sum(shares) / len(shares), 4), "least": round(min(shares), 4)}


def flicker(found: list[Picture], frames: list[Picture]) -> dict[str, float]:
    """Changes that are undone within two frames, in pixels along the edge: a mean over the frames."""
    import cv2
    import numpy as np

    everywhere, still = [], []
    levels = [cv2.GaussianBlur(frame, (5, 5), 0).astype(np.int16) for frame in frames]
    shares = [mask.astype(np.float32) / 255 for mask in found]
    for at in range(1, len(found) - 1):
        there, back = shares[at] - shares[at - 1], shares[at + 1] - shares[at]
        returned = np.minimum(np.abs(there), np.abs(back)) * (there * back < 0)
        outlines, _ = cv2.findContours(
            (found[at] > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        length = sum(len(outline) for outline in outlines)
        moved = np.maximum(np.abs(levels[at] - levels[at - 1]), np.abs(levels[at + 1] - levels[at])).max(
            axis=2
        )
        near = cv2.dilate((moved >= STILL).astype(np.uint8), np.ones((9, 9))) > 0
        everywhere.append(float(returned.sum()) / length)
        still.append(float(returned[~near].sum()) / length)
    return {"still": round(float(np.mean(still)), 4), "everywhere": round(float(np.mean(everywhere)), 4)}


def cost(pixels: Picture) -> dict[str, float]:
    """Milliseconds of one core for a mask at 640x360: the least and the median of 200."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    opened, picture = region((360, 640)), np.asarray(cv2.resize(pixels, (640, 360)), np.uint8)
    took = []
    for number in range(200):
        began = time.process_time()
        opened.mask(framed(picture, number))
        took.append(1000 * (time.process_time() - began))
    took.sort()
    return {"least": round(took[0], 2), "median": round(took[100], 2)}


def drawn(frame: Picture, wanted: NDArray[np.bool_], mask: Picture) -> Picture:
    """The frame with the outlines of the reference, red, and of the mask, green."""
    import cv2
    import numpy as np

    shown = frame.copy()
    for region_, colour in ((wanted, (255, 0, 0)), (mask > 127, (0, 200, 0))):
        outlines, _ = cv2.findContours(region_.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, colour, 1)
    return shown[:, COLUMNS]


def write_sheet(path: Path, pictures: list[Picture]) -> None:
    """Ten pictures a row."""
    import numpy as np

    from streamstyle.files import write_picture

    rows = [np.hstack(pictures[at : at + LOOKED_AT]) for at in range(0, len(pictures), LOOKED_AT)]
    write_picture(path, np.vstack(rows))


def against_peer(films: dict[str, list[Picture]], *, record: bool) -> dict[str, float]:
    """The largest difference to mediapipe's own runtime, on frames of the clips and a drawn figure."""
    import cv2
    import numpy as np

    from streamstyle.engines.person_network import SIZE

    if not PEER.exists():
        venv.create(PEER, with_pip=True)
        subprocess.run([PEER / "bin" / "pip", "install", "--quiet", "mediapipe==0.10.14"], check=True)

    def resized(frames: list[Picture]) -> Picture:
        chosen = (frames[at] for at in looked_at(len(frames)))
        pictures = [cv2.resize(picture, SIZE[::-1], interpolation=cv2.INTER_AREA) for picture in chosen]
        return np.stack(pictures).astype(np.uint8, copy=False)

    given = {name: resized(frames) for name, frames in films.items()}
    given["figure"] = figure()[None]
    asked, answered = PEER / "pictures.npz", PEER / "masks.npz"
    np.savez(asked, allow_pickle=False, **given)
    subprocess.run(
        [PEER / "bin" / "python", "-c", ASK_PEER, asked, answered], check=True, stderr=subprocess.DEVNULL
    )
    theirs, people = np.load(answered), network()
    apart = {}
    for name, pictures in given.items():
        ours = np.stack([people.foreground(picture).copy() for picture in pictures])
        apart[name] = float(np.abs(ours - theirs[name]).max())
    if record:
        np.savez_compressed(RECORD, picture=given["figure"][0], mask=theirs["figure"][0])
    return apart


def figure() -> Picture:
    """A drawn person before a wall, (144, 256, 3)."""
    import cv2
    import numpy as np

    picture = np.repeat(np.linspace(200, 170, 256, dtype=np.uint8)[None, :, None], 144, axis=0).repeat(
        3, axis=2
    )
    picture[100:104] = (120, 120, 110)
    cv2.ellipse(picture, (128, 150), (52, 62), 0, 180, 360, (30, 60, 120), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (118, 70), (138, 95), (205, 160, 130), -1)
    cv2.ellipse(picture, (128, 55), (19, 26), 0, 0, 360, (215, 170, 140), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (128, 40), (21, 16), 0, 170, 370, (60, 40, 25), -1, cv2.LINE_AA)
    for eye in (120, 136):
        cv2.circle(picture, (eye, 54), 2, (40, 30, 30), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (128, 68), (7, 3), 0, 0, 180, (150, 60, 60), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
