"""Gallery page of all styles: facts, own texture, and effect on a picture."""

from __future__ import annotations

import html
from collections.abc import Sequence

import torch

from streamstyle.explain.picture import fit
from streamstyle.explain.swatch import swatch
from streamstyle.files.page import figure, page, paragraph
from streamstyle.nets.generator import Generator, paint
from streamstyle.styles.entry import StyleEntry
from streamstyle.types import Picture

_SAMPLE_SIDE = 512
_GRID = "display:grid;gap:2.4rem 2rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,520px),1fr))"
_PICTURES = "display:grid;gap:.5rem;grid-template-columns:{sample:.3f}fr 1fr"
_FIGURES = "font-size:.85rem;opacity:.75;margin:.3rem 0 0;font-variant-numeric:tabular-nums"


def gallery_page(
    generator: Generator, styles: Sequence[StyleEntry], sample: Picture, sample_name: str
) -> str:
    """A self-contained HTML page of every style, in the order given.

    sample: RGB uint8 (H, W, 3) of any size, painted in each style; `sample_name` describes it. All texts are
    escaped.
    """
    content = fit(sample, _SAMPLE_SIDE)
    cards = "".join(_card(generator, style, content) for style in styles)
    count = f"{len(styles)} style{'' if len(styles) == 1 else 's'}"
    return page(
        "Styles",
        [
            paragraph(
                f"{count}. Left, what each makes of {sample_name}; right, its swatch: the style painted from "
                "noise alone. The figures were measured when the style was trained."
            ),
            f'<div style="max-width:320px">{figure(content, sample_name)}</div>',
            f'<div style="{_GRID};margin-top:2rem">{cards}</div>',
        ],
    )


def _card(generator: Generator, style: StyleEntry, content: Picture) -> str:
    height, width = content.shape[:2]
    painted = paint(generator, content[None], torch.from_numpy(style.code))[0]
    texture = swatch(generator, style.code, height, height)
    columns = _PICTURES.format(sample=width / height)
    pictures = figure(painted, style.name, quality=82) + figure(texture, "swatch", quality=82)
    by = ", ".join(text for text in (style.artist, style.year, style.licence) if text)
    figures = " · ".join(f"{key.replace('_', ' ')} {value}" for key, value in style.metrics.items())
    return (
        f'<article><div style="{columns}">{pictures}</div>'
        f'<h2 style="margin:.5rem 0 0">{html.escape(style.title)}</h2>'
        f'<p style="margin:0">{html.escape(by)}</p>'
        f'<p style="{_FIGURES}">{html.escape(figures)}</p></article>'
    )
