"""Explanation of one painted picture: all measurements as data, and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.explain.ablation import Ablation, ablate
from streamstyle.explain.adjust import GROUPS, adjust, group_of
from streamstyle.explain.attribution import Attribution, attribute
from streamstyle.explain.critic import Critic
from streamstyle.explain.feature_maps import ChannelMap, feature_maps, strongest
from streamstyle.explain.picture import fit, heat
from streamstyle.explain.swatch import swatch
from streamstyle.files.page import figure, heading, page, paragraph, row, table
from streamstyle.nets.generator import Generator, paint
from streamstyle.types import Picture

_CHANNELS = 6
_PLACES = 6
_FACTORS = (0.0, 0.5, 1.5, 2.0)


@dataclass(frozen=True)
class AdjustedStyle:
    """The style of a picture that is to be explained."""

    name: str
    """The mix as the user wrote it."""
    shares: Mapping[str, float]
    """The same, parsed: share of each style."""
    factors: Mapping[str, float]
    """Factor of each group, see `adjust`."""
    code: NDArray[np.float32]
    """(size,), adjusted by `factors`."""
    mean: NDArray[np.float32]
    """(size,): mean code of all styles."""


@dataclass(frozen=True)
class Explanation:
    """Measurements of one picture in one style."""

    style: str
    """The mix as the user wrote it."""
    factors: Mapping[str, float]
    """Factor of each group, see `adjust`."""
    photo: Picture
    """(H, W, 3)."""
    result: Picture
    """(H, W, 3)."""
    swatch: Picture
    """The adjusted style's own texture."""
    channels: Mapping[str, tuple[ChannelMap, ...]]
    ablations: tuple[Ablation, ...]
    adjusted: Mapping[str, Mapping[float, Picture]]
    """{group: {factor: picture}}."""
    attribution: Attribution
    verdict: NDArray[np.float32] | None
    """(H/8, W/8): logits of the discriminator; None if `no_verdict` says why."""
    no_verdict: str

    def to_json(self) -> dict[str, Any]:
        """The figures without the pictures."""
        keys = ("layer", "part", "entries", "change", "light", "colour", "texture")
        regions = {name: round(float(getattr(self.attribution, name).mean()), 4) for name in _REGIONS}
        return {
            "style": self.style,
            "turn": dict(self.factors),
            "width": self.result.shape[1],
            "height": self.result.shape[0],
            "ablation": [{key: _rounded(getattr(a, key)) for key in keys} for a in self.ablations],
            "attribution": regions,
            "discriminator": None if self.verdict is None else _verdict_figures(self.verdict),
        }


_REGIONS = {
    "edges": "edges left of the photo",
    "colour": "colour: share of the style",
    "texture": "texture: share of the style",
}


def explain(
    generator: Generator,
    photo: Picture,
    style: AdjustedStyle,
    *,
    critic: Critic | None,
    side: int = 640,
) -> Explanation:
    """Paint `photo` (RGB uint8, any size; reduced to at most `side` pixels) and measure the explanation."""
    code, mean = style.code, style.mean
    content = fit(photo, side)
    result = _paint(generator, content, code)
    height, width = content.shape[:2]
    texture = swatch(generator, code, height, width)
    small = fit(photo, side // 2)
    variants = {
        group: {
            f: _paint(generator, small, adjust(code, generator.layout, mean, {group: f})) for f in _FACTORS
        }
        for group in GROUPS
    }
    missing = ""
    if critic is None:
        missing = "The bundle ships no discriminator."
    elif not critic.knows(style.shares):
        missing = "The discriminator was not trained with this style."
    maps = feature_maps(generator, content, code)
    return Explanation(
        style=style.name,
        factors=style.factors,
        photo=content,
        result=result,
        swatch=texture,
        channels={layer: strongest(values, _CHANNELS) for layer, values in maps.items()},
        ablations=ablate(generator, content, code, mean),
        adjusted=variants,
        attribution=attribute(content, result, texture),
        verdict=critic.judge(result, style.shares) if critic and not missing else None,
        no_verdict=missing,
    )


def explanation_page(e: Explanation) -> str:
    """A self-contained HTML page."""
    adjusted = ", ".join(f"{group} {factor:g}" for group, factor in e.factors.items())
    return page(
        f"Why it came out so: {e.style}",
        [
            _wide(
                [
                    figure(e.photo, "the photo"),
                    figure(e.result, f"the result{f', adjusted: {adjusted}' if adjusted else ''}"),
                    figure(e.swatch, "the style on noise alone: its own texture"),
                ]
            ),
            *_attribution_section(e),
            *_verdict_section(e),
            *_ablation_section(e),
            *_adjust_section(e),
            *_layer_section(e),
        ],
    )


def _attribution_section(e: Explanation) -> list[str]:
    size = e.result.shape[:2]
    maps = {name: getattr(e.attribution, name) for name in _REGIONS}
    return [
        heading("Photo or style?"),
        paragraph(
            "Bright is 1, dark is 0. Edges: 1 where the output has the photo's edges, 0 where they are gone "
            "or where strokes stand in the photo's flat parts. Colour and texture: 0 where the output is as "
            "the photo is there, 1 where it is as the style's own texture somewhere is."
        ),
        _wide(
            [
                figure(heat(maps[name], size, low=0, high=1), f"{label}, mean {maps[name].mean():.2f}")
                for name, label in _REGIONS.items()
            ]
        ),
    ]


def _verdict_section(e: Explanation) -> list[str]:
    if e.verdict is None:
        return [heading("What the discriminator says"), paragraph(e.no_verdict)]
    figures = _verdict_figures(e.verdict)
    bound = max(float(np.abs(e.verdict).max()), 1e-6)
    small = cv2.resize(e.result, e.verdict.shape[::-1], interpolation=cv2.INTER_AREA)
    accepted = np.where((e.verdict > 0)[..., None], small, small // 5).astype(np.uint8)
    accepted = cv2.resize(accepted, e.result.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    return [
        heading("What the discriminator says"),
        paragraph(
            "It was trained to tell patches of the painting from patches of outputs. "
            f"{figures['accepted']:.0%} of the patches here pass for the painting, the mean logit is "
            f"{figures['mean']:.2f}."
        ),
        _wide(
            [
                figure(
                    heat(e.verdict, e.result.shape[:2], low=-bound, high=bound),
                    f"logits, -{bound:.1f} to {bound:.1f}",
                ),
                figure(accepted, "the patches that pass; the others dark"),
            ]
        ),
    ]


def _ablation_section(e: Explanation) -> list[str]:
    rows: list[tuple[str | float, ...]] = [
        (
            a.layer,
            a.part,
            group_of(a.layer),
            a.entries,
            *(round(v, 2) for v in (a.change, a.light, a.colour)),
            f"{a.texture:+.1%}",
        )
        for a in e.ablations
    ]
    top = max((a.where.max() for a in e.ablations), default=np.float32(1))
    size = e.result.shape[:2]
    shown = [
        figure(heat(a.where, size, low=0, high=float(top) * 0.7), f"{a.layer} {a.part}, mean {a.change:.1f}")
        for a in e.ablations[:_PLACES]
    ]
    columns = ("layer", "part", "group", "numbers", "change", "light", "colour", "fine contrast")
    return [
        heading("Which numbers of the style matter"),
        paragraph(
            "Each line replaces the scales or the shifts of one layer by those of the average style. Change: "
            "mean colour difference in Lab units. Light and colour: how far coarse lightness and coarse "
            "colour move. Fine contrast: how the deviation of fine lightness changes. The maps show where."
        ),
        table(columns, rows),
        f'<div style="margin-top:1.2rem">{row(shown)}</div>',
    ]


def _adjust_section(e: Explanation) -> list[str]:
    blocks = [
        heading("What its groups do"),
        paragraph(
            "Each row turns one group: at 0 it is the average style's, at 1 it is as above, beyond 1 what "
            "sets the style apart is exaggerated."
        ),
    ]
    for group, pictures in e.adjusted.items():
        blocks.append(row([figure(picture, f"{group} {factor:g}") for factor, picture in pictures.items()]))
    return blocks


def _layer_section(e: Explanation) -> list[str]:
    blocks = [
        heading("What the layers see"),
        paragraph(
            "Of each layer the channels that vary most over the picture, after scale, shift and ReLU; in "
            "brackets the deviation."
        ),
    ]
    height, width = (n // 2 for n in e.result.shape[:2])
    for layer, channels in e.channels.items():
        shown = [
            figure(heat(c.map, (height, width)), f"{layer} {c.index} ({c.strength:.2f})", quality=75)
            for c in channels
        ]
        blocks.append(row(shown))
    return blocks


def _wide(figures: list[str]) -> str:
    columns = "grid-template-columns:repeat(auto-fill,minmax(300px,1fr))"
    return f'<div class="row" style="{columns}">{"".join(figures)}</div>'


def _paint(generator: Generator, picture: Picture, code: NDArray[np.float32]) -> Picture:
    painted: Picture = paint(generator, picture[None], torch.from_numpy(code))[0]
    return painted


def _rounded(value: str | float) -> str | float:
    return round(value, 4) if isinstance(value, float) else value


def _verdict_figures(verdict: NDArray[np.float32]) -> dict[str, float]:
    return {"accepted": round(float((verdict > 0).mean()), 4), "mean": round(float(verdict.mean()), 4)}
