"""The report of a training run: curves, a contact sheet, and report.html with pictures of the way.

The pictures of one save lie in `epochs/` as STEP-STYLE.jpg, a strip each: photo, painting, result,
difference, and where the discriminator believes the result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.errors import SinkError
from streamstyle.files import page, read_picture, write_picture, write_whole
from streamstyle.metrics.diversity import style_distance
from streamstyle.metrics.perceptual import Grams
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.features import PerceptualFeatures
from streamstyle.nets.generator import Generator, paint
from streamstyle.train import losses
from streamstyle.train.data import center_square, to_tensor
from streamstyle.train.step import GanState
from streamstyle.train.style_targets import StyleTargets

_STRIP = ("photo", "painting", "result", "difference", "discriminator")
_STYLES_SHOWN = 3
_EPOCHS_SHOWN = 8
_BAND = 28  # height of a band with text, pixels


class RunReport:
    """The files for people in a run's folder, kept in step with its checkpoint.

    names: one per style. photos: RGB uint8, all of one size, sides multiples of 8; may be empty, which
    leaves the curves alone. finished: steps of the checkpoint that the run goes on from; what an earlier
    run logged after it is dropped.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], photos: Sequence[NDArray[np.uint8]], *, finished: int
    ) -> None:
        self.folder = folder
        self.names = tuple(names)
        self.photos = tuple(photos)
        self._log = folder / "losses.jsonl"
        kept = [line for line in read_log(self._log) if line["step"] <= finished]
        write_whole(self._log, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        """Append one line to `losses.jsonl`. Raises SinkError."""
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **terms}) + "\n")
        except OSError as error:
            raise SinkError(f"cannot write {self._log}: {error.strerror}") from error

    def look(
        self,
        step: int,
        state: GanState,
        paintings: Sequence[NDArray[np.uint8]],
        targets: StyleTargets,
        features: PerceptualFeatures,
    ) -> dict[str, float]:
        """Paint the photos with the averaged network, write sheet and strips, and return the diversity.

        paintings: RGB uint8, scaled as they were trained on. `diversity` is the mean distance (0 .. 2)
        between the first photo in one style and in another, `diversity_of_paintings` that between the
        paintings: where styles collapse, it falls far below. Leaves the state as it is.
        """
        if not self.photos:
            return {}
        generator, codes = state.averaged_network()
        photos = np.stack(self.photos)
        painted = [paint(generator, photos, code) for code in codes]
        write_picture(self.folder / "sheet.png", contact_sheet(photos, painted, [*self.names, "original"]))
        (self.folder / "epochs").mkdir(exist_ok=True)
        for index in _spread(len(self.names), _STYLES_SHOWN):
            photo, result = photos[index % len(photos)], painted[index][index % len(photos)]
            belief = discriminator_map(state.discriminator, result, index)
            painting = center_square(paintings[index], photo.shape[0])
            parts = (photo, painting, result, cv2.absdiff(photo, result).astype(np.uint8), belief)
            strip = np.hstack([captioned(part, text) for part, text in zip(parts, _STRIP, strict=True)])
            write_picture(self.folder / "epochs" / f"{step:07d}-{index:02d}.jpg", strip)
        if len(self.names) == 1:
            return {}
        of_styles = [_grams(pictures[0], features, targets.layers) for pictures in painted[:-1]]
        of_paintings = [_painting_grams(targets, index) for index in range(targets.styles)]
        return {
            "diversity": _mean_distance(of_styles),
            "diversity_of_paintings": _mean_distance(of_paintings),
        }

    def write(self, step: int) -> None:
        """Write `report.html`: every curve, and the strips of at most 8 evenly chosen saves."""
        lines = read_log(self._log)
        terms = dict.fromkeys(name for line in lines for name in line if name != "step")
        plots = []
        for name in terms:
            if name == "diversity_of_paintings":
                continue
            shown = [name, "diversity_of_paintings"] if name == "diversity" else [name]
            points = {n: [(line["step"], line[n]) for line in lines if n in line] for n in shown}
            plots.append(page.curves(points, x_label="step", width=380, height=150))
        body = [page.paragraph(f"After {step} steps."), page.heading("Curves"), page.row(plots, least=340)]
        body += self._epochs(step)
        page.write_page(self.folder / "report.html", page.page("Training", body))

    def _epochs(self, step: int) -> list[str]:
        files: dict[int, list[tuple[int, Path]]] = {}
        for path in sorted((self.folder / "epochs").glob("*-*.jpg")):
            of_step, _, of_style = path.stem.partition("-")
            if int(of_step) <= step and int(of_style) < len(self.names):
                files.setdefault(int(of_step), []).append((int(of_style), path))
        if not files:
            return []
        body = [
            page.heading("Pictures"),
            page.paragraph(
                "Red: the discriminator takes the patch for the painting's. Blue: it does not. "
                "Until it joins the loss its map means nothing."
            ),
        ]
        steps = sorted(files)
        for index in _spread(len(steps), _EPOCHS_SHOWN):
            body.append(page.heading(f"Step {steps[index]}"))
            body += [
                page.figure(read_picture(path), self.names[style]) for style, path in files[steps[index]]
            ]
        return body


def code_sheet(
    generator: Generator, code: NDArray[np.float32], photos: Sequence[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Photos, all of one size with sides that are multiples of 8, above their paintings with one code."""
    painted = paint(generator, np.stack(photos), torch.from_numpy(code))
    return np.vstack([np.hstack(photos), np.hstack(list(painted))])


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a `losses.jsonl`; what a killed run left half-written is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "step" in line:
            lines.append(line)
    return lines


@torch.no_grad()
def discriminator_map(
    discriminator: PatchDiscriminator, picture: NDArray[np.uint8], style: int
) -> NDArray[np.uint8]:
    """Patch logits of one picture, RGB uint8 (H, W, 3), in colour: blue at -2, grey at 0, red at 2.

    Leaves the discriminator as it is: outside of training mode its power iteration rests.
    """
    device = discriminator.embedding.weight.device
    was_training = discriminator.training
    discriminator.eval()
    logits = discriminator(to_tensor(picture)[None].to(device), torch.tensor([style], device=device))
    discriminator.train(was_training)
    height, width = picture.shape[:2]
    smooth = cv2.resize(logits[0, 0].float().cpu().numpy(), (width, height), interpolation=cv2.INTER_CUBIC)
    stops = ((35, 90, 190), (225, 225, 225), (190, 40, 35))
    channels = [np.interp(smooth, (-2, 0, 2), [stop[c] for stop in stops]) for c in range(3)]
    return np.stack(channels, axis=2).astype(np.uint8)


def contact_sheet(
    photos: NDArray[np.uint8], painted: Sequence[NDArray[np.uint8]], names: Sequence[str]
) -> NDArray[np.uint8]:
    """A row per photo: the photo, then its picture in each style, with the styles' names on top.

    photos and each of `painted`: RGB uint8 (P, H, W, 3). Returns RGB uint8.
    """
    columns = [
        captioned(np.vstack(list(pictures)), name)
        for pictures, name in zip((photos, *painted), ("photo", *names), strict=True)
    ]
    return np.hstack(columns)


def captioned(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) under a dark band with `text` (ASCII): (H + 28, W, 3)."""
    band = np.full((_BAND, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(band, text, (6, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([band, picture])


@torch.no_grad()
def _grams(picture: NDArray[np.uint8], features: PerceptualFeatures, layers: Sequence[str]) -> Grams:
    taps = features(to_tensor(picture)[None].to(features.mean.device), layers)
    return {name: losses.gram(taps[name])[0] for name in layers}


def _painting_grams(targets: StyleTargets, index: int) -> Grams:
    return {name: grams[index] for name, grams in targets.grams[0].items()}


def _mean_distance(grams: Sequence[Grams]) -> float:
    return float(np.mean([style_distance(a, b) for a, b in combinations(grams, 2)]))


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spread, the first and the last among them."""
    chosen: list[int] = np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
    return chosen
