"""One more style for a trained network: its code and the discriminator's head, everything else frozen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn

from streamstyle.errors import ConfigError
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.features import PerceptualFeatures
from streamstyle.nets.generator import Generator, paint, restore_generator
from streamstyle.styles.bundle import StyleBundle, read_discriminator
from streamstyle.styles.entry import StyleEntry
from streamstyle.train import losses
from streamstyle.train.compute import Compute
from streamstyle.train.data import PictureFolder, center_squares, draw_batch, draw_next_frame, to_tensor
from streamstyle.train.loop import TrainProgress, learning_rate_share, smooth_
from streamstyle.train.options import LossWeights, TrainConfig
from streamstyle.train.publish import measure_styles
from streamstyle.train.step import GanState, StyleCodes, train_step
from streamstyle.train.style_targets import StyleTargets, resize_paintings
from streamstyle.train.synthetic import dead_leaves

OWN_STYLE = TrainConfig(
    steps=500,
    batch=2,
    octave_decay=0.8,
    fine_side=128,
    weights=LossWeights(  # as configs/train.yaml, but for what a code cannot change
        style=2.0,
        neighbour=0.4,
        content=0.05,
        variation=0.5,
        adversarial=0.005,
        luminance_warp=0.5,
        no_flow=0.9,
        identity=0.0,
        range=5.0,
        grid=20.0,
        lattice=1.0,
        flatness=80.0,
        halo=400.0,
        hue=30.0,
        facet=50.0,
        tint=30.0,
        pattern=120.0,
        tone=10.0,
    ),
    code_learning_rate=1e-2,
    discriminator_learning_rate=1e-3,
    adversarial_from=50,
    ema=0.98,
)
_SYNTHETIC_PICTURES, _SYNTHETIC_SIDE = 32, 288
_TRIED_PICTURES, _TRIED_SIDE = 2, 192


@dataclass(frozen=True)
class OwnStyle:
    """A trained code (size,) float32, its figures (see `measure_styles`), and the style it began from."""

    code: NDArray[np.float32]
    metrics: dict[str, float]
    began_from: str


def synthetic_photos(seed: int = 0) -> PictureFolder:
    """The content set of those who give none: dead leaves."""
    pictures = tuple(
        dead_leaves(_SYNTHETIC_SIDE, _SYNTHETIC_SIDE, np.random.default_rng([seed, i]))
        for i in range(_SYNTHETIC_PICTURES)
    )
    return PictureFolder(pictures, tuple(f"dead leaves {i}" for i in range(len(pictures))), {})


def train_own_style(
    picture: NDArray[np.uint8],
    bundle: StyleBundle,
    features: PerceptualFeatures,
    photos: PictureFolder,
    *,
    config: TrainConfig = OWN_STYLE,
    compute: Compute | None = None,
    report: Callable[[TrainProgress], None] = lambda _: None,
) -> OwnStyle:
    """Learn the code of `picture`, RGB uint8 (H, W, 3), on the bundle's frozen generator.

    photos: what to paint while learning. The code begins as that of the bundled style nearest to the
    picture, and shall have its patterns, colours and tones. config: its generator and its layers are set
    here. Raises ModelError, ConfigError, StreamStyleError.
    """
    compute = compute or Compute()
    if compute.ranks > 1:
        raise ConfigError("a style is learnt by one process; start it without torchrun")
    config = replace(config, style_layers=features.style_layers, content_layer=features.content_layer)
    features.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = restore_generator(bundle.manifest.architecture, bundle.weights).to(compute.device)
    scaled = resize_paintings([picture], config)
    targets = StyleTargets(features, scaled, config)
    start, name = _nearest_code(generator, bundle, features, photos, targets)
    _ask_as_(targets, bundle, name)
    state = GanState(
        config, generator, _codes(generator, start, bundle), _discriminator(bundle, config.seed), compute
    )
    smoothed: dict[str, float] = {}
    started = time.perf_counter()
    for step in range(config.steps):
        rng = compute.rng(config.seed, step)
        batch = draw_batch(
            photos,
            scaled,
            size=config.batch,
            crop=config.crop,
            noise_share=config.noise_share,
            rng=rng,
            with_original=False,
        )
        change = draw_next_frame(1, config.crop, rng).to(compute.device)
        state.set_learning_rate_(learning_rate_share(step, config.steps, warm_up_steps=10))
        terms = train_step(state, batch.to(compute.device), change, features, targets, config, step=step)
        smooth_(smoothed, terms)
        seconds = (time.perf_counter() - started) / (step + 1)
        report(TrainProgress(step + 1, config.steps, dict(smoothed), seconds))
    code = state.averaged_network()[1][:1].cpu()
    for network in (generator, features):
        network.cpu()
    (metrics,) = measure_styles(generator, code, config, photos, [picture], features)
    return OwnStyle(code[0].numpy().copy(), metrics, name)


def _ask_as_(targets: StyleTargets, bundle: StyleBundle, name: str) -> None:
    """Ask the one style of `targets` for what the bundle's style of that name was asked for."""
    options = bundle.manifest.training.get("options", {})
    for strength, of in (
        (targets.facets, "facets_of"),
        (targets.tints, "tints_of"),
        (targets.stroke_tints, "stroke_tints_of"),
        (targets.tones, "tones_of"),
    ):
        strength.fill_(options.get(of, {}).get(name, 0.0))
    targets.still_shares[0] = options.get("still_of", {}).get(name, 1.0)
    targets.ask_patterns_(0, options.get("patterns_of", {}).get(name))


def _codes(generator: Generator, start: Tensor, bundle: StyleBundle) -> StyleCodes:
    codes = StyleCodes(generator, 1)
    with torch.no_grad():
        codes.weight[0] = start
        codes.weight[1] = torch.from_numpy(bundle.original)
    return codes


def _discriminator(bundle: StyleBundle, seed: int) -> PatchDiscriminator:
    """The base's discriminator, frozen but for its head, which begins as the mean of the paintings' heads."""
    discriminator = PatchDiscriminator.restore(load(read_discriminator(bundle)))
    discriminator.requires_grad_(False)
    embedding = discriminator.embedding.weight[:-1].mean(dim=0, keepdim=True)
    torch.manual_seed(seed)
    discriminator.embedding = nn.Embedding(1, embedding.shape[1])
    with torch.no_grad():
        discriminator.embedding.weight.copy_(embedding)
    discriminator.score.requires_grad_(True)
    return discriminator


@torch.no_grad()
def _nearest_code(
    generator: Generator,
    bundle: StyleBundle,
    features: PerceptualFeatures,
    photos: PictureFolder,
    targets: StyleTargets,
) -> tuple[Tensor, str]:
    """The bundled code whose paintings of two photos come nearest to the picture, and its name."""
    squares = np.stack(center_squares(photos, _TRIED_PICTURES, _TRIED_SIDE))
    device = features.mean.device
    target = targets.of(torch.zeros(_TRIED_PICTURES, dtype=torch.long, device=device), 0)

    def distance(entry: StyleEntry) -> float:
        painted = paint(generator, squares, torch.from_numpy(entry.code).to(device))
        x = torch.stack([to_tensor(picture) for picture in painted]).to(device)
        grams = {name: losses.gram(tap) for name, tap in features(x, list(target)).items()}
        return float(losses.gram_loss(grams, target))

    nearest = min(bundle.styles, key=distance)
    return torch.from_numpy(nearest.code), nearest.name
