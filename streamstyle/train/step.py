"""One training step of the GAN, readable from top to bottom."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from streamstyle.errors import StreamStyleError
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.features import PerceptualFeatures
from streamstyle.nets.generator import Generator
from streamstyle.train import losses
from streamstyle.train.compute import Compute
from streamstyle.train.data import (
    NUMBERS_OF_CELLS,
    Batch,
    NextFrame,
    cells_of,
    patterns_of,
)
from streamstyle.train.options import LossWeights, TrainConfig
from streamstyle.train.style_targets import StyleTargets

_CONTENT_OCTAVES = (1, 2)  # forms at half the size, tones and halos at a quarter
_R1_EVERY = 16  # steps; Karras et al. 2020 (StyleGAN2), section 3.2: lazy regularisation costs nothing


class StyleCodes(nn.Module):
    """One trainable code per style, the last one for `original`; weight: (S + 1, layout.size).

    The direct path from the photo stays closed for styles, which would settle for a tinted photo
    otherwise; `original` needs little more than that path. Patterns are mixed in as they are learned to be.
    """

    trained: Tensor

    def __init__(self, generator: Generator, styles: int) -> None:
        super().__init__()
        layout = generator.layout
        codes = layout.neutral() + 0.1 * torch.randn(styles + 1, layout.size)
        trained = torch.ones_like(codes)
        gain, offset = layout.split(codes)["detail"]
        gain[styles:].fill_(1)
        offset.zero_()
        for part in layout.split(codes).get("pattern", ()):
            part.zero_()
        for of_styles in (gain[:styles], layout.split(trained)["detail"][0][:styles]):
            of_styles.zero_()
        self.weight = nn.Parameter(codes)
        self.register_buffer("trained", trained, persistent=False)

    def forward(self, style: Tensor) -> Tensor:
        """Codes (B, size) of style indices (B,); no gradient reaches the closed path's numbers."""
        return self.weight[style] * self.trained[style]


class GanState:
    """Networks and optimizers of a run, with their averaged copies. Frozen parameters stay as they are."""

    def __init__(
        self,
        config: TrainConfig,
        generator: Generator,
        codes: StyleCodes,
        discriminator: PatchDiscriminator,
        compute: Compute | None = None,
    ) -> None:
        self.compute = compute or Compute()
        self.generator, self.codes, self.discriminator = generator, codes, discriminator
        # 15 % faster on a CPU, more on a GPU.
        self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator.to(self.compute.device)
        painter = nn.ModuleList([self.generator, self.codes]).to(self.compute.device)
        self.averaged = copy.deepcopy(painter).requires_grad_(False)
        self.discriminator_parameters = _trained(self.discriminator)
        groups = [
            {"params": _trained(self.generator), "lr": config.learning_rate},
            {"params": _trained(self.codes), "lr": config.code_learning_rate},
        ]
        self.generator_optimizer = torch.optim.Adam([g for g in groups if g["params"]], betas=(0.5, 0.99))
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator_parameters, lr=config.discriminator_learning_rate, betas=(0.5, 0.99)
        )
        for optimizer in self.optimizers().values():
            for group in optimizer.param_groups:
                group["base_lr"] = group["lr"]

    @classmethod
    def fresh(cls, config: TrainConfig, styles: int, compute: Compute | None = None) -> GanState:
        """Fresh weights that depend on the seed alone: drawn on the CPU whatever the device is."""
        torch.manual_seed(config.seed)
        generator = Generator(config.generator)
        return cls(config, generator, StyleCodes(generator, styles), PatchDiscriminator(styles + 1), compute)

    def freeze_discriminator_(self, frozen: bool) -> None:
        """While frozen, gradients pass through the discriminator and leave none behind in it."""
        for parameter in self.discriminator_parameters:
            parameter.requires_grad_(not frozen)

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights, by name."""
        return {
            "generator": self.generator,
            "codes": self.codes,
            "discriminator": self.discriminator,
            "averaged": self.averaged,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Both optimizers, by name."""
        return {
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def set_learning_rate_(self, share: float) -> None:
        """Scale every learning rate to `share` of its configured value."""
        for optimizer in self.optimizers().values():
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * share

    def averaged_network(self) -> tuple[Generator, Tensor]:
        """The averaged generator and its codes (S + 1, size): what ships."""
        generator, codes = self.averaged
        assert isinstance(generator, Generator)
        assert isinstance(codes, StyleCodes)
        return generator, codes.weight

    @torch.no_grad()
    def average_(self, decay: float) -> None:
        """Move the averaged copies towards the trained weights."""
        trained = nn.ModuleList([self.generator, self.codes])
        for slow, fast in zip(self.averaged.parameters(), trained.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def generator_losses(
    state: GanState,
    batch: Batch,
    change: NextFrame,
    features: PerceptualFeatures,
    targets: StyleTargets,
    config: TrainConfig,
) -> tuple[dict[str, Tensor], Tensor]:
    """Unweighted loss terms and the output (B, 3, S, S).

    The first sample gets a next frame from a moving camera, the second one from a camera at rest, and, if
    that counts, the last one from a shaken camera; their canvases stay, as they do on a screen.
    """
    size, shaken = len(batch.style), bool(config.weights.motion_blur)
    before = [0, 1, *([size - 1] if shaken else [])]
    moving, still = change.of_moving(batch.content[:1]), change.of_still(batch.content[1:2])
    blurred = change.of_shaken(batch.content[-1:]) if shaken else batch.content[:0]
    with state.compute.autocast():
        both = state.generator(
            torch.cat([batch.content, moving, still, blurred]),
            state.codes(torch.cat([batch.style, batch.style[before]])),
            torch.cat([batch.canvas, batch.canvas[before]]),
        )
    output, output_next = both.float().split([size, len(before)])
    terms = {
        "luminance_warp": losses.luminance_warp_loss(
            output_next[:1],
            change.warp(output[:1]),
            moving,
            change.warp(batch.content[:1]),
            change.mask,
        ),
        "no_flow": targets.still_shares[batch.style[1]]
        * losses.no_flow_loss(output[1:2], output_next[1:2], batch.content[1:2], still),
        "range": losses.range_loss(output),
    }
    painted = batch.style != targets.styles
    if shaken and painted[-1]:
        terms["motion_blur"] = losses.motion_blur_loss(output[-1:], output_next[2:])
    if not painted.all():
        terms["identity"] = losses.identity_loss(output[~painted], batch.content[~painted])
    if painted.any():
        out = output[painted]
        terms |= feature_losses(state.compute, out, batch, painted, features, targets, config)
        terms |= pixel_losses(out, batch, painted, targets, config.weights)
    return terms, output


def feature_losses(
    compute: Compute,
    out: Tensor,
    batch: Batch,
    painted: Tensor,
    features: PerceptualFeatures,
    targets: StyleTargets,
    config: TrainConfig,
) -> dict[str, Tensor]:
    """Of the painted samples `out` (B', 3, S, S) of a batch: `style`, `neighbour` and `content`."""
    style, photo, layer = batch.style[painted], batch.photo[painted], config.content_layer

    def seen(x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        with compute.autocast():
            taps = features(x, layers)
        return {name: tap.float() for name, tap in taps.items()}

    def octaves(x: Tensor) -> list[Tensor]:
        first, *smaller = losses.pyramid(x, config.octaves)
        return [batch.part(first, config.fine_side), *smaller]

    errors: list[Tensor] = []
    terms: dict[str, list[Tensor]] = {"neighbour": [], "content": []}
    pairs = zip(octaves(out), octaves(batch.content[painted]), strict=True)
    for octave, (level, of_content) in enumerate(pairs):
        target = targets.of(style, octave)
        near = octave < len(targets.places)
        kept = octave in _CONTENT_OCTAVES and bool(photo.any())
        taps = seen(level, [*target, *([layer] if near or kept else [])])
        errors.append(losses.gram_loss({name: losses.gram(taps[name]) for name in target}, target))
        if not (near or kept):
            continue
        with torch.no_grad():
            shown = seen(of_content, [layer])[layer]
        if near:
            terms["neighbour"].append(
                losses.neighbour_loss(taps[layer], shown, targets.places[octave][style])
            )
        if kept:
            shares = targets.content_shares[style][photo]
            terms["content"].append(losses.content_loss(taps[layer][photo], shown[photo], shares))
    of_style = torch.stack(errors) @ _octave_weights(config).to(out)
    return {"style": of_style} | {name: torch.stack(of).mean() for name, of in terms.items() if of}


def pixel_losses(
    out: Tensor, batch: Batch, painted: Tensor, targets: StyleTargets, weights: LossWeights
) -> dict[str, Tensor]:
    """Of the same samples: the terms that need no features."""
    photo, content = batch.photo[painted], batch.content[painted]
    terms = {"variation": losses.total_variation(out), "grid": losses.grid_loss(out)}
    if weights.lattice:
        terms["lattice"] = losses.lattice_loss(out, content, batch.painting[painted])
    if weights.hue and photo.any():
        terms["hue"] = losses.hue_loss(out[photo], content[photo])
    cells = cells_of(batch.canvas[painted])
    style = batch.style[painted]
    if weights.facet:
        terms["facet"] = losses.facet_loss(out, content, cells[:, -2:], targets.facets[style])
    kinds = patterns_of(batch.canvas[painted])
    if weights.tint:
        numbers = cells[:, NUMBERS_OF_CELLS]
        of_cells = losses.tint_loss(out, content, numbers, targets.tints[style])
        strokes = torch.cat([kinds["fine_strokes"], kinds["broad_strokes"]], dim=1)
        of_strokes = losses.tint_loss(out, content, strokes, targets.stroke_tints[style])
        terms["tint"] = of_cells + of_strokes
    if weights.tone and photo.any():
        terms["tone"] = losses.tone_loss(out[photo], content[photo], targets.tones[style][photo])
    asked = targets.has_patterns[style]
    if weights.pattern and asked.any():
        drawn = [kind[asked] for kind in kinds.values()]
        strengths = targets.patterns[style][asked]
        terms["pattern"] = losses.pattern_loss(out[asked], content[asked], drawn, strengths)
    if weights.flatness and photo.any():
        terms["flatness"] = losses.flatness_loss(out[photo], content[photo], cells[photo])
    if weights.halo and photo.any():
        terms["halo"] = losses.halo_loss(out[photo], content[photo], cells[photo])
    return terms


def _octave_weights(config: TrainConfig) -> Tensor:
    """(octaves,), with a sum of 1: each half as large counts `octave_decay` times the one before."""
    weights = config.octave_decay ** torch.arange(config.octaves)
    return weights / weights.sum()


def _train_discriminator_(
    state: GanState, batch: Batch, output: Tensor, config: TrainConfig, *, step: int
) -> dict[str, Tensor]:
    """Update the discriminator once on paintings and on `output`; returns its loss and its accuracy."""
    with state.compute.autocast():
        real = state.discriminator(batch.painting, batch.style).float()
        fake = state.discriminator(output.detach(), batch.style).float()
    loss = losses.discriminator_hinge(real, fake)
    figures = {
        "d_loss": loss.detach(),
        "d_accuracy": ((real > 0).float().mean() + (fake < 0).float().mean()) / 2,
    }
    if config.r1 and step % _R1_EVERY == 0:
        painting = batch.painting.detach().requires_grad_()
        penalty = losses.r1_penalty(state.discriminator(painting, batch.style), painting)
        figures["d_r1"] = penalty.detach()
        loss = loss + config.r1 * _R1_EVERY * penalty
    state.discriminator_optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.compute.average_gradients_(state.discriminator_parameters, loss)
    state.discriminator_optimizer.step()
    return figures


def train_step(
    state: GanState,
    batch: Batch,
    change: NextFrame,
    features: PerceptualFeatures,
    targets: StyleTargets,
    config: TrainConfig,
    *,
    step: int,
) -> dict[str, float]:
    """Update discriminator and generator once; returns the loss terms and the discriminator's figures.

    Raises StreamStyleError where the loss is not finite; the generator is then as it was.
    """
    terms, output = generator_losses(state, batch, change, features, targets, config)
    figures: dict[str, Tensor] = {}
    if step >= config.adversarial_from:
        figures = _train_discriminator_(state, batch, output, config, step=step)
        state.freeze_discriminator_(True)
        with state.compute.autocast():
            judged = state.discriminator(output, batch.style)
        terms["adversarial"] = losses.generator_hinge(judged.float())
    weights = asdict(config.weights)
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    state.generator_optimizer.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    state.freeze_discriminator_(False)
    trained = [*state.generator.parameters(), *state.codes.parameters()]
    loss = state.compute.average_gradients_(trained, total)
    norm = nn.utils.clip_grad_norm_(trained, 5.0)
    if not (loss.isfinite() and norm.isfinite()):
        raise StreamStyleError(
            f"the loss of step {step + 1} is {float(loss)}; the last checkpoint was written before it and is "
            "intact: go on from it with --precision fp32, or start anew with lower learning rates"
        )
    state.generator_optimizer.step()
    state.average_(min(config.ema, (1 + step) / (10 + step)))
    return {name: float(value.detach()) for name, value in (terms | figures).items()}
