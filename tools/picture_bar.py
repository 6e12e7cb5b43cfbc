"""The yardstick of the picture: film frames that no network was trained on, measured through VGG-19."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment

if TYPE_CHECKING:
    from torch import Tensor

    from streamstyle.metrics.perceptual import FeatureNetwork
    from streamstyle.types import Picture

DATA = Path(os.environ.get("STREAMSTYLE_DATA", environment.ROOT.parent / "shared" / "data"))
BAR = (  # frames that no network was trained on: a face, a street, a table, a dark floor
    ("webcam_asl_sister.mkv", 40),
    ("sam2_05_default_juggle.mp4", 100),
    ("sam2_04_coffee.mp4", 140),
    ("handheld_rabbit.mp4", 100),
)
FACE_CLIPS = ("webcam_asl_sister.mkv", "webcam_asl_night.mkv")
FACE_FRAMES = range(0, 70, 10)
FACE_SIDES = (40, 160)  # pixels at CLIP_SIZE
NOISE_FRAMES = 3
GRID_FRAMES = (0, 20, 40)  # of every clip
WARP_CLIP = ("webcam_asl_sister.mkv", 24)  # and so many frames
CLIP_SIZE = (640, 360)  # width, height


def bar_frames() -> list[Picture]:
    """The frames of `BAR` at `CLIP_SIZE`."""
    return [
        next(islice(resized_frames(DATA / "video" / "clips" / clip, index + 1), index, None))
        for clip, index in BAR
    ]


def bar_figures(
    paint: Callable[[Picture], Picture], painting: Picture, frames: Sequence[Picture], vgg: FeatureNetwork
) -> dict[str, float]:
    """Means over the frames, each also of the frames themselves where that says something."""
    import numpy as np

    from streamstyle.metrics.noise_gain import noise_gain
    from streamstyle.metrics.painting import PaintingError, content_error
    from streamstyle.metrics.similarity import local_contrast, sharpness_ratio

    error = PaintingError(vgg, painting)
    painted = [paint(frame) for frame in frames]
    pairs = list(zip(painted, frames, strict=True))
    figures = {
        "vgg_style": [error.style(picture) for picture in painted],
        "vgg_style_photo": [error.style(frame) for frame in frames],
        "vgg_content": [content_error(vgg, picture, frame) for picture, frame in pairs],
        "detail": [sharpness_ratio(picture, frame) for picture, frame in pairs],
        "local_contrast": [local_contrast(picture, frame) for picture, frame in pairs],
        "halo": [_halo(picture, frame) for picture, frame in pairs],
        "noise_gain": [noise_gain(paint, frame, frames=NOISE_FRAMES) for frame in frames],
    }
    return {name: float(np.mean(values)) for name, values in figures.items()}


@functools.cache
def _cells(height: int, width: int) -> Tensor:
    """`cells_of` the canvas of frames of this size, multiples of 8."""
    import torch

    from streamstyle.nets.noise import canvas
    from streamstyle.train.data import cells_of

    return cells_of(torch.from_numpy(canvas(height, width))[None])


def _halo(painted: Picture, frame: Picture) -> float:
    """Deviation of tones on plain places of a frame that the nearness of an edge explains, in 1/255; both
    RGB uint8 with sides that are multiples of 8."""
    from streamstyle.train.data import to_tensor
    from streamstyle.train.losses import halo_loss

    cells = _cells(*frame.shape[:2])
    loss = halo_loss(to_tensor(painted)[None], to_tensor(frame)[None], cells)
    return 255 * math.sqrt(float(loss))


Rectangle = tuple[int, int, int, int]  # left, top, width, height


def face_frames() -> list[tuple[Picture, list[Rectangle]]]:
    """Frames `FACE_FRAMES` of `FACE_CLIPS`, at `CLIP_SIZE` and not trained on, each with its faces."""
    clips = (resized_frames(DATA / "video" / "clips" / clip, FACE_FRAMES.stop) for clip in FACE_CLIPS)
    frames = [frame for clip in clips for frame in islice(clip, 0, None, FACE_FRAMES.step)]
    return [(frame, find_faces(frame)) for frame in frames]


def faces_kept(
    paint: Callable[[Picture], Picture], frames: Sequence[tuple[Picture, list[Rectangle]]]
) -> float:
    """Share of the faces found in frames that are found at the same place in their paintings.

    By scikit-image's cascade of local binary patterns (Liao et al. 2007), which was made for photos: a
    painting in which it finds a face is a legible one, but not the other way round.
    """
    found = kept = 0
    for frame, faces in frames:
        painted = find_faces(paint(frame))
        found += len(faces)
        kept += sum(any(_overlap(face, other) > 0.4 for other in painted) for face in faces)
    return kept / found


@functools.cache
def _face_detector() -> Any:
    from skimage import data
    from skimage.feature import Cascade

    path: Callable[[], str] = data.lbp_frontal_face_cascade_filename
    return Cascade(path())


def find_faces(picture: Picture) -> list[Rectangle]:
    """Faces of `FACE_SIDES` pixels; needs scikit-image."""
    least, most = FACE_SIDES
    found = _face_detector().detect_multi_scale(
        img=picture, scale_factor=1.1, step_ratio=1, min_size=(least, least), max_size=(most, most)
    )
    return [(face["c"], face["r"], face["width"], face["height"]) for face in found]


def _overlap(a: Rectangle, b: Rectangle) -> float:
    """Intersection over union of two rectangles."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def resized_frames(clip: Path, count: int) -> Iterator[Picture]:
    import cv2
    import numpy as np

    from streamstyle.media.open import open_source

    with open_source(str(clip)) as source:
        for frame in islice(source, count):
            yield np.asarray(cv2.resize(frame.pixels, CLIP_SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def grid_excess(paints: Sequence[Callable[[Picture], Picture]]) -> list[float]:
    """The largest excess of each one's grid contrast over the input's, on `GRID_FRAMES` of all clips."""
    from streamstyle.metrics.grid import grid_contrast

    excess = [float("-inf")] * len(paints)
    for clip in sorted((DATA / "video" / "clips").iterdir()):
        for index, pixels in enumerate(resized_frames(clip, GRID_FRAMES[-1] + 1)):
            if index in GRID_FRAMES:
                floor = grid_contrast(pixels)
                over = [grid_contrast(paint(pixels)) - floor for paint in paints]
                excess = [max(pair) for pair in zip(excess, over, strict=True)]
    return excess


def warp_errors(paints: Sequence[Callable[[Picture], Picture]]) -> tuple[float, ...]:
    """The change along the motion of `WARP_CLIP`: the film's own, then that of each painting of it."""
    from streamstyle.metrics.warp_error import WarpError

    error = WarpError()
    clip, count = WARP_CLIP
    for pixels in resized_frames(DATA / "video" / "clips" / clip, count):
        error.add(pixels, *(paint(pixels) for paint in paints))
    return error.means()


def bar_table(styles: Mapping[str, Mapping[str, float]], film_warp_error: float) -> list[str]:
    """The figures of each style, and two sentences."""
    means = {
        key: sum(v[key] for v in styles.values()) / len(styles)
        for key in ("vgg_style", "vgg_style_photo", "vgg_content")
    }
    return [
        "| style | VGG style | VGG content | detail | contrast | halo | faces | grid | E_warp | noise |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_bar_row(name, values) for name, values in styles.items()),
        "",
        f"Mean over the styles: style {means['vgg_style']:.3f}, which is "
        f"{means['vgg_style'] / means['vgg_style_photo']:.2f} of the unpainted frames' "
        f"{means['vgg_style_photo']:.3f}; content {means['vgg_content']:.2f}. "
        f"E_warp of the film itself: {1e3 * film_warp_error:.2f}.",
    ]


def _bar_row(name: str, values: Mapping[str, float]) -> str:
    cells = [
        name,
        f"{values['vgg_style']:.3f} ({values['vgg_style_photo']:.2f})",
        *(f"{values[key]:.2f}" for key in ("vgg_content", "detail", "local_contrast")),
        f"{values['halo']:.1f}",
        f"{values['faces']:.2f}",
        f"{values['grid_excess']:+.2f}",
        f"{1e3 * values['warp_error']:.2f}",
        f"{values['noise_gain']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"
