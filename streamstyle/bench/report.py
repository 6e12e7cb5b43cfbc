"""The figures of a benchmark as text and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamstyle import page


def tables(figures: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str | float]]]]:
    """(title, columns, rows) of every table."""
    scenes = list(figures["false_alarms"])
    auroc: list[list[str | float]] = [
        [name, *(f"{cells[s][0]:.3f} ({cells[s][1]:.2f}-{cells[s][2]:.2f})" for s in scenes)]
        for name, cells in figures["auroc"].items()
    ]
    baselines: list[list[str | float]] = [
        [name, *(f"{cells[s]:.3f}" for s in scenes)] for name, cells in figures["auroc_of_baselines"].items()
    ]
    found: list[list[str | float]] = []
    for name, recall in figures["recall"].items():
        latency = figures["latency_frames"].get(name)
        tiles = figures["tiles"].get(name)
        found.append(
            [
                name,
                f"{recall:.3f}",
                f"{latency['median']:g}, {latency['p95']:g}" if latency else "-",
                f"{tiles['f1']:.2f}, {tiles['iou']:.2f}" if tiles else "-",
                f"{figures['repaired'][f'{name} by streamstyle']:.2f}",
            ]
        )
    repairs: list[list[str | float]] = [
        [name, share] for name, share in figures["repaired"].items() if not name.endswith("by streamstyle")
    ]
    alarms: list[list[str | float]] = [
        [scene, counts["alarms"], counts["minutes"], counts["per_minute"]]
        for scene, counts in figures["false_alarms"].items()
    ]
    return [
        ("AUROC against what the input does (95 % interval over clips)", ["injected", *scenes], auroc),
        ("The same by other scores", ["injected", *scenes], baselines),
        (
            "Found and repaired",
            ["injected", "recall", "latency in frames: median, p95", "tiles: F1, IoU", "R"],
            found,
        ),
        ("R of other repairs, which touch every frame", ["injected", "R"], repairs),
        ("False alarms", ["scene", "alarms", "minutes", "a minute"], alarms),
    ]


def as_text(figures: Mapping[str, Any]) -> str:
    """Markdown tables and the figures that stand alone."""
    blocks = []
    for title, columns, rows in tables(figures):
        lines = [f"### {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [f"| {' | '.join(str(value) for value in row)} |" for row in rows]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, _alone(figures)])


def _alone(figures: Mapping[str, Any]) -> str:
    return (
        f"Frames without an anomaly that left bit for bit as painted: {figures['bit_identical']:.2%}; "
        f"the others differ by a PSNR of {figures['touched_psnr_median']} dB (median). Detection takes "
        f"{figures['detect_ms']} ms and a repair {figures['correct_ms']} ms, one thread, medians. With "
        f"shuffled labels the AUROC is {figures['auroc_of_shuffled_labels']}."
    )


def as_page(title: str, figures: Mapping[str, Any]) -> str:
    """One self-contained page."""
    body = [page.paragraph(_alone(figures))]
    for name, columns, rows in tables(figures):
        body += [page.heading(name), page.table(columns, rows)]
    return page.page(title, body)
