"""`--report` and `explain EVENTS.jsonl`: findings in a film, their times and reasons, and the repairs."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamstyle.explain.moments import severity, totals, words
from streamstyle.explain.tint import outline_, tint_
from streamstyle.files import page
from streamstyle.types import AnomalyEvent, AnomalyMap, Frame, Kind, Picture

_WORST_MOMENTS = 8
_MOMENT_GAP_SECONDS = 0.5  # seconds between two of the worst moments: neighbours show the same
_POINTS = 1500  # of a plotted curve; the largest score of every stretch is kept


@dataclass(order=True, frozen=True)
class Moment:
    """One of the worst frames: pictures about 320 pixels wide, before and after its repair."""

    severity: float
    """Severity of the event, see `severity`."""
    time: float
    """Presentation time in seconds."""
    event: AnomalyEvent = field(compare=False)
    """Line of the event log."""
    source: Picture = field(compare=False)
    """Frame of the source."""
    before: Picture = field(compare=False)
    """The painting before its repair."""
    after: Picture = field(compare=False)
    """The painting after its repair."""
    heat: Picture = field(compare=False)
    """The painting with the flagged tiles tinted."""


class AnomalyReport:
    """Implements `Observer`: keeps the scores of every frame and pictures of the worst."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._ratios: dict[Kind, list[float]] = {kind: [] for kind in Kind}
        self._cuts: list[float] = []
        self._events: list[AnomalyEvent] = []
        self._moments: list[Moment] = []
        self._before: Picture | None = None

    def found(self, frame: Frame, styled: Picture, anomaly: AnomalyMap) -> None:
        """Keep the scores of a frame before its repair."""
        self._times.append(frame.time)
        for kind, ratios in self._ratios.items():
            ratios.append(anomaly.scores[kind] / anomaly.thresholds[kind])
        if anomaly.cut:
            self._cuts.append(frame.time)
        # The guard may flag it later: then there is no picture of the time before.
        self._before = page.small_picture(styled) if anomaly.flagged else None

    def repaired(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, event: AnomalyEvent) -> None:
        """Keep pictures of a flagged frame if it is one of the worst."""
        self._events.append(event)
        self._ratios[Kind.FLASH][-1] = anomaly.scores[Kind.FLASH] / anomaly.thresholds[Kind.FLASH]
        badness = severity(event)
        near = [m for m in self._moments if abs(m.time - frame.time) < _MOMENT_GAP_SECONDS]
        if near and near[0].severity >= badness:
            return
        for moment in near:
            self._moments.remove(moment)
        after = page.small_picture(styled)
        before = after if self._before is None else self._before
        heat = before.copy()
        tint_(heat, anomaly)
        outline_(heat, anomaly)
        plain = page.small_picture(frame.pixels)
        self._moments.append(Moment(badness, frame.time, event, plain, before, after, heat))
        self._moments = heapq.nlargest(_WORST_MOMENTS, self._moments)

    def page(self, title: str, facts: Sequence[str]) -> str:
        """The page. facts: sentences for its top."""
        body = [page.paragraph(fact) for fact in facts]
        body += _overview(self._events, len(self._times))
        body += _timeline(self._times, self._ratios, self._cuts)
        body.append(page.heading("The worst moments"))
        if not self._moments:
            body.append(page.paragraph("None."))
        for moment in sorted(self._moments, key=lambda m: m.time):
            body.append(
                page.paragraph(f"{moment.time:.2f} s, frame {moment.event.index}: {words(moment.event)}")
            )
            shown = {
                "input": moment.source,
                "before": moment.before,
                "where": moment.heat,
                "after": moment.after,
            }
            body.append(page.row([page.figure(x, name) for name, x in shown.items()], least=240))
        return page.page(title, body)


def events_page(title: str, events: Sequence[AnomalyEvent]) -> str:
    """A page from an event log alone: no pictures, and scores of flagged frames only."""
    times = [event.time for event in events]
    ratios = {
        kind: [event.scores.get(kind, 0.0) / event.thresholds.get(kind, 1.0) for event in events]
        for kind in Kind
    }
    body = [*_overview(events, None), *_timeline(times, ratios, [])]
    worst = sorted(heapq.nlargest(4 * _WORST_MOMENTS, events, key=severity), key=lambda event: event.index)
    body.append(page.heading("The worst moments"))
    body.append(page.table(["seconds", "frame", "why"], [[e.time, str(e.index), words(e)] for e in worst]))
    return page.page(title, body)


def _overview(events: Sequence[AnomalyEvent], frames: int | None) -> list[str]:
    of = "" if frames is None else f" of {frames}"
    counts = totals(events)
    body = [page.paragraph(f"{len(events)} flagged frames{of}.")]
    if counts:
        body.append(page.table(["kind", "frames"], [[kind, str(count)] for kind, count in counts.items()]))
    return body


def _timeline(
    times: Sequence[float], ratios: Mapping[Kind, Sequence[float]], cuts: Sequence[float]
) -> list[str]:
    body = [
        page.heading("Scores"),
        page.paragraph(
            "Score over threshold: above the dashed line a frame is flagged. Grey lines are cuts."
        ),
    ]
    plots = []
    for kind, values in ratios.items():
        if len(values) and max(values) > 0:
            curve = {str(kind): peaks(times, values)}
            plots.append(page.curves(curve, x_label="s", width=520, height=150, level=1.0, marks=cuts))
    return [*body, page.row(plots, least=420)]


def peaks(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Reduce a curve to at most _POINTS points, keeping the largest value of each stretch."""
    step = -(-len(values) // _POINTS)
    found = []
    for start in range(0, len(values), max(step, 1)):
        stretch = values[start : start + step]
        at = start + int(np.argmax(stretch))
        found.append((times[at], values[at]))
    return found
