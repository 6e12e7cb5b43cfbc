"""Compare ways to upsample a painting made at half size, in figures and a picture.

    python3 tools/sizes.py [FILM...] [--picture docs/sizes.jpg]
    python3 tools/sizes.py --every 3 FILM...

Films are read at their own size, three frames of each; without one the rendered scene is. --every measures
how near propagated paintings (`run --every`) come to painted frames. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import environment

if __name__ == "__main__":
    environment.enter()  # before what it installs

import cv2
import numpy as np

from streamstyle.config import RunConfig
from streamstyle.engines.keyframe_engine import KeyframeEngine
from streamstyle.engines.open_engine import paint_all
from streamstyle.engines.upsampling import EPSILON, WINDOW, GuidedUpsampling, reduced
from streamstyle.media.open import open_source
from streamstyle.metrics.similarity import edge_similarity, psnr, sharpness_ratio
from streamstyle.pipeline.model import Model, load_model
from streamstyle.temporal.fine_motion import FineMotion
from streamstyle.temporal.motion import FINE_SIDE, LONG_SIDE
from streamstyle.types import Picture, StyleCondition

STYLES = ("starry-night", "great-wave", "udnie", "water-lilies", "woman-with-hat", "composition-vii")
SCENE = "test:?seconds=3&size=1280x720&rate=10"
FRAMES = (2, 12, 22)


def enlarged(how: int) -> Callable[[Picture, Picture, Picture], Picture]:
    """Upsample by one of OpenCV's interpolations, without the input."""

    def up(painted: Picture, _small: Picture, picture: Picture) -> Picture:
        return np.asarray(cv2.resize(painted, picture.shape[1::-1], interpolation=how), np.uint8)

    return up


def guided_filter(painted: Picture, small: Picture, picture: Picture) -> Picture:
    """The fast guided filter of He and Sun 2015, unchanged: a and b averaged, of each channel against the
    luma."""
    luma, full = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.float32) for x in (small, picture))
    values = painted.astype(np.float32)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, WINDOW)

    variance = mean(luma * luma) - mean(luma) ** 2
    covariance = mean(luma[..., None] * values) - mean(luma)[..., None] * mean(values)
    a = covariance / (variance + EPSILON)[..., None]
    b = mean(values) - a * mean(luma)[..., None]
    a, b = (cv2.resize(mean(x), picture.shape[1::-1]) for x in (a, b))
    return (a * full[..., None] + b).round().clip(0, 255).astype(np.uint8)


def joint_bilateral(painted: Picture, small: Picture, picture: Picture) -> Picture:
    """Kopf et al. 2007, eq. 2: 4x4 pixels, 0.7 of them and 20 levels."""
    height, width = picture.shape[:2]
    h, w = small.shape[:2]
    full = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y + 0.5) * h / height - 0.5, (x + 0.5) * w / width - 0.5
    total = np.zeros(picture.shape, np.float32)
    weights = np.zeros((height, width, 1), np.float32)
    for dy in range(-1, 3):
        for dx in range(-1, 3):
            row, column = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            apart = ((row - y) ** 2 + (column - x) ** 2) / (2 * 0.7**2)
            row, column = row.clip(0, h - 1), column.clip(0, w - 1)
            weight = np.exp(-apart - (full - luma[row, column]) ** 2 / (2 * 20.0**2))[..., None]
            total += weight * painted[row, column]
            weights += weight
    return (total / np.maximum(weights, 1e-6)).round().clip(0, 255).astype(np.uint8)


def guided(painted: Picture, small: Picture, picture: Picture) -> Picture:
    """Ours."""
    (height, width), (h, w) = picture.shape[:2], small.shape[:2]
    return GuidedUpsampling(height, width, (h, w))(painted, small, picture)


WAYS = {
    "bilinear": enlarged(cv2.INTER_LINEAR),
    "Lanczos": enlarged(cv2.INTER_LANCZOS4),
    "joint bilateral": joint_bilateral,
    "fast guided filter": guided_filter,
    "ours": guided,
}


def chosen_frames(url: str) -> list[Picture]:
    """The frames of a film that are measured."""
    with open_source(url) as source:
        return [frame.pixels for i, frame in zip(range(FRAMES[-1] + 1), source, strict=False) if i in FRAMES]


def measure(url: str) -> dict[str, list[list[float]]]:
    """Per way, of each frame and style: edges as the input's, strokes kept in dB, sharpness, CPU seconds."""
    rows: dict[str, list[list[float]]] = {}
    frames = chosen_frames(url)
    height, width = frames[0].shape[:2]
    engine = load_model(RunConfig(network="lite")).open_engine(height // 2, width // 2)
    whole = load_model(RunConfig(network="lite")).open_engine(height, width)
    for style in STYLES:
        condition = StyleCondition(load_model(RunConfig(style=style, network="lite")).codes)
        for pixels in frames:
            small = reduced(pixels, height // 2, width // 2)
            painted, full = engine.start(small, condition).result(), whole.start(pixels, condition).result()
            rows.setdefault("painted whole", []).append([edge_similarity(full, pixels), 0, 1, 0])
            for name, way in WAYS.items():
                began = time.thread_time()
                up = way(painted, small, pixels)
                seconds = time.thread_time() - began
                kept = psnr(reduced(up, *painted.shape[:2]), painted)
                row = [edge_similarity(up, pixels), kept, sharpness_ratio(up, full), seconds]
                rows.setdefault(name, []).append(row)
    return rows


def labelled(picture: Picture, text: str) -> Picture:
    """The middle of a picture with its name."""
    height, width = picture.shape[:2]
    part = picture[height // 3 : height // 3 + 260, width // 3 : width // 3 + 400].copy()
    cv2.rectangle(part, (0, 0), (11 * len(text), 20), (0, 0, 0), -1)
    cv2.putText(part, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return part


def draw(path: Path, style: str) -> None:
    """One painting of the scene, upsampled in every way."""
    pixels = chosen_frames(SCENE)[1]
    height, width = pixels.shape[:2]
    model = load_model(RunConfig(style=style, network="lite"))
    small = reduced(pixels, height // 2, width // 2)
    painted = model.open_engine(height // 2, width // 2).start(small, StyleCondition(model.codes)).result()
    parts = [labelled(pixels, "input"), labelled(painted_whole(model, pixels), "painted whole")]
    names = ("bilinear", "Lanczos", "fast guided filter", "ours")
    parts += [labelled(WAYS[name](painted, small, pixels), name) for name in names]
    sheet = np.vstack([np.hstack(parts[:3]), np.hstack(parts[3:])])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])


def painted_whole(model: Model, pixels: Picture) -> Picture:
    """A picture painted at its own size."""
    engine = model.open_engine(*pixels.shape[:2])
    return engine.start(pixels, StyleCondition(model.codes)).result()


def carried(url: str, every: int) -> dict[str, float]:
    """PSNR in dB to the painted frames, of 24 frames from the second second on, at 640x360 or the film's own
    size: of the last painting unchanged, propagated along flow at the detector's size, and at ours; sharpness
    of ours."""
    with open_source(url) as source:
        frames = [frame.pixels for i, frame in zip(range(54), source, strict=False) if i >= 30]
    frames = [reduced(x, min(360, x.shape[0]), min(640, x.shape[1])) for x in frames]
    engine = load_model(RunConfig(network="lite")).open_engine(*frames[0].shape[:2])
    rows = []
    for style in STYLES:
        condition = StyleCondition(load_model(RunConfig(style=style, network="lite")).codes)
        painted = list(paint_all(engine, frames, condition))
        coarse, ours = (
            list(paint_all(KeyframeEngine(engine, every, FineMotion(side)), frames, condition))
            for side in (LONG_SIDE, FINE_SIDE)
        )
        for i in (i for i in range(every, len(frames)) if i % every):
            row = [psnr(x, painted[i]) for x in (painted[i - i % every], coarse[i], ours[i])]
            rows.append([*row, sharpness_ratio(ours[i], painted[i])])
    names = ("held_db", "detectors_flow_db", "ours_db", "sharpness")
    return {name: round(float(value), 2) for name, value in zip(names, np.mean(rows, axis=0), strict=True)}


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs="*", default=[SCENE], metavar="FILM")
    parser.add_argument("--picture", type=Path, metavar="FILE.jpg")
    parser.add_argument("--style", default="great-wave", metavar="NAME")
    parser.add_argument("--every", type=int, metavar="N")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.every:
        table = {Path(film).name: carried(film, arguments.every) for film in arguments.films}
        for name, row in table.items():
            print(f"{name:32}", "  ".join(f"{key} {value}" for key, value in row.items()))
        print(json.dumps(table))
        return
    if arguments.picture:
        draw(arguments.picture, arguments.style)
    rows: dict[str, list[list[float]]] = {}
    for film in arguments.films:
        for name, values in measure(film).items():
            rows.setdefault(name, []).extend(values)
    least = np.median([row[3] for row in rows["bilinear"]])
    table = {}
    for name, values in rows.items():
        edges, kept, sharp, _ = np.mean(values, axis=0)
        cost = float(np.median([row[3] for row in values]) / least)
        figures = {"edges": edges, "strokes_db": kept, "sharpness": sharp, "cost": cost}
        table[name] = {key: round(float(value), 3) for key, value in figures.items()}
        print(f"{name:20} edges {edges:.3f}  strokes {kept:5.1f} dB  sharpness {sharp:.2f}  cost {cost:.1f}")
    print(json.dumps(table))


if __name__ == "__main__":
    main()
