"""All measures of a painted picture or film against its original, frame by frame."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamstyle.metrics import perceptual
from streamstyle.metrics.colour_distance import sliced_wasserstein_lab
from streamstyle.metrics.flicker import flicker_index
from streamstyle.metrics.grid import grid_contrast
from streamstyle.metrics.perceptual import FeatureNetwork
from streamstyle.metrics.similarity import (
    contrast_ratio,
    edge_similarity,
    mean_luma,
    psnr,
    sharpness_ratio,
    ssim,
)
from streamstyle.metrics.warp_error import WarpError
from streamstyle.types import Picture

LONG_GAP = 10
# Features cost more than all other figures together, and neighbouring frames hardly differ in them.
FEATURES_EVERY = 12


class Comparison:
    """Takes pairs of frames and computes the measures.

    painting: RGB uint8 (H, W, 3), the style's source, at the size whose strokes were learnt; None leaves out
    the distances to it. features: None leaves out the distances on features.
    """

    def __init__(self, features: FeatureNetwork | None = None, painting: Picture | None = None) -> None:
        self._features, self._painting = features, painting
        self._painting_taps = (
            None if features is None or painting is None else perceptual.taps(features, painting)
        )
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._lumas: list[tuple[float, float]] = []
        self._positions: list[NDArray[np.float64]] = []
        self._warps = {"warp_error": WarpError(), f"warp_error_gap{LONG_GAP}": WarpError(LONG_GAP)}

    def add(self, original: Picture, styled: Picture, reference: Picture | None = None) -> None:
        """Add the next frames, RGB uint8 (H, W, 3), all of one size, 64 pixels or more a side.

        reference: the picture that a repair made `styled` from; in every call or in none.
        """
        figures = {
            "ssim": ssim(original, styled),
            "psnr": psnr(original, styled),
            "edge_similarity": edge_similarity(original, styled),
            "sharpness_ratio": sharpness_ratio(styled, original),
            "contrast_ratio": contrast_ratio(styled, original),
            "grid_contrast": grid_contrast(styled),
            "grid_contrast_original": grid_contrast(original),
        }
        if self._painting is not None:
            figures["colour_distance"] = sliced_wasserstein_lab(styled, self._painting)
            figures["colour_distance_original"] = sliced_wasserstein_lab(original, self._painting)
        if reference is not None:
            figures["sharpness_to_reference"] = sharpness_ratio(styled, reference)
            figures["contrast_to_reference"] = contrast_ratio(styled, reference)
        if self._features is not None and len(self._lumas) % FEATURES_EVERY == 0:
            figures |= self._feature_figures(self._features, original, styled)
            if reference is not None:
                taps = [perceptual.taps(self._features, picture) for picture in (reference, styled)]
                figures["perceptual_to_reference"] = perceptual.perceptual_distance(*taps)
        for name, value in figures.items():
            self._values[name].append(value)
        self._lumas.append((mean_luma(original), mean_luma(styled)))
        for warp in self._warps.values():
            warp.add(original, styled, *([] if reference is None else [reference]))

    def _feature_figures(
        self, features: FeatureNetwork, original: Picture, styled: Picture
    ) -> dict[str, float]:
        before, after = perceptual.taps(features, original), perceptual.taps(features, styled)
        figures = {"perceptual_distance": perceptual.perceptual_distance(before, after)}
        if self._painting_taps is not None:
            target = perceptual.grams(self._painting_taps)
            figures["style_distance"] = perceptual.gram_distance(perceptual.grams(after), target)
            figures["style_distance_original"] = perceptual.gram_distance(perceptual.grams(before), target)
            self._positions.append(perceptual.positions(after))
        return figures

    def figures(self) -> dict[str, float]:
        """Means over at least one frame, by name. Measures that could not be computed are left out.

        The mean of PSNRs is that of the mean squared error; ratios to a flat frame do not count. ssim, psnr
        (dB), edge_similarity, sharpness_ratio, contrast_ratio: to the original. grid_contrast: see
        `metrics.grid`. colour_distance, style_distance, frechet_distance: to the painting.
        perceptual_distance: to the original. sharpness_, contrast_, perceptual_to_reference: the same to the
        reference. steadier: D_t of Lai et al. 2018, 1 - warp_error / that of the reference. warp_error and
        flicker: of films. A name that ends in `_original` is the measure of the original.
        """
        figures = {name: _mean(name, values) for name, values in self._values.items()}
        if self._positions and self._painting_taps is not None:
            painting = perceptual.positions(self._painting_taps)
            figures["frechet_distance"] = perceptual.set_distance(np.concatenate(self._positions), painting)
        for name, warp in self._warps.items():
            if means := warp.means():
                figures[f"{name}_original"], figures[name], *of_reference = means
                if of_reference and of_reference[0]:
                    end = name.removeprefix("warp_error")
                    figures[f"{name}_reference"] = of_reference[0]
                    figures[f"steadier{end}"] = 1 - figures[name] / of_reference[0]
        if len(self._lumas) > 1:
            original, styled = zip(*self._lumas, strict=True)
            figures["flicker"] = flicker_index(styled, original)
        return figures


def _mean(name: str, values: Sequence[float]) -> float:
    if name == "psnr":
        error = np.mean([10 ** (-value / 10) for value in values])
        return float(-10 * np.log10(error)) if error else math.inf
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.inf
