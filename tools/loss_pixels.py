"""Pictures whose pixels are optimised with the training's loss: the target of the loss, in minutes, before
hours of training. A PICTURE is a file, or FILM@INDEX: a frame of a film.

python3 tools/loss_pixels.py PICTURE... --styles udnie great-wave -o look.png
python3 tools/loss_pixels.py ... --set options.weights.content=0.1     another loss
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from streamstyle.nets.features import PerceptualFeatures
    from streamstyle.train.options import TrainConfig
    from streamstyle.train.style_targets import StyleTargets
    from streamstyle.types import Picture

SIDE = 256  # of the square that is cut from the middle of a picture
LEARNING_RATE = 0.03


def main() -> None:
    """Draw a row of photos, and a row per style."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE")
    parser.add_argument("--config", type=Path, default=Path("configs/train.yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--paintings", type=Path, required=True, help="the folder that the config means")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--styles", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()

    import cv2
    import numpy as np
    from style_sheet import cover, read

    from streamstyle.config import load_config
    from streamstyle.nets.features import load_features
    from streamstyle.train.drawn import read_style
    from streamstyle.train.options import BaseTraining
    from streamstyle.train.style_targets import StyleTargets, resize_paintings

    training = load_config(BaseTraining, arguments.config, arguments.set)
    features = load_features(arguments.features)
    photos = np.stack([cover(read(picture), (SIDE, SIDE)) for picture in arguments.pictures])
    rows = [np.hstack(list(photos))]
    pictures = {style.name: style.picture for style in training.styles}
    for name in arguments.styles:
        painting = read_style(arguments.paintings, pictures[name])
        scaled = resize_paintings([painting], training.options)
        targets = StyleTargets(features, scaled, training.options, (name,))
        painted, terms = optimise(photos, features, targets, training.options, arguments.steps)
        print(name, " ".join(f"{term} {value:.4f}" for term, value in terms.items()))
        rows.append(np.hstack(list(painted)))
    cv2.imwrite(str(arguments.out), np.vstack(rows)[..., ::-1])


def optimise(
    photos: Picture, features: PerceptualFeatures, targets: StyleTargets, config: TrainConfig, steps: int
) -> tuple[Picture, dict[str, float]]:
    """RGB uint8 pictures (B, SIDE, SIDE, 3) in the one style of `targets`, and the loss's last values."""
    from dataclasses import asdict, replace

    import torch

    from streamstyle.nets.noise import canvas
    from streamstyle.train.compute import Compute
    from streamstyle.train.data import Batch, to_tensor
    from streamstyle.train.losses import range_loss
    from streamstyle.train.step import feature_losses, pixel_losses

    content = torch.stack([to_tensor(photo) for photo in photos])
    config = replace(config, fine_side=0)  # every pixel counts here
    count, weights = len(content), asdict(config.weights)
    field = torch.from_numpy(canvas(*content.shape[2:]))
    everywhere = torch.ones(count, dtype=torch.bool)
    batch = Batch(
        content,
        content,  # for the painting: a pixel that is free draws no lattice
        torch.zeros(count, dtype=torch.long),
        field.expand(count, -1, -1, -1),
        everywhere,
        torch.tensor([0.5, 0.5]),
    )
    out = content.clone().requires_grad_()
    optimizer = torch.optim.Adam([out], lr=LEARNING_RATE)
    terms: dict[str, torch.Tensor] = {}
    for _ in range(steps):
        terms = feature_losses(Compute(), out, batch, everywhere, features, targets, config)
        terms |= pixel_losses(out, batch, everywhere, targets, config.weights)
        terms["range"] = range_loss(out)
        terms.pop("grid")  # which the checkerboard of free pixels escapes
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(total)
        optimizer.step()
    painted = (out.detach().clamp(0, 1) * 255).round().byte().movedim(1, 3).numpy()
    return painted, {name: float(term.detach()) for name, term in terms.items()}


if __name__ == "__main__":
    main()
