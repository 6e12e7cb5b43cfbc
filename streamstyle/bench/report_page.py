"""The benchmark as one self-contained page: goals, plots, the worst cases as pictures, every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamstyle.bench.examples import FALSE_ALARM, MISSED, Example, worst
from streamstyle.bench.protocol import ALARMS_A_MINUTE, COMPARED
from streamstyle.bench.report import NOTES, PARTS, Parts, Table, alone, exact_tables, goal_table, tables
from streamstyle.bench.runs import OURS
from streamstyle.bench.subjects import SubjectResult
from streamstyle.files import page

_EXAMPLES = 5
_AMPLITUDES = {
    "gain": ("gain, %", 100),
    "patch": ("patch of 10 %, % of the area", 100),
    "moving patch": ("moving patch of 10 %, % of the area", 100),
    "texture": ("texture, RMS x 100", 100),
    "drift": ("drift, dE a frame", 1),
    "statistics": ("statistics, %", 100),
}
"""Label and factor by which the amplitudes of a series are plotted."""


def as_page(
    title: str,
    facts: Sequence[str],
    parts: Parts,
    measured: Sequence[SubjectResult],
    exact: Mapping[str, Any] | None,
) -> str:
    """One self-contained page. facts: sentences for its top. measured: of the first of the parts."""
    figures = next(iter(parts.values()))
    ours = [m for m in measured if m.method == OURS]
    body = [page.paragraph(fact) for fact in facts]
    body += _table(goal_table(parts))
    plots = _recall_plots(figures, ours)
    if plots:
        body += [
            page.heading("Recall against amplitude"),
            page.paragraph(_RECALL),
            page.row(plots, least=340),
        ]
    body += [page.heading("Scores of the anomalies and of what is none"), page.paragraph(_SCORES)]
    body += [_score_plot(name, ours) for name in COMPARED]
    body += [page.heading("A film with bursts"), *_timeline(ours)]
    examples = [e for m in ours for e in m.examples]
    body += _pictures("Missed, and should not have been", worst(examples, MISSED, _EXAMPLES))
    body += _pictures("False alarms", worst(examples, FALSE_ALARM, _EXAMPLES))
    for name, found in parts.items():
        body += [
            page.heading(PARTS[name]),
            page.paragraph(", ".join(found["clips"])),
            page.paragraph(alone(found)),
        ]
        for table in tables(found):
            body += _table(table)
    for table in exact_tables(exact) if exact else ():
        body += _table(table)
    return page.page(title, body)


_RECALL = (
    "Share of the onsets with an alarm in time, with the thresholds as shipped and with those that cost "
    f"{ALARMS_A_MINUTE:g} false alarms a minute on the scenes below."
)
_SCORES = (
    "Score over threshold, so that the dashed line is where an alarm sounds: of the frames hit, first line, "
    "and of all frames of each scene. Thin bars hold 90 % of the frames, thick ones a half, the tick is the "
    "largest."
)


def _table(table: Table) -> list[str]:
    title, columns, rows = table
    notes = [page.paragraph(NOTES[title])] if title in NOTES else []
    return [page.heading(title), *notes, page.wide(page.table(columns, rows))]


def _recall_plots(figures: Mapping[str, Any], ours: Sequence[SubjectResult]) -> list[str]:
    series: dict[str, dict[float, str]] = {}
    for injected in (p for m in ours for p in m.injections if p.series):
        series.setdefault(injected.series, {})[injected.amplitude] = injected.name
    plots = []
    for name, members in series.items():
        label, factor = _AMPLITUDES[name]
        if len(members) > 1:
            lines = {
                said: [(factor * a, figures[key][members[a]]) for a in sorted(members)]
                for said, key in (
                    ("as shipped", "recall"),
                    (f"at {ALARMS_A_MINUTE:g} a minute", "recall_at_operating_point"),
                )
            }
            plots.append(page.curves(lines, x_label=label, width=400, height=170, level=1.0))
    return plots


def _score_plot(name: str, ours: Sequence[SubjectResult]) -> str:
    found = [p for m in ours for p in m.injections if p.name == name]
    if not found:
        return ""
    family = found[0].family
    groups: dict[str, list[float]] = {name: [s for p in found for s in p.scores[family][p.onset]]}
    for negative in (n for m in ours for n in m.negatives):
        groups.setdefault(negative.scene, []).extend(negative.scores[family])
    return page.bars(groups, x_label=f"{name}: score", level=1.0)


def _timeline(ours: Sequence[SubjectResult]) -> list[str]:
    """The first film with a medium result: neither the best nor the worst of its kind."""
    found = [
        (p.repaired, number) for number, m in enumerate(ours) for p in m.injections if p.name == COMPARED[0]
    ]
    if not found:
        return []
    chosen = ours[sorted(found)[len(found) // 2][1]]
    injected = next(p for p in chosen.injections if p.name == COMPARED[0])
    points = [(float(i), float(s)) for i, s in enumerate(injected.scores[injected.family])]
    hit = np.flatnonzero(injected.hit).tolist()
    told = f"{injected.name} on {chosen.clip} in {chosen.style}; grey lines are the frames hit."
    curve = page.curves({"score": points}, x_label="frame", level=1.0, marks=hit)
    return [page.paragraph(told), curve]


def _pictures(title: str, examples: Sequence[Example]) -> list[str]:
    body = [page.heading(title)]
    if not examples:
        body.append(page.paragraph("None."))
    for e in examples:
        told = f"{e.name} on {e.clip} in {e.style}, frame {e.frame}: {e.score:.2f} of the threshold"
        body.append(page.paragraph(f"{told}; found: {e.words}." if e.words else f"{told}."))
        body.append(page.row([page.figure(x, caption, quality=80) for caption, x in e.pictures], least=240))
    return body
