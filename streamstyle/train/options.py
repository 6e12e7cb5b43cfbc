"""Options of a base training run: what a YAML file may say, and what the manifest records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from streamstyle.nets.layout import GeneratorConfig

_Share = Annotated[float, Meta(ge=0, le=1)]
_Slope = Annotated[float, Meta(ge=-1, le=1)]

PatternKind: TypeAlias = Literal[
    "dots", "lines", "joints", "small_facets", "large_facets", "fine_strokes", "broad_strokes"
]
"""Of `streamstyle.nets.noise.PATTERN_KINDS`."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term of the generator's loss."""

    style: float = 1.0
    neighbour: float = 0.0
    content: float = 0.25
    variation: float = 1.0
    adversarial: float = 0.05
    luminance_warp: float = 1.5
    no_flow: float = 0.5
    identity: float = 8.0
    range: float = 10.0
    grid: float = 5.0
    lattice: float = 0.0
    flatness: float = 0.0
    hue: float = 0.0
    facet: float = 0.0
    halo: float = 0.0
    tint: float = 0.0
    pattern: float = 0.0
    tone: float = 0.0
    motion_blur: float = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """Options of a base training run; stored in checkpoints and in the manifest.

    batch: photos of a step on each process, 2 or more. noise_share: how many of them are coloured noise
    instead, from which the network learns to paint a style's texture without a photo.

    crop: side of a training crop in pixels, a multiple of 32. style_side: paintings are resized to about
    style_side^2 pixels, which sets the size of the strokes. adversarial_from: first step with the
    discriminator in the loss. ema: decay of the averaged weights, per step. r1: gamma of the discriminator's
    gradient penalty, 0: off.

    octaves: of the image pyramid on which the style is compared; content is at the second and the third.
    octave_decay: weight of an octave over that of the one before. Below 1 plain walls get strokes and no
    clouds: a painting's large forms are not for every part of every photo.
    fine_side: side of the part of a crop that is compared at the full size, where statistics need few pixels
    and cost most; 0: all of it.
    content_of: by a style's name, what its content term counts over that of the others: more where strokes
    hide faces, less where they are faint.
    still_of: the same of the term that keeps a picture still while the photo has noise: more for black and
    white, where noise becomes flicker.
    facets_of: by a style's name, the deviation of brightness that facets shall have, from 0 to 1.
    tints_of: by a style's name, the deviation of chroma that cells shall have, from 0 to 1.
    stroke_tints_of: the same of brush strokes.
    tones_of: by a style's name, how steeply its brightness shall follow the photo's at least.
    patterns_of: by a style's name, the deviation of brightness that each kind of the canvas's patterns shall
    give at least, from 0 to 1, or below 0 where they shall be dark; kinds without a number shall give none.
    Styles without a name here are free to mix patterns as the other terms ask.

    A checkpoint without a field is read as if it had the field's default: a new field's default must mean
    what a run did before.
    """

    generator: GeneratorConfig = GeneratorConfig()
    weights: LossWeights = LossWeights()
    steps: Annotated[int, Meta(ge=1)] = 5000
    batch: Annotated[int, Meta(ge=2)] = 4
    crop: Annotated[int, Meta(ge=64, multiple_of=32)] = 192
    style_side: Annotated[int, Meta(ge=64)] = 512
    noise_share: Annotated[float, Meta(ge=0, le=1)] = 0.06
    learning_rate: float = 1.5e-3
    code_learning_rate: float = 2e-3
    discriminator_learning_rate: float = 4e-4
    adversarial_from: int = 300
    ema: Annotated[float, Meta(ge=0, lt=1)] = 0.998
    r1: Annotated[float, Meta(ge=0)] = 0.0
    seed: Annotated[int, Meta(ge=0)] = 0
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1")
    content_layer: str = "relu3_1"
    octaves: Annotated[int, Meta(ge=2, le=4)] = 4
    octave_decay: Annotated[float, Meta(gt=0, le=1)] = 1.0
    fine_side: Annotated[int, Meta(ge=0, multiple_of=32)] = 0
    content_of: Mapping[str, Annotated[float, Meta(ge=0)]] = field(default_factory=dict)
    still_of: Mapping[str, Annotated[float, Meta(ge=0)]] = field(default_factory=dict)
    facets_of: Mapping[str, _Share] = field(default_factory=dict)
    tints_of: Mapping[str, _Share] = field(default_factory=dict)
    stroke_tints_of: Mapping[str, _Share] = field(default_factory=dict)
    tones_of: Mapping[str, _Share] = field(default_factory=dict)
    patterns_of: Mapping[str, Mapping[PatternKind, _Slope]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest or a checkpoint."""
        plain = asdict(self)
        plain["style_layers"] = list(self.style_layers)
        plain["generator"] = self.generator.to_json()
        return plain


@dataclass(frozen=True)
class StylePicture:
    """A painting to learn: file name in the folder of styles, or `drawn:NAME` for one of `train.drawn`, and
    what the gallery says of it.

    part: left, top, right and bottom of the part to learn from, as shares of the width and the height.
    """

    picture: str
    name: str
    title: str
    artist: str
    year: str
    licence: str = "public domain"
    part: tuple[_Share, _Share, _Share, _Share] = (0, 0, 1, 1)


@dataclass(frozen=True)
class BaseTraining:
    """A whole `train.yaml`: the bundle's name, its options and its styles.

    held_out: how many of the photos are kept out of training, to measure with.
    """

    name: str = "lite"
    held_out: Annotated[int, Meta(ge=1)] = 20
    options: TrainConfig = TrainConfig()
    styles: tuple[StylePicture, ...] = ()
