"""Self-contained HTML pages: pictures and plots inside the file, no script, nothing fetched."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import SinkError
from streamstyle.files.whole_file import write_whole

_STYLE = """
:root { color-scheme: light dark; --line: #8884;
        --ink: light-dark(#222, #ddd); --paper: light-dark(#fff, #161616) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto; padding: 0 1rem;
       color: var(--ink); background: var(--paper) }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } p { max-width: 75ch }
table { border-collapse: collapse } th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line) }
th { text-align: left } td.number { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100%; height: auto; display: block } figure { margin: 0 }
figcaption { font-size: .85rem; opacity: .8 }
.row { display: grid; gap: .8rem } .wide { overflow-x: auto } .wide td { white-space: nowrap }
svg { width: 100%; height: auto } svg text { fill: currentColor; font-size: 11px }
"""
_SMALL_WIDTH = 320
# Okabe and Ito 2008: distinguishable with colour-blind eyes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a0522d", "#777777")


def page(title: str, body: Sequence[str]) -> str:
    """A whole document around blocks of HTML. Only `title` is escaped here."""
    name = html.escape(title)
    blocks = "\n".join(body)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{name}</h1>{blocks}</body></html>\n"
    )


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def figure(picture: NDArray[np.uint8], caption: str, *, quality: int = 88) -> str:
    """RGB uint8 (H, W, 3) as a JPEG inside the page, with a caption."""
    ok, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not ok:
        raise SinkError("cannot encode a picture of the page")
    source = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
    text = html.escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def small_picture(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) reduced to a width of 320 pixels; unchanged if it is smaller."""
    height, width = picture.shape[:2]
    size = (min(width, _SMALL_WIDTH), max(1, round(height * min(width, _SMALL_WIDTH) / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def row(figures: Sequence[str], *, least: int = 170) -> str:
    """Figures side by side, wrapping, each at least `least` pixels wide."""
    columns = f"grid-template-columns: repeat(auto-fill, minmax({least}px, 1fr))"
    return f'<div class="row" style="{columns}">{"".join(figures)}</div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str | float]]) -> str:
    """A table; numbers are set right, with four significant digits."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
    lines = ["".join(_cell(value) for value in values) for values in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def wide(block: str) -> str:
    """A table that may be wider than the page, and then scrolls by itself."""
    return f'<div class="wide">{block}</div>'


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{html.escape(value)}</td>"
    return f'<td class="number">{value:.4g}</td>'


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    width: int = 760,
    height: int = 220,
    level: float | None = None,
    marks: Sequence[float] = (),
) -> str:
    """Lines in one SVG plot of width x height units: {name: (x, y) points}. Empty series are left out.

    level: a dashed line across. marks: grey lines upright, left out beyond the points.
    """
    drawn = {name: points for name, points in series.items() if len(points)}
    if not drawn:
        return paragraph("nothing to plot")
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points] + ([] if level is None else [0.0, level])
    (x0, x1), (y0, y1) = _span(xs), _span(ys)
    left, bottom = 60, 34

    def place(x: float, y: float) -> str:
        px = left + (x - x0) / (x1 - x0) * (width - left - 10)
        py = height - bottom - (y - y0) / (y1 - y0) * (height - bottom - 22)
        return f"{px:.1f},{py:.1f}"

    parts = [
        f'<rect x="{left}" y="22" width="{width - left - 10}" height="{height - bottom - 22}" '
        'fill="none" stroke="#8886"/>',
        f'<text x="{left - 6}" y="30" text-anchor="end">{y1:.3g}</text>',
        f'<text x="{left - 6}" y="{height - bottom}" text-anchor="end">{y0:.3g}</text>',
        f'<text x="{left}" y="{height - 16}">{x0:.6g}</text>',
        f'<text x="{width - 10}" y="{height - 16}" text-anchor="end">{html.escape(x_label)} {x1:.6g}</text>',
    ]
    for x in (x for x in marks if x0 <= x <= x1):
        parts.append(f'<polyline points="{place(x, y0)} {place(x, y1)}" stroke="#8888"/>')
    if level is not None:
        across = f"{place(x0, level)} {place(x1, level)}"
        parts.append(f'<polyline points="{across}" stroke="currentColor" stroke-dasharray="4 4"/>')
    for i, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[i % len(COLOURS)]
        line = " ".join(place(x, y) for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{left + 110 * i}" y="14" style="fill:{colour}">{html.escape(name)}</text>')
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def bars(
    groups: Mapping[str, Sequence[float]], *, x_label: str, width: int = 760, level: float | None = None
) -> str:
    """Distribution of values, one line per group, in one SVG plot on a scale of powers of two: a thin bar
    from the 5 % to the 95 % quantile, a thick one from 25 to 75 %, a tick at the largest. Values below 1/64
    are drawn at the left edge.

    groups: name to values, not all empty; the first one is emphasised. level: a dashed vertical line.
    """
    drawn = {name: np.asarray(values) for name, values in groups.items() if len(values)}
    exponents = {name: np.log2(np.maximum(values, 2.0**-6)) for name, values in drawn.items()}
    most = max(1.0, *(float(np.ceil(values.max())) for values in exponents.values()))
    left, line = 210, 18
    height = line * len(drawn) + 30

    def at(exponent: float) -> float:
        return left + (exponent + 6) / (most + 6) * (width - left - 16)

    parts = []
    for row, (name, values) in enumerate(exponents.items()):
        y, colour = line * row + 12, COLOURS[0 if row else 1]
        low, first, third, high = (at(float(q)) for q in np.quantile(values, [0.05, 0.25, 0.75, 0.95]))
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>')
        for x0, x1, thick in ((low, high, 3), (first, third, 9), (at(float(values.max())) - 1, None, 11)):
            length = 2.0 if x1 is None else max(x1 - x0, 1.0)
            box = f'x="{x0:.1f}" y="{y - thick / 2:.1f}" width="{length:.1f}" height="{thick}"'
            parts.append(f'<rect {box} fill="{colour}"/>')
    if level is not None:
        x = at(float(np.log2(level)))
        ends = f"{x:.1f},2 {x:.1f},{height - 26}"
        parts.append(f'<polyline points="{ends}" stroke="currentColor" stroke-dasharray="4 4"/>')
    for exponent in range(-6, int(most) + 1, 2):
        mark = f"{2.0**exponent:.3g}"
        parts.append(f'<text x="{at(exponent):.1f}" y="{height - 12}" text-anchor="middle">{mark}</text>')
    parts.append(f'<text x="{left - 30}" y="{height - 12}" text-anchor="end">{html.escape(x_label)}</text>')
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def write_page(path: Path, text: str) -> None:
    """Write the page, whole or not at all. Raises SinkError."""
    write_whole(path, text.encode())
