"""`streamstyle train base`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.train.loop import TrainProgress


def add_command(commands: Any) -> None:
    """Declare `train` and its sub-commands."""
    parser = commands.add_parser("train", help="train the network")
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    base = actions.add_parser(
        "base",
        help="the whole GAN, from a folder of photos and a folder of paintings",
        description="Resumes where OUT holds a checkpoint. Leaves OUT/bundle and OUT/sheet.png.",
    )
    base.add_argument("--config", type=Path, required=True, metavar="FILE", help="see configs/train.yaml")
    base.add_argument("--content", type=Path, required=True, metavar="DIR", help="photos")
    base.add_argument("--styles", type=Path, required=True, metavar="DIR", help="the paintings of the config")
    base.add_argument("--features", type=Path, required=True, metavar="FILE", help="SqueezeNet v1.0 features")
    base.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder of the run")
    base.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    base.set_defaults(command=train_base)


def train_base(arguments: argparse.Namespace) -> int:
    """Train, resume or finish a base run and publish its bundle."""
    import torch

    from streamstyle.config import load_config
    from streamstyle.nets.features import SqueezeNetFeatures
    from streamstyle.train.data import center_squares, hold_out, read_folder, read_picture
    from streamstyle.train.loop import train_base as train
    from streamstyle.train.options import BaseTraining
    from streamstyle.train.publish import publish_bundle

    training = load_config(BaseTraining, arguments.config, arguments.set)
    features = SqueezeNetFeatures.load(arguments.features)
    features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    photos = read_folder(arguments.content, min_side=training.options.crop)
    for name, reason in photos.skipped.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    photos, held_out = hold_out(photos, training.held_out)
    paintings = [read_picture(arguments.styles / style.picture) for style in training.styles]
    state = train(
        training.options,
        photos,
        paintings,
        features,
        arguments.out,
        report=_print_progress,
        sheet_photos=center_squares(held_out, 4, 320),
    )
    folder = arguments.out / "bundle"
    manifest = publish_bundle(state, training, photos, held_out, paintings, features, folder)
    for style in manifest.styles:
        print(style.name, style.metrics)
    return 0


def _print_progress(progress: TrainProgress) -> None:
    minutes = (progress.steps - progress.step) * progress.seconds_per_step / 60
    terms = " ".join(f"{name} {value:.4f}" for name, value in progress.terms.items())
    pace = f"{progress.seconds_per_step:.2f} s/step, {minutes:.0f} min left"
    print(f"{progress.step}/{progress.steps} {pace}: {terms}", file=sys.stderr)
