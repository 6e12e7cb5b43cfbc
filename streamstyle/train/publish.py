"""From a finished run to a style bundle: weights, codes, and a manifest with measured figures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from streamstyle.metrics.colour_distance import sliced_wasserstein_lab
from streamstyle.metrics.grid import grid_contrast
from streamstyle.nets.features import PerceptualFeatures
from streamstyle.nets.generator import Generator, paint
from streamstyle.styles.bundle import MANIFEST_VERSION, Manifest, StyleRecord
from streamstyle.train import losses
from streamstyle.train.checkpoint import save_tensors
from streamstyle.train.data import PictureFolder, center_squares, to_tensor
from streamstyle.train.options import BaseTraining, TrainConfig
from streamstyle.train.step import GanState
from streamstyle.train.style_targets import StyleTargets, resize_paintings

_MEASURED_PHOTOS = 8
_MEASURED_SIDE = 320


def publish_bundle(
    state: GanState,
    training: BaseTraining,
    photos: PictureFolder,
    held_out: PictureFolder,
    paintings: Sequence[NDArray[np.uint8]],
    features: PerceptualFeatures,
    folder: Path,
) -> Manifest:
    """Write the averaged network as a bundle into `folder` and return its manifest.

    photos: trained on. held_out: measured on.
    """
    generator, codes = state.averaged_network()
    tensors = {f"generator.{name}": t for name, t in generator.state_dict().items()} | {"codes": codes}
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "generator.safetensors", tensors, {})
    save_tensors(folder / "discriminator.safetensors", _plain_half(state.discriminator), {})
    measured = measure_styles(generator, codes, training.options, held_out, paintings, features)
    manifest = Manifest(
        version=MANIFEST_VERSION,
        name=training.name,
        architecture=training.options.generator.to_json(),
        sha256={
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("generator.safetensors", "discriminator.safetensors")
        },
        styles=[
            StyleRecord(s.name, s.title, s.artist, s.year, s.licence, figures)
            for s, figures in zip(training.styles, measured, strict=True)
        ],
        training=_training_record(training, photos, held_out),
    )
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / "manifest.json").write_bytes(text + b"\n")
    return manifest


def _training_record(
    training: BaseTraining, photos: PictureFolder, held_out: PictureFolder
) -> dict[str, Any]:
    return {
        "options": training.options.to_json(),
        "styles": [style.picture for style in training.styles],
        "content": list(photos.names),
        "held_out": list(held_out.names),
        "skipped": photos.skipped,
    }


def _plain_half(discriminator: nn.Module) -> dict[str, Tensor]:
    """fp16 weights with the spectral norm already divided out."""
    plain: dict[str, Tensor] = {}
    for name, module in discriminator.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            plain[f"{name}.weight"] = module.weight.detach().half()
            plain[f"{name}.bias"] = module.bias.detach().half()
    embedding = discriminator.embedding
    assert isinstance(embedding, nn.Embedding)
    return plain | {"embedding.weight": embedding.weight.detach().half()}


@torch.no_grad()
def measure_styles(
    generator: Generator,
    codes: Tensor,
    options: TrainConfig,
    photos: PictureFolder,
    paintings: Sequence[NDArray[np.uint8]],
    features: PerceptualFeatures,
) -> list[dict[str, float]]:
    """Figures of each style, means over 8 of `photos` at 320 x 320: held-out ones for the bundled styles,
    those that it learnt on for an own style.

    style_loss: relative Gram error over the octaves of the training; photo_style_loss: the same of the photos
    themselves. content_loss: relative feature error at half size. colour_distance: sliced Wasserstein to the
    painting, in Lab. grid_contrast: see `metrics.grid`.
    """
    squares = center_squares(photos, _MEASURED_PHOTOS, _MEASURED_SIDE)
    content = torch.stack([to_tensor(square) for square in squares])
    measured = []
    for index, painting in enumerate(resize_paintings(paintings, options)):
        targets = StyleTargets(features, [painting], options)
        styled = paint(generator, np.stack(squares), codes[index])
        x = torch.stack([to_tensor(picture) for picture in styled])
        kept, given = (_content(features, pictures, options) for pictures in (x, content))
        figures = {
            "style_loss": _style_error(features, x, targets, options),
            "photo_style_loss": _style_error(features, content, targets, options),
            "content_loss": float(losses.content_loss(kept, given)),
            "colour_distance": float(np.mean([sliced_wasserstein_lab(one, painting) for one in styled])),
            "grid_contrast": float(np.mean([grid_contrast(one) for one in styled])),
        }
        measured.append({name: round(value, 4) for name, value in figures.items()})
    return measured


def _style_error(
    features: PerceptualFeatures, x: Tensor, targets: StyleTargets, options: TrainConfig
) -> float:
    style = torch.zeros(len(x), dtype=torch.long)
    grams = targets.grams_of(features, x, options.octaves)
    return float(np.mean([losses.gram_loss(of, targets.of(style, i)) for i, of in enumerate(grams)]))


def _content(features: PerceptualFeatures, x: Tensor, options: TrainConfig) -> Tensor:
    taps: dict[str, Tensor] = features(F.avg_pool2d(x, 2), [options.content_layer])
    return taps[options.content_layer]
