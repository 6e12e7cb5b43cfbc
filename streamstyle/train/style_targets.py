"""What a run asks of each style: statistics of its painting, and how strong its patterns and colours are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.nets.features import PerceptualFeatures
from streamstyle.train import losses
from streamstyle.train.data import resize_to_area, to_tensor
from streamstyle.train.options import PatternKind, TrainConfig

_NEIGHBOUR_OCTAVES = 3  # from the full size on
_NEIGHBOUR_SAMPLES = 2048  # places of a painting at each octave


class StyleTargets:
    """Targets of the style losses: of every painting the Gram matrices over an image pyramid, and features
    at places in it.

    In fp32, on the device of `features`. Shallow layers on a pyramid hold large structures as well as deep
    layers do (Snelgrove 2017, High-resolution multi-scale neural texture synthesis).
    places: the content layer at random places (S, M, C), for each of the first octaves; none where the loss
    has no such term.

    By the paintings' names, each (S,): content_shares: what a style's content term counts; facets: how strong
    its facets shall be; tints, stroke_tints: how different in colour its cells and strokes; tones: how steep
    its tones. still_shares: what stillness counts, 1 for `original`, (S + 1,). patterns: (S, kinds), how
    strong its patterns; has_patterns: whether that is told of a style.
    """

    def __init__(
        self,
        features: PerceptualFeatures,
        paintings: Sequence[NDArray[np.uint8]],
        config: TrainConfig,
        names: Sequence[str] = (),
    ) -> None:
        self.layers, octaves = config.style_layers, config.octaves
        self.styles = len(paintings)
        known = names or [""] * self.styles
        device = features.mean.device

        def by_style(numbers: Mapping[str, float], default: float = 0.0) -> Tensor:
            return torch.tensor([numbers.get(name, default) for name in known], device=device)

        self.content_shares = by_style(config.content_of, 1.0)
        self.still_shares = torch.cat([by_style(config.still_of, 1.0), torch.ones(1, device=device)])
        self.facets, self.tints = by_style(config.facets_of), by_style(config.tints_of)
        self.stroke_tints, self.tones = by_style(config.stroke_tints_of), by_style(config.tones_of)
        self.patterns = torch.zeros(self.styles, len(get_args(PatternKind)), device=device)
        self.has_patterns = torch.zeros(self.styles, dtype=torch.bool, device=device)
        for style, name in enumerate(known):
            self.ask_patterns_(style, config.patterns_of.get(name))
        of_painting = [
            self.grams_of(features, to_tensor(painting)[None].to(features.mean.device), octaves)
            for painting in paintings
        ]
        self.grams: list[dict[str, Tensor]] = [
            {name: torch.cat([grams[octave][name] for grams in of_painting]) for name in self.layers}
            for octave in range(octaves)
        ]
        places = [
            self._places_of(features, config.content_layer, to_tensor(painting)[None])
            for painting in paintings
            if config.weights.neighbour
        ]
        self.places = [torch.stack(octave) for octave in zip(*places, strict=True)]

    def ask_patterns_(self, style: int, strengths: Mapping[PatternKind, float] | None) -> None:
        """Ask a style for these kinds of patterns and no others, or leave it free."""
        self.has_patterns[style] = strengths is not None
        of_kinds = [(strengths or {}).get(kind, 0.0) for kind in get_args(PatternKind)]
        self.patterns[style] = torch.tensor(of_kinds).to(self.patterns)

    @torch.no_grad()
    def _places_of(self, features: PerceptualFeatures, layer: str, x: Tensor) -> list[Tensor]:
        """Features (M, C) of a picture (1, 3, H, W) at random places, for each octave."""
        chosen = torch.Generator().manual_seed(0)
        places = []
        for level in losses.pyramid(x.to(features.mean.device), _NEIGHBOUR_OCTAVES):
            at = features(level, [layer])[layer][0].flatten(1).T
            picks = torch.randint(len(at), (_NEIGHBOUR_SAMPLES,), generator=chosen)
            places.append(at[picks.to(at.device)].float())
        return places

    @torch.no_grad()
    def grams_of(self, features: PerceptualFeatures, x: Tensor, octaves: int) -> list[dict[str, Tensor]]:
        """Of pictures (B, 3, H, W): per octave {layer: (B, C, C)}."""
        return [
            {name: losses.gram(tap) for name, tap in features(level, self.layers).items()}
            for level in losses.pyramid(x, octaves)
        ]

    def of(self, style: Tensor, octave: int) -> dict[str, Tensor]:
        """{layer: (B, C, C)} for styles (B,): those layers that are compared at this octave."""
        return {name: self.grams[octave][name][style] for name in losses.layers_at(octave, self.layers)}


def resize_paintings(
    pictures: Sequence[NDArray[np.uint8]], config: TrainConfig
) -> tuple[NDArray[np.uint8], ...]:
    """Bring paintings to the scale whose strokes the network shall learn."""
    return tuple(resize_to_area(picture, config.style_side) for picture in pictures)
