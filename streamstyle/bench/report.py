"""The figures of a benchmark as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamstyle.bench.figures import EVERY_FILM
from streamstyle.bench.goals import compare_to_goals
from streamstyle.bench.protocol import ALARMS_A_MINUTE, COMPARED, VALIDATION
from streamstyle.metrics.comparison import LONG_GAP

Table = tuple[str, list[str], list[list[str | float]]]
Parts = Mapping[str, Mapping[str, Any]]

HELD_OUT, CHOSEN_ON, RENDERED = "held out", "validation", "rendered"
PARTS = {
    HELD_OUT: "Clips that no threshold was chosen on",
    CHOSEN_ON: "Clips that the thresholds were chosen on",
    RENDERED: "A rendered clip",
}
"""The figures of these stand apart."""

STABILISE = "Stabilise: the clean films with --consistency, against the plain painting"
NEW_FLASHES = "Frames that fail the general-flash test where the input passes"
NOTES = {
    STABILISE: "D_t is the share of the plain painting's warping error that is gone. Distance (unweighted "
    "SqueezeNet features, no LPIPS), sharpness and contrast are against the plain painting as well. The "
    "shipped network was trained to be steady, so that there is less to gain than on one that was not.",
    NEW_FLASHES: "By WCAG 2.2, 2.3.1, of every film that the product ran over: scenes, films with anomalies "
    "and stabilise mode. Kinds of films that have none, neither before nor after, are left out.",
}
"""Notes beside the tables of the page, by title."""


def part_of(clip: str, rendered: str) -> str:
    """The part that a clip belongs to, by its file name."""
    if clip == rendered:
        return RENDERED
    return CHOSEN_ON if clip in VALIDATION else HELD_OUT


def goal_table(parts: Parts) -> Table:
    """Every goal against the figures of each part; the verdict is that of the first."""
    verdicts = {name: compare_to_goals(figures) for name, figures in parts.items()}
    first, *others = verdicts
    rows: list[list[str | float]] = [
        [*line.cells, *(verdicts[name][number].cells[3] for name in others)]
        for number, line in enumerate(verdicts[first])
    ]
    return "Goals", ["goal", "must", "stretch", first, "verdict", *others], rows


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """(title, columns, rows) of one part."""
    scenes = list(figures["false_alarms"])
    auroc: list[list[str | float]] = [
        [name, *(f"{cells[s][0]:.3f} ({cells[s][1]:.2f}-{cells[s][2]:.2f})" for s in scenes)]
        for name, cells in figures["auroc"].items()
    ]
    baselines: list[list[str | float]] = [
        [name, *(f"{cells[s]:.3f}" for s in scenes)] for name, cells in figures["auroc_of_baselines"].items()
    ]
    alarms: list[list[str | float]] = [
        [scene, *_alarm_cells(counts)]
        for scene, counts in (
            *figures["false_alarms"].items(),
            ("all of these", figures["false_alarms_everywhere"]),
        )
    ]
    points: list[list[str | float]] = [
        [family, point["per_minute_as_shipped"], point["threshold"], point["per_minute"]]
        for family, point in figures["operating_points"].items()
    ]
    found: list[Table] = [
        ("AUROC against what the input does (95 % interval over clips)", ["injected", *scenes], auroc),
        ("The same by other scores", ["injected", *scenes], baselines),
        ("Found and repaired", _FOUND, _found_rows(figures)),
        ("False alarms", ["scene", "alarms", "minutes", "a minute", "at most (95 %)", "of which"], alarms),
        (
            f"Thresholds that cost {ALARMS_A_MINUTE:g} alarms a minute, as multiples of the shipped ones",
            ["score", "a minute as shipped", "threshold", "a minute there"],
            points,
        ),
    ]
    found += [steadiness_table(figures["stabilise"]), flash_table(figures["new_flashes"])]
    if figures["methods"]["rows"]:
        found.append(method_table(figures["methods"]))
    return [table for table in found if table[2]]


def steadiness_table(settings: Mapping[str, Any]) -> Table:
    """Stabilise mode: of each setting the means of all films, then those of each clip's."""
    rows: list[list[str | float]] = []
    for consistency, found in settings.items():
        for name, f in ((f"all {found['films']} films", found), *found["clips"].items()):
            errors = [f"{1e3 * f['warp_error'][key]:.3f}" for key in ("source", "painted", "left")]
            costs = [f"{f['distance']:.3f}", *(f"{f[key]:.3f}" for key in ("sharpness", "contrast"))]
            near, far = (f"{f[key]:.3f}" for key in ("steadier", "steadier_long"))
            rows.append([consistency, name, near, far, *costs, *errors])
    columns = [
        *("consistency", "clip", "D_t", f"D_t over {LONG_GAP} frames", "distance", "sharpness", "contrast"),
        *(f"1000 E_warp: {name}" for name in ("input", "painted", "steadied")),
    ]
    return STABILISE, columns, rows


def flash_table(films: Mapping[str, Any]) -> Table:
    """New flash failures of all films, and of those that have any."""
    rows: list[list[str | float]] = [
        [name, counts["frames"], counts["painted"], counts["left"]]
        for name, counts in films.items()
        if name == EVERY_FILM or counts["painted"] or counts["left"]
    ]
    columns = ["film", "frames", "fail as painted or injected", "fail as they left"]
    return NEW_FLASHES, columns, rows


_FOUND = [
    *("injected", "recall", f"recall at {ALARMS_A_MINUTE:g} false alarms a minute"),
    *("latency in frames: median, p95", "tiles: F1, IoU", "R", "ghost leak: mean, p95"),
]


def _found_rows(figures: Mapping[str, Any]) -> list[list[str | float]]:
    rows: list[list[str | float]] = []
    for name, recall in figures["recall"].items():
        latency, tiles = figures["latency_frames"].get(name), figures["tiles"].get(name)
        ghosts, told = figures["ghost_leak"].get(name), "-"
        if latency:
            told = f"{latency['median']:g}, {latency['p95']:g}"
        if latency and "p95_dE" in latency:
            told += f" ({latency['median_dE']:g}, {latency['p95_dE']:g} dE)"
        rows.append(
            [
                name,
                f"{recall:.3f}",
                f"{figures['recall_at_operating_point'][name]:.3f}",
                told,
                f"{tiles['f1']:.2f}, {tiles['iou']:.2f}" if tiles else "-",
                f"{figures['repaired'][name]:.2f}",
                f"{ghosts['mean']:.3f}, {ghosts['p95']:.3f}" if ghosts else "-",
            ]
        )
    return rows


def _alarm_cells(counts: Mapping[str, Any]) -> list[str | float]:
    kinds = ", ".join(f"{kind} {count}" for kind, count in counts["kinds"].items())
    return [*(counts[key] for key in ("alarms", "minutes", "per_minute", "at_most")), kinds or "-"]


def method_table(methods: Mapping[str, Any]) -> Table:
    """Ours, the repairs of others and the ablations on the same films."""
    rows: list[list[str | float]] = []
    for name, row in methods["rows"].items():
        cells = row["auroc"]
        aurocs = [
            f"{min(c.values()):.3f} ({min(c, key=c.__getitem__)})" if (c := cells.get(n)) else "-"
            for n in COMPARED
        ]
        repaired = [f"{row['repaired'][n]:.2f}" if n in row["repaired"] else "-" for n in COMPARED]
        alarms = row["false_alarms"]
        clean = (row["clean_identical"], row["clean_psnr"])
        rows.append(
            [
                name,
                *aurocs,
                f"{alarms['per_minute']:.1f}" if alarms else "-",
                *repaired,
                _cell_text(row["ghost_leak"], ".3f"),
                _cell_text(clean[0], ".1%"),
                _cell_text(clean[1], ".1f"),
            ]
        )
    columns = [
        "method",
        *(f"AUROC {name}: worst scene" for name in COMPARED),
        "false alarms a minute",
        *(f"R {name}" for name in COMPARED),
        *("ghost leak", "clean frames left bit for bit", "PSNR of the others, dB"),
    ]
    subjects = methods["subjects"]
    return f"Other repairs, and ours without one of its ideas ({subjects} painted films)", columns, rows


def _cell_text(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def exact_tables(exact: Mapping[str, Any]) -> list[Table]:
    """Tables on the cost of estimated flow on the rendered clip."""
    errors: list[list[str | float]] = [
        [name, f"{e['pixels']:.1%}", e["source"], e["painted"]] for name, e in exact["warp_error"].items()
    ]
    return [
        (
            "Rendered clip: warping error by exact and by estimated flow",
            ["flow", "pixels that count", "of the film", "of the painted film"],
            errors,
        ),
        ("Rendered clip: the detector with exact flow", *method_table(exact["methods"])[1:]),
    ]


def as_text(parts: Parts, exact: Mapping[str, Any] | None) -> str:
    """Markdown tables and the figures that stand alone."""
    blocks = [_markdown(goal_table(parts))]
    for name, figures in parts.items():
        blocks += [f"## {PARTS[name]}: {', '.join(figures['clips'])}", alone(figures)]
        blocks += [_markdown(table) for table in tables(figures)]
    blocks += [_markdown(table) for table in (exact_tables(exact) if exact else ())]
    return "\n\n".join(blocks)


def _markdown(table: Table) -> str:
    title, columns, rows = table
    lines = [f"### {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join(lines + [f"| {' | '.join(str(value) for value in row)} |" for row in rows])


def alone(figures: Mapping[str, Any]) -> str:
    """The figures outside the tables."""
    touched = figures["touched_psnr_median"]
    others = "" if touched is None else f"; the others differ by a PSNR of {touched} dB (median)"
    return (
        f"Frames without an anomaly that the corrector left bit for bit as painted: "
        f"{figures['bit_identical']:.2%}{others}. The flash guard, which comes after it and whose work only "
        f"the table of flashes counts, mixed {figures['guard_held']:.2%} of them with the frame before. "
        f"Detection takes {figures['detect_ms']} ms and a repair with the flash guard "
        f"{figures['correct_ms']} ms, one thread, medians. With shuffled labels the AUROC is "
        f"{figures['auroc_of_shuffled_labels']}."
    )
