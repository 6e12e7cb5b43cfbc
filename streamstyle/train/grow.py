"""Start a run from a trained, smaller network: the larger one paints the same on its first step.

Source: net2net, Chen et al. 2016; here new channels keep their fresh weights and nothing trained reads them
yet, so that they differ from each other from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor
from torch.nn.utils import parametrize

from streamstyle.errors import ModelError
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.generator import Generator
from streamstyle.nets.layout import CodeLayout, GeneratorConfig
from streamstyle.styles.bundle import load_bundle, read_discriminator
from streamstyle.train.checkpoint import read_checkpoint
from streamstyle.train.step import GanState, StyleCodes

_POWER_ITERATIONS = 30


@torch.no_grad()
def grow_(
    state: GanState, checkpoint: Path, *, names: Sequence[str] = (), fresh_strokes: bool = False
) -> None:
    """Fill `state` from the averaged weights of another run's checkpoint, or from a bundle's folder.

    names: of the styles of `state`, those of a bundle by default. fresh_strokes: see `forget_strokes_`.

    The trained network may have fewer channels, blocks and canvas channels than `state`, not more. Styles of
    a bundle are found by name, and new ones begin as the mean of the bundle's; those of a checkpoint, which
    knows no names, are the first ones of `state`, in the same order. Optimizers stay fresh. Raises
    ModelError.
    """
    architecture, tensors = _read_bundle(checkpoint, names) if checkpoint.is_dir() else _read_run(checkpoint)
    try:
        trained = GeneratorConfig.from_json(architecture)
        _grow_generator_(state.generator, trained, _under("averaged.0.", tensors))
        _grow_codes_(state.codes, state.generator.layout, trained, tensors["averaged.1.weight"])
        _judge_as_(state.discriminator, _under("discriminator.", tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{checkpoint} does not fit into this run, which must begin with its styles and be no smaller"
        ) from error
    if fresh_strokes:
        forget_strokes_(state.generator)
    state.average_(0.0)


@torch.no_grad()
def forget_strokes_(generator: Generator) -> None:
    """Keep what each place is painted with, forget the patterns: every depthwise kernel becomes its sum in
    the middle, with a little noise around it, and the canvas is read with new weights. A network that got
    used to one pattern does not leave it by training alone.
    """
    for block in generator.blocks:
        kernel = block.depthwise.weight  # type: ignore[union-attr]
        assert isinstance(kernel, Tensor)
        total = kernel.sum(dim=(2, 3))
        noise = 0.03 * torch.randn_like(kernel)
        kernel.copy_(noise - noise.mean(dim=(2, 3), keepdim=True))
        kernel[:, :, kernel.shape[2] // 2, kernel.shape[3] // 2] += total
    generator.weave.weight.copy_(0.05 * torch.randn_like(generator.weave.weight))


def _read_run(checkpoint: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The generator's options, and its tensors by their names in a checkpoint."""
    about, tensors = read_checkpoint(checkpoint, to="start from")
    try:
        return about["options"]["generator"], tensors
    except (KeyError, TypeError) as error:
        raise ModelError(f"cannot start from {checkpoint}: it does not name its generator") from error


def _read_bundle(folder: Path, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The same of a bundle, which holds averaged weights alone; a row for each of `names`."""
    bundle = load_bundle(folder)
    names = names or bundle.names
    of_style = {style.name: style.code for style in bundle.styles}
    codes = np.stack([*(of_style.get(name, bundle.mean) for name in names), bundle.original])
    tensors = {f"averaged.0.{name}": torch.from_numpy(array) for name, array in bundle.weights.items()}
    judging = load(read_discriminator(bundle))
    tensors |= {f"discriminator.{name}": tensor.float() for name, tensor in judging.items()}
    embedding = tensors["discriminator.embedding.weight"]
    rows = dict(zip(bundle.names, embedding, strict=False))
    tensors["discriminator.embedding.weight"] = torch.stack(
        [*(rows.get(name, embedding[:-1].mean(dim=0)) for name in names), embedding[-1]]
    )
    return bundle.manifest.architecture, tensors | {"averaged.1.weight": torch.from_numpy(codes)}


def _judge_as_(discriminator: PatchDiscriminator, trained: dict[str, Tensor]) -> None:
    """Take a discriminator's weights over; a bundle's are plain, their spectral norms being 1."""
    embedding = discriminator.embedding.weight
    _rows_(embedding, trained.pop("embedding.weight"))
    if "score.weight" not in trained:
        discriminator.load_state_dict({**trained, "embedding.weight": embedding})
        return
    for name, module in discriminator.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            module.weight = trained[f"{name}.weight"]
            module.bias.copy_(trained[f"{name}.bias"])
            for _ in range(_POWER_ITERATIONS):
                _ = module.weight  # each look at it brings the estimate of the norm nearer


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _grow_generator_(generator: Generator, trained: GeneratorConfig, weights: dict[str, Tensor]) -> None:
    for block in (*generator.blocks[trained.blocks :], *generator.fine[trained.fine_blocks :]):
        for parameter in block.project.parameters():
            parameter.zero_()  # a new block adds nothing yet
    if generator.config.head and not trained.head:
        generator.head.show_(weights.pop("up2.weight"), weights.pop("up2.bias"))
    own = dict(generator.named_parameters())
    for name, small in weights.items():
        large = own[name]
        if any(s > t for s, t in zip(small.shape, large.shape, strict=True)):
            raise ValueError(f"{name} does not fit")
        rows = large[: small.shape[0]]
        rows.zero_()  # what was trained does not read what is new
        rows[tuple(slice(0, side) for side in small.shape)] = small


def _grow_codes_(codes: StyleCodes, layout: CodeLayout, trained: GeneratorConfig, small: Tensor) -> None:
    before = Generator(trained).layout.split(small)
    now = layout.split(codes.weight)
    for name, parts in before.items():
        for old, new in zip(parts, now[name], strict=True):
            _rows_(new[:, : old.shape[1]], old)
    for name in ("skip", "pattern"):
        if name in now and name not in before:
            for part in now[name]:
                part.zero_()


def _rows_(rows: Tensor, trained: Tensor) -> None:
    """Fill one row per style, the last one of both for `original`; new styles in between keep theirs."""
    styles = len(trained) - 1
    rows[:styles].copy_(trained[:styles])
    rows[-1].copy_(trained[-1])
