"""`streamstyle train --style PICTURE --name NAME` and `streamstyle train base`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamstyle.cli.numbers import positive_int
from streamstyle.errors import ConfigError

ORIGINAL = "original"

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from streamstyle.styles.bundle import StyleBundle
    from streamstyle.train.data import PictureFolder
    from streamstyle.train.loop import TrainProgress


def add_command(commands: Any) -> None:
    """Declare `train` and its sub-commands."""
    parser = commands.add_parser(
        "train",
        help="learn a style from a picture, or the whole network",
        description="Learns the style of a picture in minutes. The result is a file of some KB for "
        "--style NAME. `streamstyle train base` trains a network from scratch.",
    )
    parser.add_argument("--style", type=Path, metavar="PICTURE", help="the picture to learn from")
    parser.add_argument("--name", metavar="NAME", help="name of the style: a-z, 0-9 and -")
    parser.add_argument("--title", default="", help="title of the picture, for the gallery")
    parser.add_argument("--artist", default="", help="its artist")
    parser.add_argument("--year", default="", help="its year")
    parser.add_argument("--licence", default="", help="licence of the picture")
    parser.add_argument("--network", default="lite", help="lite (default) or full")
    parser.add_argument("--content", type=Path, metavar="DIR", help="photos; default: synthetic pictures")
    parser.add_argument("--features", type=Path, metavar="FILE", help="safetensors of SqueezeNet or VGG")
    parser.add_argument("--steps", type=positive_int, metavar="N", help="default: 500")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="write four paintings in the style")
    parser.add_argument("--replace", action="store_true", help="overwrite an own style of this name")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="default: the folder of own styles")
    add_compute_options(parser)
    parser.set_defaults(command=train_own)
    actions = parser.add_subparsers(metavar="WHAT")
    base = actions.add_parser(
        "base",
        help="learn the whole network, from a folder of photos and a folder of paintings",
        description="Resumes where OUT holds a checkpoint. Writes OUT/bundle, OUT/sheet.png and "
        "OUT/report.html. Under torchrun every process trains on other photos.",
    )
    base.add_argument("--config", type=Path, required=True, metavar="FILE", help="see configs/train.yaml")
    base.add_argument("--content", type=Path, required=True, metavar="DIR", help="photos")
    base.add_argument("--styles", type=Path, required=True, metavar="DIR", help="the paintings of the config")
    base.add_argument("--features", type=Path, required=True, metavar="FILE", help="VGG-19 features")
    base.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder of the run")
    base.add_argument(
        "--from",
        type=Path,
        dest="start",
        metavar="START",
        help="begin with the weights of this checkpoint or bundle: of as many channels, blocks and styles, "
        "or fewer",
    )
    base.add_argument("--fresh-strokes", action="store_true", help="with --from: forget its patterns")
    base.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    base.add_argument(
        "--tensorboard", action="store_true", help="write the curves to OUT/tensorboard as well"
    )
    add_compute_options(base, default=argparse.SUPPRESS)  # those before `base` hold
    base.set_defaults(command=train_base)


def add_compute_options(parser: argparse.ArgumentParser, *, default: str = "auto") -> None:
    """Declare --device and --precision."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default=default, help="default: auto")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default=default,
        help="bf16: forward passes in bfloat16; auto (default): where the device has instructions for it",
    )


def train_own(arguments: argparse.Namespace) -> int:
    """Learn the style of one picture."""
    from dataclasses import replace

    from streamstyle.files import check_format, read_picture
    from streamstyle.nets.features import BUNDLED_VGG, load_features
    from streamstyle.styles.bundle import StyleRecord, load_bundle, network_folder
    from streamstyle.styles.code_file import save_code
    from streamstyle.styles.library import own_style_target
    from streamstyle.train.compute import open_compute
    from streamstyle.train.data import read_folder
    from streamstyle.train.own import OWN_STYLE, synthetic_photos, train_own_style

    if arguments.style is None or arguments.name is None:
        raise ConfigError(
            "nothing to learn: write streamstyle train --style PICTURE --name NAME, or streamstyle train base"
        )
    bundle = load_bundle(network_folder(arguments.network))
    taken = (*bundle.names, ORIGINAL)
    if arguments.sheet is not None:
        check_format(arguments.sheet)
    out = own_style_target(arguments.name, taken, path=arguments.out, replace=arguments.replace)
    picture = read_picture(arguments.style)
    features = load_features(arguments.features or BUNDLED_VGG)
    config = replace(OWN_STYLE, steps=arguments.steps) if arguments.steps else OWN_STYLE
    if arguments.content is None:
        photos = synthetic_photos()
    else:
        photos = read_folder(arguments.content, min_side=config.crop)
        for name, reason in photos.skipped.items():
            print(f"skipped {name}: {reason}", file=sys.stderr)
    with open_compute(arguments.device, arguments.precision) as compute:
        own = train_own_style(
            picture, bundle, features, photos, config=config, compute=compute, report=_print_every(50)
        )
    record = StyleRecord(
        arguments.name,
        arguments.title or arguments.name,
        arguments.artist,
        arguments.year,
        arguments.licence,
        own.metrics,
    )
    save_code(out, record, {arguments.network: own.code}, {arguments.network: bundle.manifest})
    if arguments.sheet is not None:
        _write_sheet(arguments.sheet, bundle, own.code, photos)
    figures = ", ".join(f"{name} {value:.3g}" for name, value in own.metrics.items())
    print(f"{out}: began from {own.began_from}; {figures}")
    return 0


def _write_sheet(path: Path, bundle: StyleBundle, code: NDArray[np.float32], photos: PictureFolder) -> None:
    from streamstyle.files import write_picture
    from streamstyle.nets.generator import restore_generator
    from streamstyle.train.data import center_squares
    from streamstyle.train.training_report import code_sheet

    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    write_picture(path, code_sheet(generator, code, center_squares(photos, 4, 256)))


def _print_every(steps: int) -> Callable[[TrainProgress], None]:
    def report(progress: TrainProgress) -> None:
        if progress.step % steps == 0 or progress.step == progress.steps:
            _print_progress(progress)

    return report


def train_base(arguments: argparse.Namespace) -> int:
    """Train, resume or finish a base run and publish its bundle."""
    from streamstyle.config import load_config
    from streamstyle.nets.features import load_features
    from streamstyle.train.compute import open_compute
    from streamstyle.train.data import center_squares, hold_out, part_of, read_folder
    from streamstyle.train.drawn import read_style
    from streamstyle.train.loop import train_base as train
    from streamstyle.train.options import BaseTraining
    from streamstyle.train.publish import publish_bundle

    training = load_config(BaseTraining, arguments.config, arguments.set)
    if not training.styles:
        raise ConfigError(f"{arguments.config} names no styles; see configs/train.yaml")
    features = load_features(arguments.features)
    photos = read_folder(arguments.content, min_side=training.options.crop)
    skipped = photos.skipped
    photos, held_out = hold_out(photos, training.held_out)
    paintings = [part_of(read_style(arguments.styles, s.picture), s.part) for s in training.styles]
    with open_compute(arguments.device, arguments.precision) as compute:
        report = _first_reporter(arguments, skipped) if compute.rank == 0 else print
        state = train(
            training.options,
            photos,
            paintings,
            features,
            arguments.out,
            names=[style.name for style in training.styles],
            report=report,
            sheet_photos=center_squares(held_out, 4, 320),
            compute=compute,
            start=arguments.start,
            fresh_strokes=arguments.fresh_strokes,
        )
    if compute.rank:
        return 0
    for network in (features, *state.modules().values()):
        network.cpu()
    folder = arguments.out / "bundle"
    manifest = publish_bundle(state, training, photos, held_out, paintings, features, folder)
    for style in manifest.styles:
        print(style.name, style.metrics)
    return 0


def _first_reporter(
    arguments: argparse.Namespace, skipped: dict[str, str]
) -> Callable[[TrainProgress], None]:
    """List skipped files; return a function that prints progress, and writes it for TensorBoard with
    --tensorboard."""
    for name, reason in skipped.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if not arguments.tensorboard:
        return _print_progress
    try:
        from streamstyle.train.scalars import TensorBoardLog
    except ImportError as error:
        raise ConfigError(
            "--tensorboard needs the package tensorboard: pip install 'streamstyle[train]'"
        ) from error
    curves = TensorBoardLog(arguments.out / "tensorboard")

    def report(progress: TrainProgress) -> None:
        _print_progress(progress)
        curves.write(progress)

    return report


def _print_progress(progress: TrainProgress) -> None:
    minutes = (progress.steps - progress.step) * progress.seconds_per_step / 60
    terms = " ".join(f"{name} {value:.4f}" for name, value in progress.terms.items())
    pace = f"{progress.seconds_per_step:.2f} s/step, {minutes:.0f} min left"
    print(f"{progress.step}/{progress.steps} {pace}: {terms}", file=sys.stderr)
